"""Hard distillation: a token for the label, one for the teacher's decision, and who taught is recorded."""

import hashlib
import os
import shutil
import signal
import time

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn import functional

from bench.cli.main import main
from bench.experiments.budgets import SMOKE
from bench.experiments.recipes import override
from bench.launch import job
from bench.results.run_folder import checkpoints, load_record
from bench.results.spec_file import load_spec, save_spec
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec, Teacher, Weights
from bench.training import trainer
from bench.training.build import build_network, build_teacher
from bench.training.signals import Stop
from tests.models.test_checkpoints import save
from tests.training.test_formulation import layouts
from tests.training.test_trainer import TINY, finish, resources, result, start, torchrun


def weights_of(path):
    return Weights(file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A network that names the same class whatever it sees, in a file; with where it lies."""
    net = timm.create_model("test_resnet", num_classes=10)
    torch.nn.init.zeros_(net.fc.weight)
    with torch.no_grad():
        net.fc.bias.copy_(torch.eye(10)[7])
    path = save(tmp_path_factory.mktemp("teacher") / "teacher.pth", net, key="state_dict")
    weights = weights_of(path)
    return Teacher("test_resnet", weights=weights), {weights.sha256: str(path)}


def student(teacher, *settings, model="t2t_vit_7_distilled", model_args=TINY, **kwargs):
    recipe = override(override(SMOKE, ["epochs=1"]), settings)
    values = {"dataset": "synthetic", "img_size": 32} | kwargs
    return RunSpec(model=model, model_args=model_args, recipe=recipe, teacher=teacher, **values)


def test_the_distillation_token_learns_the_teachers_decision_and_the_class_token_the_label(teacher, tmp_path):
    spec = student(teacher[0], "epochs=3", "lr=5e-3")
    folder = job.prepare(tmp_path, spec)
    job.run(folder, resources(files=teacher[1]), Stop())
    network = build_network(spec, 10)
    network.load_state_dict(result(folder)[1]["network"])
    network.eval().set_distilled_training(True)
    tokens = network.forward_features(torch.rand(4, 3, 32, 32))
    assert (network.head_dist(tokens[:, 1]).argmax(1) == 7).all()
    by_label = network.head(tokens[:, 0]).softmax(1)
    assert (by_label[:, 7] < 0.5).all()
    record = load_record(folder)
    assert record.spec["teacher"] == "test_resnet"
    assert record.spec["teacher_weights"] == teacher[0].weights.sha256
    assert record.spec["model"] == "t2t_vit_7_distilled"
    (event,) = [event for event in record.history if event["what"] == "teacher"]
    assert event["note"] == f"test_resnet: teacher.pth, sha256 {teacher[0].weights.sha256}"


def test_the_loss_is_the_mean_of_both_cross_entropies(teacher, tmp_path):
    """DeiT's equation 3, against mixed labels, which the teacher's decision is not."""
    spec = student(teacher[0], "mixup=0.8", "label_smoothing=0.1")
    folder = job.prepare(tmp_path, spec)
    here = trainer.World(rank=0, size=1, device=torch.device("cpu"))
    kwargs = {"files": teacher[1], "precision": "float32"}
    training = trainer.Training(spec, resources(**kwargs), here, None, None, None, job._Nothing(), Stop())
    images, targets = torch.rand(4, 3, 32, 32), torch.rand(4, 10).softmax(1)
    training.state.network.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss = training.step.loss(images, targets)
        torch.manual_seed(0)
        logits, distilled = training.state.network(images)
    expected = functional.cross_entropy(logits, targets) / 2
    expected += functional.cross_entropy(distilled, torch.full((4,), 7)) / 2
    torch.testing.assert_close(loss, expected)
    assert not folder.joinpath("record.json").exists()


HALF = ((0.5,) * 3, (0.25,) * 3)
"""mean and standard deviation of generated images"""


def test_the_teacher_decides_on_the_students_images_as_it_was_trained_to_see_them(tmp_path):
    """In evaluation, with the statistics of its batch norms; one of timm's in its own normalisation."""
    torch.manual_seed(3)
    net, images = timm.create_model("test_resnet", num_classes=10).eval(), torch.rand(8, 3, 32, 32)
    with torch.no_grad():
        for buffer in net.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)
        for parameter in net.parameters():
            parameter.normal_(0, 0.3)
        net.fc.bias -= net(images).mean(0)  # so that each image has a class of its own
    path = save(tmp_path / "teacher.pth", net, key="state_dict")
    weights = weights_of(path)
    by_file = Teacher("test_resnet", weights=weights)
    here = trainer.World(rank=0, size=1, device=torch.device("cpu"))
    given = resources(files={weights.sha256: str(path)}, precision="float32")
    training = trainer.Training(student(by_file), given, here, None, None, None, job._Nothing(), Stop())
    found = layouts(training.step.teacher)
    torch.testing.assert_close(training.step.teacher(images), net(images))
    assert found
    assert all(found)  # it too runs in channels_last
    assert len(set(net(images).argmax(1).tolist())) > 1
    training.state.network.train()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loss = training.step.loss(images, torch.arange(8))
        torch.manual_seed(0)
        logits, distilled = training.state.network(images)
    smoothing = training.recipe.label_smoothing
    expected = functional.cross_entropy(logits, torch.arange(8), label_smoothing=smoothing) / 2
    expected += functional.cross_entropy(distilled, net(images).argmax(1)) / 2
    torch.testing.assert_close(loss, expected)
    for name, mean, std in (("r160_in1k", 0.5, 0.5),):
        cfg = timm.get_pretrained_cfg(f"test_resnet.{name}")
        assert (cfg.mean, cfg.std) == ((mean,) * 3, (std,) * 3)
        by_name = build_teacher(Teacher(f"test_resnet.{name}"), path, 10, 32, HALF)
        pixels = images * 0.25 + 0.5
        torch.testing.assert_close(by_name(images), net((pixels - mean) / std))


def test_another_teacher_under_a_begun_run_is_refused(hub, tmp_path):
    spec = student(Teacher("test_resnet.r160_in1k"), "epochs=2")
    folder = job.prepare(tmp_path / "runs", spec)
    stop = Stop()
    stop.signal = signal.SIGTERM
    with pytest.raises(job.RunInterrupted):
        job.run(folder, resources(files={"test_resnet.r160_in1k": str(hub)}), stop)
    save_file(timm.create_model("test_resnet", num_classes=10).state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(
        RequestError, match=r"has learned from test_resnet.r160_in1k: model.safetensors, sha256 .*restore"
    ):
        job.run(folder, resources(files={"test_resnet.r160_in1k": str(tmp_path / "model.safetensors")}), Stop())


def test_distilled_rows_without_a_teacher_are_named(capsys, tmp_path):
    assert main(["--table", "4", "--budget", "smoke", "--run", "local", "--dry-run", "--runs", str(tmp_path)]) == 0
    assert "without a teacher: T2T-ViT-7-Distilled, T2T-ViT-12-Distilled; --teacher names" in capsys.readouterr().err


@pytest.mark.extended
def test_a_distilled_run_that_is_killed_ends_with_the_same_bits(teacher, tmp_path):
    spec = student(teacher[0], "epochs=2", "mixup=0.8")
    whole, cut = job.prepare(tmp_path / "whole", spec), job.prepare(tmp_path / "cut", spec)
    assert finish(start(whole, files=teacher[1]))[0] == 0
    process = start(cut, files=teacher[1])
    while process.poll() is None and not checkpoints(cut):
        time.sleep(0.002)
    process.kill()
    finish(process)
    code, err = finish(start(cut, files=teacher[1]))
    assert code == 0, err
    assert result(cut)[0] == result(whole)[0]
    events = [event["what"] for event in load_record(cut).history]
    assert events.count("teacher") == 1


@pytest.mark.extended
def test_two_processes_have_the_same_teacher(teacher, tmp_path):
    spec = student(teacher[0], "drop_path=0.1", "mixup=0.8")
    one, two = job.prepare(tmp_path / "one", spec), job.prepare(tmp_path / "two", spec)
    job.run(one, resources(files=teacher[1], precision="float32", micro_batch=16), Stop())
    done = torchrun(two, 2, files=teacher[1], precision="float32", micro_batch=16)
    assert done.returncode == 0, done.stderr
    alone, both = (load_record(folder).results["raw_last_top1_pct"] for folder in (one, two))
    assert both == pytest.approx(alone, abs=1)
    losses = [float(result(folder)[1]["metrics"][0]["train_loss"]) for folder in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_timms_distilled_networks_are_students_too(teacher, tmp_path):
    tiny = (("embed_dim", 32), ("depth", 1), ("num_heads", 2))
    spec = student(teacher[0], model="deit_tiny_distilled_patch16_224", model_args=tiny)
    job.run(job.prepare(tmp_path, spec), resources(files=teacher[1]), Stop())
    assert load_record(tmp_path / spec.run_id).status == "completed"


@pytest.mark.parametrize("model", ["t2t_vit_7", "test_resnet"])
def test_a_network_without_a_distillation_token_is_no_student(teacher, model, tmp_path):
    spec = student(teacher[0], model=model, model_args=())
    with pytest.raises(RequestError, match=rf"{model} has no distillation token .*choose .*t2t_vit_7_distilled"):
        job.run(job.prepare(tmp_path, spec), resources(files=teacher[1]), Stop())


def test_a_teacher_that_is_not_there_or_does_not_fit(teacher, tmp_path):
    folder = job.prepare(tmp_path, student(teacher[0]))
    with pytest.raises(RequestError, match=r"needs teacher.pth .*--teacher"):
        job.run(folder, resources(), Stop())
    (path,) = teacher[1].values()
    with pytest.raises(RequestError, match=r"teacher test_resnet=teacher.pth-.* knows other classes than the 100"):
        build_teacher(teacher[0], path, 100, 32, HALF)
    with pytest.raises(RequestError, match=r"teacher test_vit=teacher.pth-.*: .*teacher.pth: .*not this network's"):
        build_teacher(Teacher("test_vit", weights=teacher[0].weights), path, 10, 32, HALF)
    by_name = student(Teacher("test_resnet.r160_in1k"))
    with pytest.raises(RequestError, match=r"timm's weights test_resnet.r160_in1k of the teacher were not found"):
        job.run(job.prepare(tmp_path, by_name), resources(), Stop())


def test_teachers_make_other_runs(teacher, tmp_path):
    by_file, by_name, alone = student(teacher[0]), student(Teacher("test_resnet.r160_in1k")), student(None)
    assert len({spec.run_id for spec in (by_file, by_name, alone)}) == 3
    for spec in (by_file, by_name, alone):
        save_spec(tmp_path, spec)
        assert load_spec(tmp_path) == spec
    assert "teacher" not in alone.identity()


def test_the_distilled_rows_learn_from_a_teacher_of_the_command_line(teacher, run_all, tmp_path):
    (path,) = teacher[1].values()
    command = ["--table", 4, "--only", "T2T-ViT-7-Distilled", "--budget", "smoke", "--teacher", f"test_resnet={path}"]
    command += ["--set", "epochs=2", "--runs", tmp_path / "runs", "--reports", tmp_path / "reports"]
    done = run_all(*command, "--run", "local")
    assert done.returncode == 0, done.stderr
    assert f"learns from test_resnet: teacher.pth, sha256 {teacher[0].weights.sha256}" in done.stderr
    (report,) = (tmp_path / "reports").glob("*.md")
    assert f"`test_resnet: teacher.pth, sha256 {teacher[0].weights.sha256}`" in report.read_text()
    assert report.name == f"table_4_smoke_test_resnet=teacher.pth-{teacher[0].weights.sha256[:8]}_epochs=2.md"
    assert "| T2T-ViT-7-Distilled |" in report.read_text()
    rest = run_all(
        *(word for word in command if word not in ("--only", "T2T-ViT-7-Distilled")), "--dry-run", "--run", "local"
    )
    lines = rest.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        ["skip", next((tmp_path / "runs").glob("t2t*")).name],
        ["submit", lines[1].split()[1]],
    ]
    assert lines[1].split()[1].startswith("t2t_vit_12_distilled-synthetic-smoke-")  # and no row without a teacher


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-99]), "not a whole checkpoint"),
        (lambda path: path.write_text("<html>"), "not a file of weights"),
        (lambda path: torch.save(timm.create_model("t2t_vit_7").state_dict(), path), "not this network's"),
        (lambda path: torch.save(timm.create_model("test_resnet", num_classes=7).state_dict(), path), "other classes"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file; give MODEL=FILE"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory; give MODEL=FILE"),
        (lambda path: path.unlink(), "No such file or directory; give MODEL=FILE"),
    ],
    ids="cut text other classes pipe folder gone".split(),
)
def test_a_teacher_of_a_file_is_read_before_anything_is_planned(damage, words, teacher, tmp_path, capsys):
    path = tmp_path / "teacher.pth"
    shutil.copy(next(iter(teacher[1].values())), path)
    damage(path)
    command = ["--table", "4", "--only", "T2T-ViT-7-Distilled", "--budget", "smoke", "--run", "local", "--dry-run"]
    folders = ["--runs", str(tmp_path / "runs"), "--reports", str(tmp_path / "reports")]
    assert main([*command, "--teacher", f"test_resnet={path}", *folders]) == 2
    told = capsys.readouterr()
    (line,) = told.err.splitlines()
    assert path.name in line
    assert words in line
    assert told.out == ""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that does not answer, and its cache with a teacher of timm's, but for its number of classes."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "hub" / "models--timm--test_resnet.r160_in1k"
    snapshot = cached / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    save_file(timm.create_model("test_resnet", num_classes=10).state_dict(), snapshot / "model.safetensors")
    return snapshot / "model.safetensors"


@pytest.mark.extended
def test_a_teacher_of_timms_comes_from_the_hubs_cache(hub, run_all, tmp_path):
    command = ["--table", 4, "--only", "T2T-ViT-7-Distilled", "--budget", "smoke", "--teacher", "test_resnet"]
    where = ["--runs", tmp_path / "runs", "--reports", tmp_path / "reports", "--set", "epochs=1"]
    done = run_all(*command, *where, "--run", "local")
    assert done.returncode == 0, done.stderr
    digest = hashlib.sha256(hub.read_bytes()).hexdigest()
    assert f"learns from test_resnet.r160_in1k: model.safetensors, sha256 {digest}" in done.stderr
    (report,) = (tmp_path / "reports").glob("table_4_smoke_test_resnet.r160_in1k_*.md")
    assert f"| `test_resnet.r160_in1k: model.safetensors, sha256 {digest}` |" in report.read_text()


@pytest.mark.extended
def test_a_teacher_that_cannot_be_had_is_a_line_and_the_rest_goes_on(hub, run_all, tmp_path):
    for split in ("train", "val"):
        (tmp_path / split / "n01440764").mkdir(parents=True)
        (tmp_path / split / "n01440764" / "1.JPEG").touch()  # the teacher is missed before an image is read
    done = run_all(
        *("--table", 4, "--only", "T2T-ViT-7-Distilled", "--run", "local", "--data", tmp_path),
        *("--runs", tmp_path / "runs", "--reports", tmp_path / "reports"),
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("run_all.py: t2t_vit_7_distilled-imagenet-t2t_lite-s42-")
    assert "no weights of its teacher, regnety_160.deit_in1k: not in the hub's cache, and the hub does not" in last
    assert "`hf download timm/regnety_160.deit_in1k model.safetensors`" in last
    assert "`regnety_160.deit_in1k` teaches T2T-ViT-7-Distilled" in (tmp_path / "reports" / "table_4.md").read_text()
