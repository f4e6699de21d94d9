"""Training on a part of the images: fixed, nested, as much of each class."""

import collections
import re

import pytest
import torch

from bench.launch import job
from bench.results.run_folder import load_record
from bench.spec.errors import RequestError
from bench.training import data, trainer
from bench.training.signals import Stop
from tests.training.test_trainer import resources, spec


class Uneven(data.Synthetic):
    """Classes of 3, 40 and 469 images."""

    @property
    def targets(self):
        return [0 if index < 3 else 1 if index < 43 else 2 for index in range(len(self))]


@pytest.mark.parametrize("images", [data.Synthetic("train"), Uneven("train"), data.hold_out(Uneven("train"), 0.1)[0]])
def test_fractions_are_nested_and_hold_as_much_of_each_class(images):
    whole = collections.Counter(data.labels_of(images))
    smaller: set[int] = set()
    for fraction in (0.3, 0.31, 0.5, 0.99, 1):
        part = data.take_fraction(images, fraction)
        assert smaller <= set(part.indices)
        smaller = set(part.indices)
        assert len(smaller) == len(part) == len(part.indices)
        counts = collections.Counter(data.labels_of(part))
        assert all(abs(counts[label] - fraction * count) < 1 for label, count in whole.items())
    assert part.indices == list(range(len(images)))


def test_a_fraction_is_no_run_of_the_data_sets_order():
    """Where images are sorted, the first of a class are more alike than all of it."""
    images = Uneven("train")
    last = [index for index in data.take_fraction(images, 0.34).indices if index >= 43]
    assert sum(index > 256 for index in last) > 50
    assert sum(index <= 256 for index in last) > 50


def test_labels_of_a_part_are_its_own():
    part = data.take_fraction(data.Synthetic("train"), 0.1)
    assert data.labels_of(part) == [part[index][1] for index in range(len(part))]


def training(*settings, **kwargs):
    here = trainer.World(rank=0, size=1, device=torch.device("cpu"))
    return trainer.Training(spec(*settings, **kwargs), resources(), here, None, None, None, job._Nothing(), Stop())


def test_held_out_images_are_the_same_for_every_fraction():
    whole, part = training("held_out=0.1"), training("held_out=0.1", "train_fraction=0.3")
    assert part.eval_loader.dataset.images.indices == whole.eval_loader.dataset.images.indices
    assert (whole.survey["trained_images"], part.survey["trained_images"]) == (461, part.batches.size)
    assert part.batches.size == pytest.approx(0.3 * 461, abs=5)
    assert part.survey["train_images"] == 512
    again = training("held_out=0.1", "train_fraction=0.3", seed=7)
    assert again.train_loader.loader.dataset.images.indices == part.train_loader.loader.dataset.images.indices


def test_a_run_on_a_fraction_is_another_run_and_says_on_how_many_images(tmp_path):
    run = spec("epochs=1", "train_fraction=0.25")
    assert run.run_id != spec("epochs=1").run_id
    assert spec("epochs=1", "train_fraction=1").run_id == spec("epochs=1").run_id
    folder = job.prepare(tmp_path, run)
    job.run(folder, resources(), Stop())
    record = load_record(folder)
    assert record.data["trained_images"] == pytest.approx(128, abs=5)
    assert (record.data["train_images"], record.data["complete"]) == (512, True)
    (began,) = [event for event in record.history if event["what"] == "running"]
    assert began["steps"] == 2


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train_fraction=0", "train_fraction=0.0 is not possible; choose from"),
        ("train_fraction=1.1", "train_fraction=1.1 is not possible; choose from"),
        ("train_fraction=nan", "train_fraction=nan is not possible"),
        (
            "train_fraction=0.005",
            "takes none of the 51 training images of the smallest class; choose train_fraction=0.02",
        ),
        ("train_fraction=0.1", "training images are less than one global batch of 64"),
    ],
)
def test_what_leaves_nothing_is_refused(tmp_path, setting, message):
    with pytest.raises(RequestError, match=re.escape(message)):
        job.run(job.prepare(tmp_path, spec(setting)), resources(), Stop())


def test_the_smallest_class_decides():
    with pytest.raises(RequestError, match=r"train_fraction=0.1 takes none of the 3 .* choose train_fraction=0.33 or"):
        data.take_fraction(Uneven("train"), 0.1)
