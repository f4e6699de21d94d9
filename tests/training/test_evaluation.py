"""Released weights: found, refused or evaluated, killed and resumed, and told of."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import ImageNetInfo, create_transform

from bench.paper import TABLES
from bench.paper.released import RELEASED
from bench.results.evaluation import EvaluationSpec
from bench.results.predictions import UNREAD, load_predictions
from bench.results.store import evaluations_folder, load_evaluation, load_evaluations
from bench.spec.run import Network, Resources
from bench.training import evaluation as evaluate
from bench.training.data import CIFAR_CLASSES, Synthetic, require_all_classes
from bench.training.identity import identify
from bench.training.released_weights import find
from bench.training.signals import Interrupted, Stop
from models.checkpoints import read_checkpoint
from tests.conftest import ROOT
from tests.models.test_checkpoint_files import TYPE_WITH_OBJECTS, with_pickle
from tests.models.test_checkpoints import Malicious, save
from tests.training.test_formulation import layouts

RUNS = {row.name: row.run for number in (2, 3, 4, 5, 6) for row in TABLES[number].rows if row.run}
MISPREDICTED, PREDICTED = 2, 4
"""images of the small ImageNet below: those whose folder is not, and is, what the T2T-ViT-7 of the tests says"""


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    """A file of the authors' kind with a T2T-ViT-7 that tells images apart, and the network."""
    torch.manual_seed(0)
    net = timm.create_model("t2t_vit_7").eval()
    torch.nn.init.normal_(net.head.weight)
    return save(tmp_path_factory.mktemp("seven") / "71.7_T2T_ViT_7.pth.tar", net), net


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory, seven):
    """A few images in folders named for what the network sees in them, by WordNet id, or for something else."""
    folder = tmp_path_factory.mktemp("data")
    chance, names = np.random.RandomState(0), ImageNetInfo().label_names()
    transform = create_transform(224, crop_pct=0.9, interpolation="bicubic")
    for i in range(PREDICTED + MISPREDICTED):
        image = Image.fromarray(chance.randint(0, 255, (8, 10, 3), dtype=np.uint8)).resize((250, 300))
        image.save(folder / "image.JPEG")
        with torch.no_grad(), Image.open(folder / "image.JPEG") as saved:
            ranking = seven[1](transform(saved.convert("RGB"))[None])[0].argsort(descending=True)
        label = int(ranking[0 if i < PREDICTED else 500])
        (folder / "imagenet" / "val" / names[label]).mkdir(parents=True, exist_ok=True)
        (folder / "image.JPEG").rename(folder / "imagenet" / "val" / names[label] / f"{i}.JPEG")
    return folder


@pytest.fixture
def command(run_all, measured_once, tmp_path):
    """The command line on measurements that are there, with folders of its own; (its process, its JSON)."""
    runs = tmp_path / "runs"
    shutil.copytree(measured_once[1] / "complexity", runs / "complexity")

    def run(weights, data, *args):
        options = ("--data", data, "--runs", runs, "--reports", tmp_path / "reports", "--json")
        done = run_all("evaluate", weights, *args, *options, timeout=300)
        assert "Traceback" not in done.stderr
        return done, json.loads(done.stdout) if done.returncode < 2 else None

    return run


def rows_of(document, number):
    (table,) = [table for table in document["tables"] if table["table"] == number]
    return {row["model"]: row for row in table["rows"]}, {found["model"]: found for found in table["evaluations"]}


def test_files_of_all_kinds_end_as_they_should(command, seven, imagenet, tmp_path):
    weights, marker = tmp_path / "weights", tmp_path / "ran"
    (weights / "below").mkdir(parents=True)
    shutil.copy(seven[0], weights / "below")
    save(weights / "renamed.pth", timm.create_model("t2t_vit_10"))
    save(weights / "other.pth", timm.create_model("vit_dn"))
    shutil.copy(seven[0], weights / "76.5_T2T_ViT_12.pth.tar")
    save(weights / "83.3_T2T_ViT_14.pth.tar", timm.create_model("t2t_vit_14"))
    whole = (weights / "83.3_T2T_ViT_14.pth.tar").read_bytes()
    (weights / "81.5_T2T_ViT_14.pth.tar").write_bytes(whole[: len(whole) // 2])
    torch.save({"state_dict": {}, "args": Malicious(marker)}, weights / "82.3_T2T_ViT_24.pth.tar")
    chosen = ("--table", 2, 4, "--edition", "readme", "--only", "t2t_vit_*")
    done, document = command(weights, imagenet, *chosen)
    assert done.returncode == 1, done.stderr
    failures = "\n".join(document["failures"])
    assert len(document["failures"]) == 3
    assert "76.5_T2T_ViT_12.pth.tar: its weights are not this network's (55 missing" in failures
    assert "they fit t2t_vit_7" in failures
    assert "81.5_T2T_ViT_14.pth.tar: not a whole checkpoint" in failures
    assert "82.3_T2T_ViT_24.pth.tar: refused: reading it would call posix.system" in failures
    assert not marker.exists()
    assert (
        f"not evaluated: {weights / 'other.pth'} fits vit_dn at 224 px with 1000 classes, for which there are no"
        in done.stderr
    )

    rows, found = rows_of(document, 4)
    assert found.keys() == {"T2T-ViT-7", "T2T-ViT-10"}
    assert (found["T2T-ViT-10"]["file"], found["T2T-ViT-10"]["found_by"]) == ("renamed.pth", "content")
    one = found["T2T-ViT-7"]
    images = PREDICTED + MISPREDICTED
    assert (one["images"], one["expected_images"], one["fills_a_cell"]) == (images, 50_000, False)
    assert one["top1_pct"] == pytest.approx(100 * PREDICTED / images)
    assert one["sha256"] == read_checkpoint(seven[0]).sha256
    assert (one["key"], one["found_by"], one["crop_pct"], one["precision"]) == (
        "state_dict_ema",
        "name",
        0.9,
        "float32",
    )
    assert all(row["top1_pct"] is None and row["source"] == "measured" for row in rows.values())
    _, found = rows_of(document, 2)
    assert (found["T2T-ViT-14 at 384 px"]["resized"], found["T2T-ViT-14 at 384 px"]["img_size"]) == ("pos_embed", 384)
    text = (tmp_path / "reports" / "table_2.md").read_text().partition("## Evaluated here")[2]
    assert "fills no cell: pos_embed resized to 384 px, unlike the weights as released" in text
    text = (tmp_path / "reports" / "table_4.md").read_text().partition("## Evaluated here")[2]
    assert f"fills no cell: it covers {images} of 50,000 images" in text
    assert "recognized as 75.2_T2T_ViT_10.pth.tar by its content, not by its name" in text

    kept = {path: path.read_bytes() for path in evaluations_folder(tmp_path / "runs").iterdir()}
    again, _ = command(weights, imagenet, *chosen)
    assert again.stderr.count("already evaluated") == sum(path.suffix == ".json" for path in kept) == 3
    assert kept == {path: path.read_bytes() for path in evaluations_folder(tmp_path / "runs").iterdir()}


def test_a_cifar_file_goes_to_table_5(command, tmp_path):
    chance, weights = np.random.RandomState(0), tmp_path / "weights"
    for label in CIFAR_CLASSES["cifar10"]:
        folder = tmp_path / "data" / "cifar10" / "test" / label
        folder.mkdir(parents=True)
        Image.fromarray(chance.randint(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / "0.png")
    weights.mkdir()
    save(weights / "cifar10_t2t-vit_14_98.3.pth", timm.create_model("t2t_vit_14", num_classes=10), key="net")
    save(weights / "81.5_T2T_ViT_14.pth.tar", timm.create_model("t2t_vit_14", num_classes=10))
    done, document = command(weights, tmp_path / "data", "--table", 5)
    assert done.returncode == 1
    assert len(document["failures"]) == 1
    assert "no imagenet images in" in document["failures"][0]  # and the other data set goes on
    _, found = rows_of(document, 5)
    found = found["T2T-ViT-14"]
    assert (found["dataset"], found["images"], found["expected_images"]) == ("cifar10", 10, 10_000)
    assert (found["key"], found["crop_pct"], found["eval_interpolation"]) == ("net", 1.0, "bilinear")
    shutil.rmtree(tmp_path / "data" / "cifar10" / "test" / "cat")
    done, _ = command(weights, tmp_path / "data", "--table", 5)
    assert done.returncode == 2
    assert "no imagenet" in done.stderr.splitlines()[-1]


def test_a_head_for_other_classes_is_another_model(tmp_path):
    path = save(tmp_path / "file.pth", timm.create_model("t2t_vit_7", num_classes=10))
    with pytest.raises(evaluate.CheckpointError, match=r"file\.pth: its head is not for the 1000 .*head\.weight"):
        evaluate.load_weights(read_checkpoint(path), "tiny.pth", "name", Network("t2t_vit_7"), "imagenet")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that does not answer, and a cache that is empty so far."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return tmp_path / "hub" / "hub"


@pytest.mark.extended
def test_weights_by_tag_come_from_the_cache_for_the_unmarked_row_alone(command, imagenet, hub, tmp_path):
    snapshot = hub / "models--timm--resnet50.tv_in1k" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (hub / "models--timm--resnet50.tv_in1k" / "refs").mkdir()
    (hub / "models--timm--resnet50.tv_in1k" / "refs" / "main").write_text("0" * 40)
    save_file(timm.create_model("resnet50").state_dict(), snapshot / "model.safetensors")
    (tmp_path / "weights").mkdir()
    done, document = command(tmp_path / "weights", imagenet, "--table", 3, "--only", "resnet50", "resnet101")
    assert done.returncode == 0, done.stderr
    _, found = rows_of(document, 3)
    assert found.keys() == {"ResNet50"}
    found = found["ResNet50"]
    assert (found["released"], found["found_by"]) == ("resnet50.tv_in1k", "hub")
    assert found["file"] == "timm/resnet50.tv_in1k/model.safetensors"
    assert (found["crop_pct"], found["eval_interpolation"]) == (0.875, "bilinear")
    (line,) = [line for line in done.stderr.splitlines() if "not evaluated" in line]
    assert "resnet101.tv_in1k: not in" in line
    assert "not in the hub's cache, and the hub does not answer" in line
    assert "`hf download timm/resnet101.tv_in1k model.safetensors`" in line


def test_a_folder_without_anything_that_was_looked_for(command, imagenet, tmp_path):
    (tmp_path / "weights").mkdir()
    done, _ = command(tmp_path / "weights", imagenet, "--table", 4)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "holds no weights of these rows; looked for 71.7_T2T_ViT_7.pth.tar, 76.5_T2T_ViT_12.pth.tar" in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere", "--table", "3"], ["'nowhere' is not a folder"]),
        (["tests"], ["--table N", "--all"]),
        (["tests", "--table", "6", "--only", "ViT-*"], ["no released weights exist for these rows"]),
        (["tests", "--table", "3", "--only", "ResNet50[*]"], ["no released weights", "star"]),
        (["tests", "--table", "3", "--run", "slurm"], ["unrecognized arguments: --run slurm", "did you mean --runs"]),
        (["tests", "--table", "9"], ["--table 9: experiment settings"]),
    ],
)
def test_requests_that_make_no_sense(run_all, tmp_path, options, words):
    done = run_all("evaluate", *options, "--runs", tmp_path, "--reports", tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in words)


# Finding


def test_a_name_beats_content_and_two_files_for_one_run_are_none(seven, tmp_path):
    shutil.copy(seven[0], tmp_path)
    shutil.copy(seven[0], tmp_path / "mine.pt")
    wanted = [RUNS["T2T-ViT-7"]]
    findings = find(tmp_path, wanted, RELEASED)
    assert [(found.path.name, found.by) for found in findings.found] == [("71.7_T2T_ViT_7.pth.tar", "name")]
    assert len(findings.unwanted) == 1
    assert (
        "mine.pt is of t2t_vit_7 at 224 px on imagenet, and another file has the official name" in findings.unwanted[0]
    )
    (tmp_path / "71.7_T2T_ViT_7.pth.tar").rename(tmp_path / "yours.pth")
    (tmp_path / "link.pth").symlink_to(tmp_path / "mine.pt")
    (found,) = find(tmp_path, wanted, RELEASED).found  # copies and links are one file
    assert (found.by, found.path.suffix) == ("content", ".pth")
    (tmp_path / "link.pth").unlink()
    save(tmp_path / "yours.pth", timm.create_model("t2t_vit_7"))
    findings = find(tmp_path, wanted, RELEASED)
    assert (findings.found, len(findings.failures)) == ([], 1)
    assert "mine.pt and " in findings.failures[0]
    assert "yours.pth are both of t2t_vit_7 at 224 px on imagenet; keep only one" in findings.failures[0]
    assert "which no selected row uses" in find(tmp_path, [], RELEASED).unwanted[0]


@pytest.mark.parametrize(
    ("arguments", "row"),
    [({}, "T2T-ViT-14"), ({"img_size": 384}, "T2T-ViT-14 at 384 px"), ({"num_classes": 100}, None)],
    ids=["224 px", "384 px", "CIFAR-100"],
)
def test_resolution_and_classes_tell_the_run_and_what_was_released_settles_the_rest(arguments, row, tmp_path):
    save(tmp_path / "a.pth", timm.create_model("t2t_vit_14", **arguments))  # with 32 heads its shapes are the same
    (found,) = find(tmp_path, RELEASED, RELEASED).found
    assert found.by == "content"
    expected = RUNS[row] if row else next(run for run in RELEASED if run.dataset == "cifar100")
    assert found.run == expected
    assert found.checkpoint is not None  # read once


def test_a_name_with_digits_of_the_sha256_is_held_to_them(tmp_path):
    torch.save(timm.create_model("resnet50").state_dict(), tmp_path / "resnet50-0676ba61.pth")
    (found,) = find(tmp_path, [RUNS["ResNet50"]], RELEASED).found
    with pytest.raises(evaluate.CheckpointError, match=r"its sha256 begins .* and its name says 0676ba61; fetch it"):
        found.read()


def test_released_weights_are_of_rows_and_as_timm_and_torchvision_name_them():
    runs = {run for table in TABLES.values() for row in table.rows for run in row.runs}
    starred = {row.run for table in TABLES.values() for row in table.rows if row.name.endswith("*")}
    assert set(RELEASED) <= runs - starred
    names = [name for released in RELEASED.values() for name in (*released.files, released.name)]
    assert len(set(names)) == sum(len(released.files) + bool(released.tag) for released in RELEASED.values())
    for run, released in RELEASED.items():
        if released.tag:
            cfg = timm.get_pretrained_cfg(released.tag)
            assert cfg.architecture == run.model
            assert not cfg.url or cfg.url == released.source
        else:
            assert released.source.endswith(released.files[0])


def test_what_is_no_file_of_released_weights_stops_nothing(seven, tmp_path):
    with (tmp_path / "ILSVRC2012_img_val.tar").open("wb") as archive:
        archive.truncate(2**42)  # more than any memory holds
    weights = timm.create_model("t2t_vit_7").state_dict()
    torch.save({"network": weights, "ema": weights, "epoch": 1}, tmp_path / "epoch-00001-step-0000001.pt")
    torch.save(weights | {"pos_embed": torch.zeros(3, 3)}, tmp_path / "flat.pth")
    torch.save(weights | {"head.weight": torch.zeros(())}, tmp_path / "scalar.pth")
    shutil.copy(seven[0], tmp_path / "good.pth")
    findings = find(tmp_path, [RUNS["T2T-ViT-7"]], RELEASED)
    assert [found.path.name for found in findings.found] == ["good.pth"]
    assert findings.failures == []
    told = "\n".join(findings.unwanted)
    assert "ILSVRC2012_img_val.tar is not a file of weights" in told
    assert "epoch-00001-step-0000001.pt is a checkpoint of a run" in told
    assert told.count("fits no network with known released weights, of which t2t_vit_7 is nearest") == 2


def test_odd_files_are_told_of_beside_those_that_are_evaluated(seven, tmp_path):
    """What is no regular file, of no square grid, of several networks, damaged or hostile; the rest goes on."""
    weights = timm.create_model("t2t_vit_7").state_dict()
    wrapped = {"state_dict": {f"model._orig_mod.{name}": value for name, value in seven[1].state_dict().items()}}
    torch.save(wrapped | {"pytorch-lightning_version": "2.4"}, tmp_path / "last.ckpt")
    os.mkfifo(tmp_path / "pipe.pth")
    os.mkfifo(tmp_path / "76.5_T2T_ViT_12.pth.tar")
    (tmp_path / "zero.bin").symlink_to("/dev/zero")
    (tmp_path / "gone.pt").symlink_to("/nowhere")
    (tmp_path / "loop.pt").symlink_to(tmp_path / "loop.pt")
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "empty.pth").touch()
    (tmp_path / "hostile.pth").write_bytes(with_pickle(TYPE_WITH_OBJECTS))
    (tmp_path / "cut.pth").write_bytes(seven[0].read_bytes()[:999])
    for number in (0, 1, 99):
        torch.save(weights | {"pos_embed": torch.zeros(1, number, 256)}, tmp_path / f"positions_{number}.pth")
    both = {f"{part}.{name}": value for part in ("student", "teacher") for name, value in weights.items()}
    torch.save(both, tmp_path / "both.pth")
    findings = find(tmp_path, [RUNS["T2T-ViT-7"], RUNS["T2T-ViT-12"]], RELEASED)
    named = [found.path.name for found in findings.found]
    assert named == ["last.ckpt", "76.5_T2T_ViT_12.pth.tar"]
    with pytest.raises(OSError, match="not a regular file"):  # which is its line in the report of the command
        findings.found[1].read()
    assert findings.found[0].checkpoint.prefix == "model._orig_mod."
    lines = {line.split(": ")[0].rpartition("/")[2]: line for line in findings.failures}
    assert len(lines) == len(findings.failures)
    for name, words in {
        "pipe.pth": "not a regular file",
        "zero.bin": "not a regular file",
        "gone.pt": "No such file",
        "loop.pt": "symbolic links",
        "hostile.pth": "no weights in it",
        "cut.pth": "not a whole checkpoint",
    }.items():
        assert words in lines.pop(name)
    assert lines == {}
    told = "\n".join(findings.unwanted)
    assert "folder.pth is a folder" in told
    assert "empty.pth is not a file of weights" in told
    assert told.count("fits t2t_vit_7, but its positions do not form a square") == 3
    assert "both.pth fits no network with known released weights, but those behind student. fit t2t_vit_7 and" in told


@pytest.mark.parametrize("wrong", [["plane", *CIFAR_CLASSES["cifar10"][1:]], CIFAR_CLASSES["cifar10"][:9]])
def test_labels_that_may_mean_other_classes_are_refused(wrong):
    images = Synthetic("val")
    images.classes = CIFAR_CLASSES["cifar10"]
    require_all_classes("cifar10", images)
    images.classes = sorted(wrong)
    with pytest.raises(evaluate.RequestError, match=r"'plane' is none of its classes|'truck' is missing"):
        require_all_classes("cifar10", images)


def test_the_classes_of_cifar_are_as_many_and_in_the_order_of_their_labels():
    for name, count in (("cifar10", 10), ("cifar100", 100)):
        assert len(CIFAR_CLASSES[name]) == len(set(CIFAR_CLASSES[name])) == count
        assert CIFAR_CLASSES[name] == sorted(CIFAR_CLASSES[name])


@pytest.mark.extended
def test_an_image_that_was_repaired_is_evaluated_and_a_name_that_became_official_is_kept(command, seven, tmp_path):
    weights, folder = tmp_path / "weights", tmp_path / "data" / "imagenet" / "val" / ImageNetInfo().label_names()[3]
    weights.mkdir()
    folder.mkdir(parents=True)
    shutil.copy(seven[0], weights / "mine.pth")
    for i in range(2):
        Image.new("RGB", (50, 50), (100 * i, 9, 9)).save(folder / f"{i}.JPEG")
    whole = (folder / "1.JPEG").read_bytes()

    def evaluated():
        done, document = command(weights, tmp_path / "data", "--table", 4, "--only", "t2t_vit_7")
        return done, rows_of(document, 4)[1].get("T2T-ViT-7") if document else None

    (folder / "0.JPEG").write_bytes(b"junk" * (len(whole) // 4) + b"junk"[: len(whole) % 4])
    (folder / "1.JPEG").write_bytes((folder / "0.JPEG").read_bytes())
    done, one = evaluated()
    assert one is None
    assert "not one of 2 images could be read" in done.stderr
    (folder / "1.JPEG").write_bytes(whole)
    assert evaluated()[1]["unreadable"] == 1
    (folder / "0.JPEG").write_bytes(whole)
    done, one = evaluated()
    assert (one["images"], one["unreadable"], one["found_by"]) == (2, 0, "content")
    (weights / "mine.pth").rename(weights / "71.7_T2T_ViT_7.pth.tar")
    done, one = evaluated()
    assert "already evaluated" in done.stderr
    assert (one["file"], one["found_by"]) == ("71.7_T2T_ViT_7.pth.tar", "name")
    (evaluations_folder(tmp_path / "runs") / "folder.json").mkdir()
    done, _ = evaluated()
    assert "not used:" in done.stderr
    assert "folder.json: Is a directory" in done.stderr


# Killed, resumed, in several processes


TINY = (("embed_dim", 32), ("depth", 1), ("num_heads", 2))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny network's file, and the evaluation of it on generated images that nothing disturbed."""
    torch.manual_seed(1)
    net = timm.create_model("t2t_vit_7", **dict(TINY), img_size=32, num_classes=10)
    torch.nn.init.normal_(net.head.weight)
    folder = tmp_path_factory.mktemp("tiny")
    path = save(folder / "tiny.pth", net)
    spec = EvaluationSpec(
        released="tiny.pth",
        sha256=read_checkpoint(path).sha256,
        network=Network("t2t_vit_7", model_args=TINY, img_size=32),
        dataset="synthetic",
        crop_pct=1.0,
        eval_interpolation="bilinear",
        precision="float32",
        images=256,
        classes=10,
        images_sha256=identify(Synthetic("val")).sha256,
    )
    code, err = finish(start(path, folder, spec))
    assert code == 0, err
    return path, spec, load_evaluation(folder, spec)


def given(**kwargs):
    return Resources(**{"data": "nowhere", "micro_batch": 2, "save_every_s": 0} | kwargs)


def job(spec, weights, images, runs, resources):
    return evaluate.Job(spec=spec, weights=weights, images=images, runs=runs, resources=resources)


def start(path, runs, spec):
    part = [json.dumps(dataclasses.asdict(part)) for part in (spec, given())]
    command = [sys.executable, "-m", "bench.training.evaluation", str(path), "tiny.pth", "name", str(runs), *part]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def found(evaluation):
    return evaluation.images, evaluation.top1_hits, evaluation.top5_hits, evaluation.predictions_sha256


def test_one_that_is_killed_or_told_to_stop_ends_with_the_same_hits(tiny, tmp_path):
    path, spec, undisturbed = tiny
    assert undisturbed.is_whole
    assert 0 < undisturbed.top1_hits < undisturbed.top5_hits < 256
    seen = 0
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = start(path, tmp_path, spec)
        while process.poll() is None and ((part := load_evaluation(tmp_path, spec)) is None or part.images <= seen):
            time.sleep(0.001)
        process.send_signal(number)
        code, err = finish(process)
        assert code == (-number if number == signal.SIGKILL else 0), err
        part = load_evaluation(tmp_path, spec)
        assert seen < part.images < 256
        assert load_evaluations(tmp_path) == ([], [])  # what is not done is no evaluation
        seen = part.images
    code, err = finish(start(path, tmp_path, spec))
    assert code == 0, err
    assert found(load_evaluation(tmp_path, spec)) == found(undisturbed)
    npz = f"{spec.evaluation_id}.{undisturbed.predictions_sha256[:8]}.npz"
    assert {file.name for file in evaluations_folder(tmp_path).iterdir()} == {f"{spec.evaluation_id}.json", npz}
    said = load_predictions(tmp_path, load_evaluation(tmp_path, spec))
    assert said.top1_pct("released") == undisturbed.top1_pct
    assert said.labels.tolist() == Synthetic("val").targets


def test_two_processes_find_the_same_and_go_on_from_what_one_began(tiny, tmp_path):
    path, spec, undisturbed = tiny
    process = start(path, tmp_path, spec)
    while process.poll() is None and load_evaluation(tmp_path, spec) is None:
        time.sleep(0.001)
    process.kill()
    finish(process)
    begun = load_evaluation(tmp_path, spec)
    assert begun.images < 256
    weights = evaluate.load_weights(read_checkpoint(path), "tiny.pth", "name", spec.network, spec.dataset)
    stop = Stop()

    def stop_beyond(seen):
        if seen > begun.images:
            stop.signal = signal.SIGINT

    with pytest.raises(Interrupted, match=r"SIGINT in image \d+ of 256"):
        evaluate.evaluate_on(2, job(spec, weights, None, tmp_path, given()), stop, stop_beyond)
    assert begun.images < load_evaluation(tmp_path, spec).images < 256
    told = []
    both = evaluate.evaluate_on(2, job(spec, weights, None, tmp_path, given(micro_batch=24)), Stop(), told.append)
    assert found(both) == found(undisturbed)
    assert both.world_size == 2
    assert both.wall_time_s >= begun.wall_time_s
    assert told


def test_a_signal_while_several_processes_start_is_no_failure(tiny, tmp_path):
    path, spec, _ = tiny
    weights = evaluate.load_weights(read_checkpoint(path), "tiny.pth", "name", spec.network, spec.dataset)
    stop = Stop()
    stop.signal = signal.SIGINT
    with pytest.raises(Interrupted, match="SIGINT in image 0 of 256"):
        evaluate.evaluate_on(2, job(spec, weights, None, tmp_path, given()), stop)


def test_a_part_of_another_evaluation_is_not_gone_on_from(tiny, tmp_path):
    path, spec, _ = tiny
    weights = evaluate.load_weights(read_checkpoint(path), "tiny.pth", "name", spec.network, spec.dataset)
    images = evaluate.open_val("synthetic", given())
    stop = Stop()
    stop.signal = signal.SIGTERM
    with pytest.raises(Interrupted, match="SIGTERM in image 2 of 256"):
        evaluate.evaluate_on(1, job(spec, weights, images, tmp_path, given()), stop)
    assert load_evaluation(tmp_path, spec).images == 2
    for change in ({"sha256": "0" * 64}, {"precision": "bfloat16"}, {"images": 255}, {"images_sha256": "1"}):
        assert load_evaluation(tmp_path, dataclasses.replace(spec, **change)) is None
    (part,) = evaluations_folder(tmp_path).glob("*.json")
    part.write_text(part.read_text()[:100])
    assert load_evaluation(tmp_path, spec) is None


def test_images_that_do_not_load_are_named_and_limited(tiny, tmp_path):
    path, spec, undisturbed = tiny
    weights = evaluate.load_weights(read_checkpoint(path), "tiny.pth", "name", spec.network, spec.dataset)

    class Broken:
        samples = None

        def __init__(self):
            self.images = evaluate.open_val("synthetic", given())

        def __len__(self):
            return 256

        def __getitem__(self, index):
            if index in (3, 4, 250):
                raise OSError("damaged")
            return self.images[index]

    with pytest.raises(evaluate.data.Unreadable, match=r"3 images failed.* skip 2; the last: image 250: OSError: d"):
        evaluate.evaluate_on(1, job(spec, weights, Broken(), tmp_path / "a", given(max_unreadable=2)), Stop())
    done = evaluate.evaluate_on(1, job(spec, weights, Broken(), tmp_path / "b", given()), Stop())
    assert (done.images, len(done.unreadable), done.is_done, done.is_whole) == (253, 3, True, False)
    said = load_predictions(tmp_path / "b", done)
    assert [index for index, guess in enumerate(said.predicted["released"]) if guess == UNREAD] == [3, 4, 250]
    assert said.top1_pct("released") == done.top1_pct
    assert undisturbed.top1_hits - 3 <= done.top1_hits <= undisturbed.top1_hits


def test_a_cnn_is_evaluated_in_channels_last(tiny, tmp_path):
    network, images = Network("test_resnet", img_size=32), evaluate.open_val("synthetic", given())
    path = save(tmp_path / "cnn.pth", timm.create_model("test_resnet", num_classes=10))
    weights = evaluate.load_weights(read_checkpoint(path), "cnn.pth", "name", network, "synthetic")
    spec = dataclasses.replace(tiny[1], network=network, sha256=weights.checkpoint.sha256)
    found = layouts(weights.network)
    assert evaluate.evaluate_on(1, job(spec, weights, images, tmp_path, given(micro_batch=256)), Stop()).is_done
    assert found
    assert all(found)


def test_weights_that_give_no_finite_output_are_a_failure(tiny, tmp_path):
    path, spec, _ = tiny
    weights = evaluate.load_weights(read_checkpoint(path), "tiny.pth", "name", spec.network, spec.dataset)
    weights.network.head.bias.data.fill_(float("nan"))
    images = evaluate.open_val("synthetic", given())
    with pytest.raises(evaluate.EvaluationFailed, match=r"tiny\.pth: an output is not finite in float32"):
        evaluate.evaluate_on(1, job(spec, weights, images, tmp_path, given()), Stop())
