"""Fine-tuning: what is trained, what it starts from, and what it is chosen by."""

import dataclasses
import hashlib
import json
import time

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image

from bench.cli.main import main
from bench.experiments.budgets import SMOKE
from bench.experiments.recipes import CIFAR_TRANSFER, CIFAR_TRANSFER_CORRECTED, TRANSFER_RECIPES, override
from bench.launch import job
from bench.results.run_folder import checkpoints, load_record
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec, Weights
from bench.training import data, trainer
from bench.training.build import build_network
from bench.training.signals import Stop
from tests.models.test_checkpoints import save
from tests.training.test_trainer import TINY, finish, resources, result, start

PLAN = ("--run", "slurm", "--data-on-nodes", "--dry-run")
SYNTHETIC = {"model": "t2t_vit_7", "model_args": TINY, "dataset": "synthetic", "img_size": 32}


def tuned(recipe, *settings, **kwargs):
    """Two epochs of eight steps on generated images, dropout off."""
    return RunSpec(recipe=override(override(recipe, ["epochs=2", "drop_path=0"]), settings), **SYNTHETIC | kwargs)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Weights of another number of classes in the authors' format, and what is in it."""
    torch.manual_seed(5)
    net = build_network(tuned(SMOKE), 7)
    path = save(tmp_path_factory.mktemp("weights") / "file.pth.tar", net)
    return path, Weights(file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest()), net.state_dict()


@pytest.mark.parametrize("name", TRANSFER_RECIPES)
def test_the_authors_recipe_freezes_class_token_and_final_norm_and_the_corrected_trains_them(name, file, tmp_path):
    path, weights, before = file
    spec = tuned(TRANSFER_RECIPES[name]).starting_from(weights)
    folder = job.prepare(tmp_path, spec)
    job.run(folder, resources(files={weights.sha256: str(path)}), Stop())
    after = result(folder)[1]["network"]
    same = {key for key, value in after.items() if not key.startswith("head") and torch.equal(value, before[key])}
    fixed = {"pos_embed", "tokens_to_token.attention1.w", "tokens_to_token.attention2.w"}
    frozen = {"cls_token", "norm.weight", "norm.bias"}
    assert same == (fixed | frozen if name == CIFAR_TRANSFER.name else fixed)
    record = load_record(folder)
    assert record.spec["weights"] == weights.sha256
    events = {event["what"]: event.get("note", "") for event in record.history}
    assert events["starts from"] == path.name
    assert "a new head for 10 classes" in events["new head"]
    assert spec.run_id.split("-")[2] == name


def test_the_corrected_recipe_differs_in_nothing_else():
    fields = [f.name for f in dataclasses.fields(CIFAR_TRANSFER) if f.compare and f.name != "name"]
    differing = {n for n in fields if getattr(CIFAR_TRANSFER, n) != getattr(CIFAR_TRANSFER_CORRECTED, n)}
    assert differing == {"freeze_class_token_and_norm", "backbone_min_lr_scale", "held_out"}
    assert CIFAR_TRANSFER.held_out == 0


def test_held_out_images_choose_and_the_others_are_seen_once(tmp_path):
    """Epochs count as what they are, and no best one is known of the images that are reported."""
    folder = job.prepare(tmp_path, tuned(CIFAR_TRANSFER_CORRECTED, "ema_decay=0.5"))
    job.run(folder, resources(), Stop())
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["raw_val_images"] for line in lines] == [51, 51]  # a tenth of 512
    results = load_record(folder).results
    assert results["held_out_raw_last_top1_pct"] == lines[1]["raw_top1_pct"]
    assert results["held_out_ema_last_top1_pct"] == lines[1]["ema_top1_pct"]
    assert {name for name in results if not name.startswith("held_out")} == {
        f"{kind}_last_{top}_pct" for kind in ("raw", "ema") for top in ("top1", "top5")
    }
    spec = tuned(CIFAR_TRANSFER_CORRECTED, "ema_decay=0.5")
    here = trainer.World(rank=0, size=1, device=torch.device("cpu"))
    training = trainer.Training(spec, resources(), here, None, None, None, job._Nothing(), Stop())
    trained, chosen = (loader.dataset.images.indices for loader in (training.train_loader.loader, training.eval_loader))
    assert (training.batches.size, len(chosen), len({*trained, *chosen})) == (461, 51, 512)
    assert len(training.test_loader.dataset.images) == 256
    network = build_network(spec, 10)
    network.load_state_dict(result(folder)[1]["ema"])
    known = data.KNOWN["synthetic"]
    images = data.Synthetic("val")
    transform = data.eval_transform(spec.recipe, 32, known)
    with torch.no_grad():
        logits = network.eval()(torch.stack([transform(images[i][0]) for i in range(256)]))
    hits = (logits.argmax(1) == torch.tensor([images[i][1] for i in range(256)])).sum().item()
    assert results["ema_last_top1_pct"] == pytest.approx(100 * hits / 256, abs=0.8)  # bfloat16 there


def test_what_is_held_out_is_never_trained_on_and_the_same_for_every_seed():
    images = data.Synthetic("train")
    left, held = data.hold_out(images, 0.1)
    assert (len(left), len(held)) == (461, 51)
    assert not set(left.indices) & set(held.indices)
    assert sorted([*left.indices, *held.indices]) == list(range(512))
    assert held.indices == data.hold_out(images, 0.1)[1].indices
    assert held[3][1] == images[held.indices[3]][1]


@pytest.mark.extended
def test_a_run_killed_before_its_last_look_at_the_images_ends_with_the_same_result(tmp_path):
    spec = tuned(CIFAR_TRANSFER_CORRECTED)
    whole, cut = job.prepare(tmp_path / "whole", spec), job.prepare(tmp_path / "cut", spec)
    job.run(whole, resources(), Stop())
    process = start(cut)
    while process.poll() is None and not any("epoch-00002" in path.name for path in checkpoints(cut)):
        time.sleep(0.002)
    process.kill()
    finish(process)
    job.run(cut, resources(), Stop())
    assert load_record(cut).results == load_record(whole).results
    assert result(cut)[0] == result(whole)[0]


def test_nothing_can_be_held_out_of_too_few(tmp_path):
    folder = job.prepare(tmp_path, tuned(CIFAR_TRANSFER_CORRECTED, "held_out=0.0001"))
    with pytest.raises(RequestError, match=r"held_out=0.0001 of 512 training images is none"):
        job.run(folder, resources(), Stop())


def test_a_file_that_is_not_given_or_has_changed_stops_the_run(file, tmp_path):
    path, weights, _ = file
    folder = job.prepare(tmp_path / "runs", tuned(CIFAR_TRANSFER).starting_from(weights))
    with pytest.raises(
        RequestError, match=rf"needs file.pth.tar \(sha256 {weights.sha256[:8]}.*give it with --weights"
    ):
        job.run(folder, resources(), Stop())
    with pytest.raises(RequestError, match=r"gone: No such file.*--weights"):
        job.run(folder, resources(files={weights.sha256: str(tmp_path / "gone")}), Stop())
    other = tmp_path / "other.pth"
    other.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RequestError, match=r"other.pth holds another by now \(sha256"):
        job.run(folder, resources(files={weights.sha256: str(other)}), Stop())
    assert not checkpoints(folder)


def test_a_head_for_as_many_classes_is_kept_and_said_so(tmp_path):
    net = build_network(tuned(SMOKE), 10)
    path = save(tmp_path / "file.pth", net)
    weights = Weights(file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    spec = tuned(CIFAR_TRANSFER, "epochs=1", "lr=1e-9", "min_lr=0").starting_from(weights)
    folder = job.prepare(tmp_path, spec)
    job.run(folder, resources(files={weights.sha256: str(path)}), Stop())
    torch.testing.assert_close(result(folder)[1]["network"]["head.weight"], net.head.weight.detach())
    assert "kept head" in [event["what"] for event in load_record(folder).history]


def test_the_checkpoint_of_a_run_of_ours_is_a_file_too(file, tmp_path):
    parent = job.prepare(tmp_path, tuned(SMOKE))
    job.run(parent, resources(), Stop())
    path = checkpoints(parent)[0]
    weights = Weights(file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    spec = tuned(CIFAR_TRANSFER, "epochs=1", "lr=1e-9", "min_lr=0").starting_from(weights)
    job.run(job.prepare(tmp_path, spec), resources(files={weights.sha256: str(path)}), Stop())
    ours, averaged = result(tmp_path / spec.run_id)[1]["network"], result(parent)[1]["ema"]
    torch.testing.assert_close(ours["blocks.0.mlp.fc1.weight"], averaged["blocks.0.mlp.fc1.weight"])


# On the command line


@pytest.fixture(scope="module")
def t2t_vit_14(tmp_path_factory):
    """A file of the authors' format."""
    return save(tmp_path_factory.mktemp("released") / "mine.pth.tar", timm.create_model("t2t_vit_14"))


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """Two classes of noise: 4 training and 2 test images each."""
    folder, chance = tmp_path_factory.mktemp("data"), np.random.RandomState(0)
    for name, split, count in (
        (name, split, count) for name in ("cifar10", "cifar100") for split, count in (("train", 4), ("test", 2))
    ):
        for label in ("apple", "bee"):
            place = folder / name / split / label
            place.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(chance.randint(0, 256, (32, 32, 3), np.uint8)).save(place / f"{i}.png")
    return folder


def test_a_file_is_fine_tuned_by_the_corrected_recipe_and_reported_apart(run_all, t2t_vit_14, cifar, tmp_path):
    command = ["--table", 5, "--recipe", "cifar_transfer_corrected", "--weights", t2t_vit_14]
    command += ["--set", "epochs=1", "global_batch=4", "--only", "T2T-ViT-14, cifar10"]
    where = ["--runs", tmp_path / "runs", "--reports", tmp_path / "reports"]
    done = run_all(*command, *where, "--run", "local", "--data", cifar, "--seeds", 1, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "1 of the training images are held out" in done.stderr
    (report,) = (tmp_path / "reports").glob("*.md")
    text = report.read_text()
    digest = hashlib.sha256(t2t_vit_14.read_bytes()).hexdigest()
    name = f"table_5_cifar_transfer_corrected_mine.pth.tar-{digest[:8]}_epochs=1_global_batch=4.md"
    assert report.name == name
    assert f"`sha256 {digest}`" in text
    assert "*Held out* is measured on training images" in text
    assert "| T2T-ViT-14, cifar10 |" in text
    assert not report.with_suffix(".png").exists()  # one entry compares with nothing
    frame = pd.read_csv(report.with_suffix(".csv")).set_index("run_id")
    assert list(frame["seed"]) == [1]
    assert frame[["ema_best_top1_pct", "raw_best_top1_pct"]].isna().all(axis=None)
    assert frame[["raw_last_top1_pct", "held_out_last_top1_pct"]].notna().all(axis=None)
    assert set(frame["starts_from"]) == {f"sha256 {digest}"}
    again = run_all(*command, *where, "--seeds", 1)
    assert again.returncode == 0, again.stderr
    assert report.read_text() == text


def test_the_plan_has_the_files_rows_and_says_which_are_left_out(run_all, t2t_vit_14, tmp_path):
    done = run_all("--table", 5, "--weights", t2t_vit_14, *PLAN, "--runs", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    plan = [line["run_id"] for line in json.loads(done.stdout)["plan"]]
    assert [run_id.rpartition("-s42-")[0] for run_id in plan] == [
        "t2t_vit_14-cifar10-cifar_transfer",
        "t2t_vit_14-cifar100-cifar_transfer",
    ]
    assert "not fine-tuned, since no file of --weights fits: ViT-S/16, T2T-ViT-19" in done.stderr
    own = run_all("--table", 5, *PLAN, "--runs", tmp_path, "--json")
    assert not set(plan) & {line["run_id"] for line in json.loads(own.stdout)["plan"]}


def test_recipes_by_name_and_never_mixed(run_all, tmp_path):
    plans = {}
    for recipe in TRANSFER_RECIPES:
        done = run_all("--table", 5, "--recipe", recipe, *PLAN, "--runs", tmp_path, "--json")
        assert done.returncode == 0, done.stderr
        ids = [line["run_id"] for line in json.loads(done.stdout)["plan"]]
        plans[recipe] = {run_id for run_id in ids if "cifar" in run_id}
        assert len(plans[recipe]) == 6
        assert all(f"-{recipe}-s42-" in run_id for run_id in plans[recipe])
    assert not set.intersection(*plans.values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--table", "3", "--recipe", "cifar_transfer"], "--recipe: for fine-tuning; choose --table 5 alone"),
        (["--table", "3", "5", "--weights", "{fourteen}"], "--weights: for fine-tuning; choose --table 5 alone"),
        (["--table", "5", "--only", "ViT-S/16", "--weights", "{fourteen}"], "none of the files fits ViT-S/16"),
        (
            ["--table", "5", "--recipe", "cifar_transfer", "--sweep", "held_out=0,0.1"],
            "--sweep held_out: accuracies on",
        ),
        (["--table", "5", "--recipe", "cifar"], "invalid choice: 'cifar' (choose from"),
        (["--table", "5", "--weights", "{gone}"], "gone.pth: No such file or directory; give a file of weights"),
        (["--table", "5", "--weights", "{text}"], "text.pth: not a"),
        (
            ["--table", "5", "--weights", "{seven}"],
            "fits none of vit_s_16, t2t_vit_14, t2t_vit_19, which are fine-tuned; it",
        ),
        (
            ["--table", "5", "--weights", "{fourteen}", "{fourteen}"],
            "mine.pth.tar and mine.pth.tar are both of t2t_vit_14; give one",
        ),
        (["--table", "5", "--weights", "{fourteen}", "--budget", "pilot"], "--weights: for fine-tuning as in Table 5"),
        (["--budget", "smoke", "--recipe", "cifar_transfer"], "--recipe: for fine-tuning; choose --table 5"),
        (["--table", "3", "--budget", "transfer"], "--budget transfer has runs of its own; leave out --table"),
        (["--table", "4", "--teacher", "resnet51"], "--teacher: no model 'resnet51'; did you mean resnet51q or"),
        (["--table", "4", "--teacher", "RESNET50"], "no model 'RESNET50'; did you mean resnet50 or"),
        (["--table", "4", "--teacher", ""], "argument --teacher: '' is not a name"),
        (
            ["--table", "4", "--teacher", "resnet50.a1_in2k"],
            "unknown weights of resnet50 'a1_in2k'; did you mean",
        ),
        (["--table", "4", "--teacher", "resnet50={gone}"], "No such file or directory; give MODEL=FILE"),
        (["--table", "4", "--teacher", "t2t_vit_7"], "timm has no weights of it; give t2t_vit_7=FILE"),
        (["--table", "3", "--teacher", "resnet50=x"], "--teacher: nothing is distilled here; choose --table 2 or 4"),
    ],
)
def test_what_cannot_be_fine_tuned_or_taught(capsys, t2t_vit_14, tmp_path, options, words):
    (tmp_path / "text.pth").write_text("no weights")
    save(tmp_path / "seven.pth", timm.create_model("t2t_vit_7"))
    names = {name: tmp_path / f"{name}.pth" for name in ("gone", "text", "seven")} | {"fourteen": t2t_vit_14}
    options = [option.format(**names) for option in options]
    assert main([*options, "--runs", str(tmp_path), *PLAN]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
