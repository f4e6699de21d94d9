"""Accuracy on ImageNet's reassessed labels, from the predictions that an evaluation kept."""

import dataclasses
import json
import shutil

import pytest
import timm
import torch
from PIL import Image
from timm.data import ImageNetInfo

from bench.measure.real_labels import real_hits, with_real_hits
from bench.paper import TABLES
from bench.paper.released import RELEASED
from bench.results.predictions import UNREAD, packed, save_images
from bench.results.store import load_evaluations, save_evaluation
from tests.models.test_checkpoints import save
from tests.report.test_frame import evaluation

RUN = next(row.run for row in TABLES[2].rows if row.name == "T2T-ViT-14")
N = 50_000
REAL = [frozenset()] * N
REAL[:4] = [frozenset({1, 2}), frozenset({3}), frozenset(), frozenset({4})]
OFFICIAL = [f"n01440764/ILSVRC2012_val_0000000{number}.JPEG" for number in (2, 1, 4, 3)]


def evaluated(runs, ids=OFFICIAL, predicted=(3, 2, 5, 0)):
    """An evaluation of a few images, kept with its predictions."""
    save_images(runs, "d" * 64, ids, [0] * len(ids))
    done = evaluation(RUN, RELEASED[RUN], images=len(ids), hits=0)
    return save_evaluation(runs, done, packed("d" * 64, {"released": predicted}))


def test_each_image_is_held_against_the_labels_of_its_number(tmp_path):
    found = with_real_hits(tmp_path, evaluated(tmp_path), REAL)
    assert (found.real_hits, found.real_images) == (2, 3)  # 2 and 1 are right, 4 is wrong, 3 has no label
    assert found.real_pct == pytest.approx(200 / 3)
    assert with_real_hits(tmp_path, found, REAL) == found


def test_an_image_that_did_not_load_counts_for_nothing():
    assert real_hits([1, UNREAD, 9, 4], REAL[:4]) == (2, 2)


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (["n01440764/cat.JPEG", *OFFICIAL[1:]], "'n01440764/cat.JPEG' is not"),
        (["0", "1", "2", "3"], "'0' is not"),
        ([*OFFICIAL[:3], "n02084071/ILSVRC2012_val_00000002.JPEG"], "not each of them has a number of its own"),
        ([*OFFICIAL[:3], "n01440764/ILSVRC2012_val_00050001.JPEG"], "not each of them has a number of its own"),
    ],
)
def test_images_without_an_official_number_are_not_guessed_at(ids, reason, tmp_path):
    with pytest.raises(ValueError, match=f"--real-labels needs images named ILSVRC2012_val_.*, and {reason}"):
        with_real_hits(tmp_path, evaluated(tmp_path, ids), REAL)


def test_an_evaluation_without_predictions_says_what_to_do(tmp_path):
    older = dataclasses.replace(evaluated(tmp_path), predictions_sha256="")
    with pytest.raises(ValueError, match=r"\.json: from a version that kept no predictions; delete it and"):
        with_real_hits(tmp_path, older, REAL)


def test_counts_that_contradict_each_other_are_no_evaluation(tmp_path):
    done = evaluated(tmp_path)
    for counts in ({"real_hits": 1}, {"real_images": 1}, {"real_hits": 2, "real_images": 1}):
        with pytest.raises(ValueError, match="hits and images on ReaL labels, or neither"):
            dataclasses.replace(done, **counts)


def test_the_command_adds_them_to_an_evaluation_that_is_done(run_all, measured_once, tmp_path):
    torch.manual_seed(0)
    (tmp_path / "weights").mkdir()
    save(tmp_path / "weights" / "71.7_T2T_ViT_7.pth.tar", timm.create_model("t2t_vit_7"))
    folder = tmp_path / "data" / "imagenet" / "val" / ImageNetInfo().label_names()[3]
    folder.mkdir(parents=True)
    for number in (1, 2):
        Image.new("RGB", (50, 50), (100 * number, 9, 9)).save(folder / f"ILSVRC2012_val_0000000{number}.JPEG")
    shutil.copytree(measured_once[1] / "complexity", tmp_path / "runs" / "complexity")
    folders = ("--data", tmp_path / "data", "--runs", tmp_path / "runs", "--reports", tmp_path / "reports")
    command = ("evaluate", tmp_path / "weights", "--table", 4, "--only", "t2t_vit_7", *folders)
    (tmp_path / "wrong.json").write_text("[]")
    refused = run_all(*command, "--real-labels", tmp_path / "wrong.json")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"run_all.py: --real-labels {tmp_path / 'wrong.json'}: 0 images, where 50,000")
    assert not load_evaluations(tmp_path / "runs")[0]
    assert run_all(*command).returncode == 0
    (first,), _ = load_evaluations(tmp_path / "runs")
    assert first.real_pct is None
    (tmp_path / "real.json").write_text(json.dumps([list(range(1000)), *[[]] * (N - 1)]))
    done = run_all(*command, "--real-labels", tmp_path / "real.json")
    assert done.returncode == 0, done.stderr
    assert "already evaluated" in done.stderr
    assert "of 2 images (of 50,000), 100.00 % on the 1 with ReaL labels" in done.stderr
    (second,), _ = load_evaluations(tmp_path / "runs")
    assert second == dataclasses.replace(first, real_hits=1, real_images=1)
    page = (tmp_path / "reports" / "table_4.md").read_text()
    assert "ReaL %" in page.partition("## Evaluated here")[2]
