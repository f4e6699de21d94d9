"""Data are part of what is trained: told apart, in one order wherever they lie, and never taken for others."""

import dataclasses
import hashlib
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from bench.experiments.budgets import PILOT, SMOKE
from bench.experiments.recipes import override
from bench.launch import job
from bench.launch.dispatch import _plan
from bench.launch.planner import Action
from bench.launch.slurm.queue import Queue
from bench.results import fingerprints
from bench.results.codec import sealed, unsealed
from bench.results.fingerprints import DataFolder
from bench.results.run_folder import checkpoints, load_record
from bench.spec.batch_layout import lay_out
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec
from bench.training import cifar_in_memory, data, identity
from bench.training.signals import Stop

CPU = torch.device("cpu")
FOLDER = "torch/image_folder"
TINY = (("embed_dim", 32), ("depth", 1), ("num_heads", 2))


def spec(dataset=FOLDER, *settings):
    recipe = override(override(SMOKE, ["epochs=1", "global_batch=4", "warmup_epochs=0"]), settings)
    return RunSpec(model="t2t_vit_7", model_args=TINY, recipe=recipe, dataset=dataset, img_size=32)


def folders(root, classes="x y", *, splits=("train", "val"), count=4, seed=0):
    """Class folders of noise."""
    chance = np.random.default_rng(seed)
    for split in splits:
        for name in classes.split():
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = chance.integers(0, 256, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{i}.png")
    return root


def found(root, dataset=FOLDER):
    return identity.fingerprint(
        dataset, *(identity.open_split(dataset, split, str(root)) for split in ("train", "val"))
    )[0]


# CIFAR in both of its layouts


@pytest.fixture
def both(tmp_path, monkeypatch):
    """CIFAR-10's class folders, and the same images as torchvision's files, in another order."""
    root = folders(tmp_path / "folders" / "cifar10", " ".join(data.CIFAR_CLASSES["cifar10"]), splits=("train", "test"))
    files = tmp_path / "files" / "cifar10" / "cifar-10-batches-py"
    files.mkdir(parents=True)

    def write(name, content):
        (files / name).write_bytes(content)
        return hashlib.md5(content).hexdigest()

    for split, attribute in (("train", "train_list"), ("test", "test_list")):
        images = datasets.ImageFolder(str(root / split))
        order = np.random.default_rng(1).permutation(len(images))
        pixels = [np.asarray(images[i][0]).transpose(2, 0, 1).reshape(-1) for i in order]
        batch = {"data": np.array(pixels), "labels": [images.targets[i] for i in order]}
        monkeypatch.setattr(datasets.CIFAR10, attribute, [[split, write(split, pickle.dumps(batch))]])
    meta = pickle.dumps({"label_names": data.CIFAR_CLASSES["cifar10"]})
    monkeypatch.setattr(
        datasets.CIFAR10, "meta", {"filename": "meta", "key": "label_names", "md5": write("meta", meta)}
    )
    return tmp_path / "folders", tmp_path / "files"


def test_class_folders_and_torchvisions_files_are_the_same_images_and_make_the_same_batches(both):
    opened = [identity.open_split("cifar10", "train", str(root)) for root in both]
    assert isinstance(opened[1].images, datasets.CIFAR10)
    assert opened[0].ids == opened[1].ids == sorted(opened[0].ids)
    assert opened[0].targets == opened[1].targets
    assert [label for _, label in opened[0].samples] == opened[0].targets
    assert found(both[0], "cifar10") == found(both[1], "cifar10")
    batches = []
    for images in opened:
        order = data.TrainBatches(len(images), lay_out(override(PILOT, ["global_batch=8"]), 0, 1, 8), 0)
        loader = cifar_in_memory.train_loader(
            cifar_in_memory.read(images, CPU), order, PILOT, 32, data.KNOWN["cifar10"]
        )
        batches.append([(batch.images.clone(), batch.labels) for batch in loader])
    for (ours, our_labels), (theirs, their_labels) in zip(*batches, strict=True):
        assert torch.equal(ours, theirs)
        assert torch.equal(our_labels, their_labels)


def test_every_image_of_cifar_keeps_its_label_and_its_name_in_the_new_order(both):
    plain = data.open_images("cifar10", "train", str(both[0]))
    by_name = {path: (image.tobytes(), label) for (path, _), (image, label) in zip(plain.samples, plain, strict=True)}
    held = cifar_in_memory.Held(plain)
    for (path, _), index in zip(held.samples, range(len(held)), strict=True):
        image, label = held[index]
        assert by_name.pop(path) == (image.tobytes(), label)
    assert not by_name


def test_another_pixel_or_label_of_cifar_is_another_data_set(both):
    first = found(both[0], "cifar10")
    images = both[0] / "cifar10" / "train"
    (images / "cat" / "3.png").rename(images / "dog" / "33.png")
    assert "pixels of the training images are not the same" in first.difference(found(both[0], "cifar10"))
    (images / "dog" / "33.png").rename(images / "cat" / "renamed.png")
    assert found(both[0], "cifar10") == first
    pixels = np.asarray(Image.open(images / "cat" / "renamed.png")).copy()
    pixels[5, 5, 1] ^= 1
    Image.fromarray(pixels).save(images / "cat" / "renamed.png")
    assert first.difference(found(both[0], "cifar10"))


def test_an_image_of_cifar_that_does_not_load_comes_last_and_is_named(both):
    broken = both[0] / "cifar10" / "train" / "bird" / "2.png"
    broken.write_bytes(b"junk")
    images = identity.open_split("cifar10", "train", str(both[0]))
    assert images.ids[-1] == "bird/2.png"
    assert images.targets[-1] == 2
    pixels = cifar_in_memory.read(images, CPU)
    assert list(pixels.unreadable) == [len(images) - 1]
    assert pixels.unreadable[len(images) - 1].startswith("train/bird/2.png: UnidentifiedImageError")


# Other folders


def test_files_of_a_folder_tell_it_wherever_it_lies_and_without_being_read(tmp_path, monkeypatch):
    first = found(folders(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    monkeypatch.setattr(Image, "open", None)
    assert found(tmp_path / "b") == first
    assert (first.basis, first.classes, first.class_names) == ("files", 2, ("x", "y"))
    assert (first.train_images, first.val_images) == (8, 8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda root: (root / "val" / "x" / "1.png").unlink(), "8 validation images; here 7"),
        (lambda root: (root / "val" / "x" / "1.png").rename(root / "val" / "y" / "9.png"), "files of the validation"),
        (lambda root: (root / "val" / "x" / "1.png").rename(root / "val" / "x" / "9.png"), "files of the validation"),
        (lambda root: (root / "train" / "x" / "1.png").write_bytes(b"less"), "files of the training images are not"),
        (
            lambda root: [(root / s / "y").rename(root / s / "z") for s in ("train", "val")],
            "classes x, y; here classes x, z",
        ),
        (lambda root: folders(root, "z"), "classes x, y; here classes x, y, z"),
    ],
    ids=["one less", "another class", "another name", "another size", "renamed class", "one more class"],
)
def test_what_changes_a_folder_changes_its_fingerprint_and_is_said(tmp_path, change, words):
    first = found(folders(tmp_path))
    change(tmp_path)
    assert words in first.difference(found(tmp_path))


# Both splits


def all_links(root):
    for path in sorted((root / "train").rglob("*.png")):
        link = root / "val" / path.relative_to(root / "train")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


def hard_links(root):
    shutil.copytree(root / "train", root / "val", copy_function=os.link)


@pytest.mark.parametrize(
    "make",
    [lambda root: (root / "val").symlink_to("train"), all_links, hard_links],
    ids=["folder", "links", "hard links"],
)
def test_the_same_files_for_both_splits_are_refused(tmp_path, make):
    make(folders(tmp_path, splits=["train"]))
    with pytest.raises(RequestError, match="all 8 validation images are training images as well; give each split"):
        found(tmp_path)


def test_a_copy_of_cifars_training_images_is_no_validation(tmp_path):
    root = folders(tmp_path / "cifar10", splits=["train"], count=3)
    shutil.copytree(root / "train", root / "test")
    with pytest.raises(RequestError, match="cifar10: all 6 validation images are training images"):
        found(tmp_path, "cifar10")


def test_some_images_in_both_splits_are_a_line(tmp_path):
    """CIFAR-100 as it was published has ten."""
    root = folders(tmp_path / "cifar10", splits=["train", "test"])
    shutil.copy(root / "train" / "x" / "0.png", root / "test" / "y" / "copy.png")
    splits = [identity.open_split("cifar10", split, str(tmp_path)) for split in ("train", "val")]
    assert identity.fingerprint("cifar10", *splits)[1] == "1 of 9 validation images are training images as well"


# Classes that nobody names


class Unnamed(torch.utils.data.Dataset):
    def __init__(self, *labels):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        if self.labels[index] == "broken":
            raise OSError("damaged")
        return Image.new("RGB", (32, 32)), self.labels[index]


def test_classes_that_a_reader_does_not_name_are_counted_over_both_splits():
    train, val = Unnamed(0, 1, np.int64(3), "broken"), Unnamed(2, 0)
    unnamed = dataclasses.replace(spec(), dataset="hfds/somebody/something")
    assert data.survey(unnamed, train, val)["classes"] == 4
    assert data.describe(unnamed, train, val).num_classes == 4
    fingerprint, _ = identity.fingerprint("hfds/somebody/something", train, val)
    assert (fingerprint.basis, fingerprint.classes, fingerprint.class_names) == ("labels", 4, ())
    other, _ = identity.fingerprint("hfds/somebody/something", Unnamed(0, 3, 1, "broken"), val)
    assert fingerprint.difference(other) == "as many, but the labels of the training images are not the same"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ((1, 2), "1, 2"),
        ((0, 0.5), "0, 0.5"),
        (("cat", "dog"), "'cat', 'dog'"),
        ((-1, -1), "-1"),
        ((None,), "none"),
    ],
)
def test_labels_that_are_no_class_numbers_are_refused(labels, words):
    unnamed = dataclasses.replace(spec(), dataset="hfds/somebody/something")
    for ask in (data.survey, data.describe):
        with pytest.raises(RequestError, match=rf"names no classes, and its labels \({words}\) are not the integers"):
            ask(unnamed, Unnamed(*labels), Unnamed(*labels))


# What is kept


def keep(runs, dataset, root):
    fingerprints.keep(runs, dataset, root, found(root), [f"{root}/train", f"{root}/val"])


def test_what_is_kept_of_a_folder_holds_until_the_folder_changes(tmp_path, monkeypatch):
    root, runs = folders(tmp_path / "a"), tmp_path / "runs"
    here = runs, FOLDER, str(root)
    first = found(root)
    assert fingerprints.kept(*here) is None
    keep(*here)
    assert fingerprints.kept(*here) == first
    assert fingerprints.kept(runs, FOLDER, str(tmp_path)) is None
    image = root / "val" / "x" / "1.png"
    whole = image.read_bytes()
    image.write_bytes(b"less")  # in place
    assert fingerprints.kept(*here) is None
    image.write_bytes(whole)
    keep(*here)
    monkeypatch.setattr(fingerprints, "MANY", 0)  # a large data set: files are not asked one by one
    keep(*here)
    assert fingerprints.kept(*here) == first
    image.unlink()
    assert fingerprints.kept(*here) is None
    root.rename(tmp_path / "elsewhere")  # as a login node sees it, which has no data
    assert fingerprints.kept(*here) == first


def test_a_damaged_file_counts_as_none(tmp_path):
    root, runs = folders(tmp_path / "a"), tmp_path / "runs"
    here = runs, FOLDER, str(root)
    keep(*here)
    (path,) = (runs / "fingerprints").iterdir()
    whole = path.read_text()
    for damaged in ("", "[]", "{}", whole[:100], whole.replace('"classes": 2', '"classes": 3')):
        path.write_text(damaged)
        assert fingerprints.kept(*here) is None


# Runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on folder A, done; and folder B, with other classes."""
    base = tmp_path_factory.mktemp("trained")
    folders(base / "a")
    folders(base / "b", "p q")
    folder = job.prepare(base / "runs", spec())
    job.run(folder, Resources(data=str(base / "a")), Stop())
    return base, folder


def decide(base, name, runs=None):
    (decision,) = _plan([spec()], DataFolder(runs or base / "runs", str(base / name)), Queue({}, {}))
    return decision


def test_the_record_says_which_images_it_is_of(trained):
    base, folder = trained
    record = load_record(folder)
    assert record.fingerprint == found(base / "a")
    assert fingerprints.kept(base / "runs", FOLDER, str(base / "a")) == record.fingerprint


def test_a_plan_does_not_take_what_came_of_one_folder_for_another(trained):
    base, folder = trained
    assert decide(base, "a").action is Action.SKIP
    with pytest.raises(RequestError) as refused:
        decide(base, "b")
    assert f"{folder.name} was begun on other images (classes x, y; here classes p, q)" in str(refused.value)
    assert "give it the same data with --data DIR" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert decide(base, "nowhere").action is Action.SKIP  # nobody can tell


def test_a_record_of_before_fingerprints_stays_valid(trained, tmp_path):
    base, folder = trained
    copy = shutil.copytree(folder, tmp_path / folder.name)
    values = unsealed((copy / "record.json").read_text())
    del values["fingerprint"]
    (copy / "record.json").write_text(sealed(values))
    assert load_record(copy).fingerprint is None
    assert decide(base, "b", tmp_path).action is Action.SKIP


def test_an_interrupted_run_goes_on_with_its_own_images_alone(trained, tmp_path):
    base, _ = trained
    folder = job.prepare(tmp_path, spec(FOLDER, "epochs=2"))
    stop = Stop()
    stop.signal = 15
    with pytest.raises(job.RunInterrupted):
        job.run(folder, Resources(data=str(base / "a"), save_every_s=0), stop)
    saved = checkpoints(folder)
    with pytest.raises(RequestError, match=r"begun on other images \(classes x, y; here classes p, q\)"):
        job.run(folder, Resources(data=str(base / "b")), Stop())
    record = load_record(folder)
    assert record.fingerprint == found(base / "a")
    assert checkpoints(folder) == saved
    job.run(folder, Resources(data=str(base / "a")), Stop())
    assert load_record(folder).status == "completed"


def test_a_run_whose_held_out_images_were_others_is_not_resumed(both, tmp_path):
    tuned = spec("cifar10", "epochs=2", "held_out=0.5")
    folder = job.prepare(tmp_path / "runs", tuned)
    stop = Stop()
    stop.signal = 15
    with pytest.raises(job.RunInterrupted):
        job.run(folder, Resources(data=str(both[0]), save_every_s=0), stop)
    values = unsealed((folder / "record.json").read_text())
    del values["fingerprint"]
    (folder / "record.json").write_text(sealed(values))
    with pytest.raises(RequestError, match="when CIFAR's images had another order"):
        job.run(folder, Resources(data=str(both[0])), Stop())


@pytest.mark.extended
def test_planning_looks_at_a_folder_that_was_moved_without_torch(trained, run_all, tmp_path):
    base, folder = trained
    code = """if True:
        import sys; sys.modules["torch"] = None
        from pathlib import Path
        from bench.launch.dispatch import _plan
        from bench.launch.slurm.queue import Queue
        from bench.results.fingerprints import DataFolder
        from bench.results.spec_file import load_spec
        spec = load_spec(Path(sys.argv[2]))
        print(_plan([spec], DataFolder(Path(sys.argv[1]), sys.argv[3]), Queue({}, {}))[0].reason)
    """
    shutil.copytree(base / "a", tmp_path / "moved")
    done = run_all(base / "runs", folder, tmp_path / "moved", code=code)
    assert done.stdout == "completed\n", done.stderr
    assert fingerprints.kept(base / "runs", FOLDER, str(tmp_path / "moved")) == load_record(folder).fingerprint
