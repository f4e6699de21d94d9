"""What a run tells its log, and what a command tells of its runs."""

import dataclasses
import os
import subprocess
import sys
import time
import warnings

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

import bench.launch.watch
from bench.cli.commands.evaluate import Told
from bench.experiments.budgets import SUITES
from bench.launch.live import Pace, _bar
from bench.launch.watch import Lines
from bench.results.progress import Phase, Progress, Teller
from bench.training.distributed import crowding
from tests.conftest import ROOT

T2T, TUNED, RESNET = SUITES["smoke"].values()
FAR = Progress(
    phase=Phase.TRAINING,
    epoch=99,
    epochs=310,
    step=1234,
    steps=5004,
    loss=6.9078,
    images_per_s=12_345.6,
    left_s=266_400,
)
LINE = {"epoch": 309.0, "lr": 1e-5, "train_loss": 6.90775, "raw_top1_pct": 100.0, "ema_top1_pct": 100.0}


def printed(renderable, width):
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


@pytest.mark.parametrize("width", [48, 60, 78, 118])
@pytest.mark.parametrize("phase", Phase)
def test_a_bar_is_one_line_with_the_time_left(phase, width):
    text = printed(_bar(dataclasses.replace(FAR, phase=phase), width), width + 2)
    assert text.count("\n") == 1
    assert len(text.rstrip()) <= width + 2
    if phase in (Phase.TRAINING, Phase.VALIDATING):
        assert "3 d 2 h left" in text
        assert "epoch 100 of 310" in text
    elif phase is not Phase.SAVING:
        assert text.strip() == phase


def test_a_wide_bar_has_all_of_it_and_no_loss_before_there_is_one():
    assert printed(_bar(FAR, 118), 120).split("  ")[-4:] == [
        "1,234/5,004",
        "loss 6.9078",
        "12,346 images/s",
        "3 d 2 h left\n",
    ]
    first = Progress(phase=Phase.TRAINING, epochs=16, steps=8)
    assert "loss" not in printed(_bar(first, 78), 80)
    assert "images/s" not in printed(_bar(first, 78), 80)
    assert printed(_bar(None, 78), 80).strip() == "starting"


def test_a_log_says_each_minute_how_far_its_run_is_whatever_it_does(monkeypatch, capsys):
    monkeypatch.setattr(bench.launch.watch, "SILENCE_S", 0.05)

    def next_lines(progress):
        capsys.readouterr()
        lines.progress(progress)
        text, deadline = "", time.monotonic() + 20
        while text.count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
            text += capsys.readouterr().err
        return text.splitlines()[-1]

    with Lines("a-run") as lines:
        assert capsys.readouterr().err == "a-run\n"
        assert next_lines(Progress(phase=Phase.READING)) == "    reading data"
        assert next_lines(Progress(phase=Phase.VALIDATING, epoch=1, epochs=4, step=3, steps=8)) == (
            "    epoch 2 of 4, validating, step 3 of 8"
        )
        line = next_lines(FAR)
        assert line == "    epoch 100 of 310, step 1,234 of 5,004, loss 6.9078, 12,346 images/s, 3 d 2 h left"
    capsys.readouterr()
    time.sleep(0.2)
    assert capsys.readouterr().err == ""  # it is over


def test_lines_of_epochs_fit_80_columns(capsys):
    lines = Lines("a-run")
    lines.epoch(LINE, images_per_s=12_345.6, epochs=310)
    lines.epoch(LINE | {"epoch": 0.0, "train_loss": 2.5, "raw_top1_pct": 9.77}, images_per_s=5.13, epochs=310)
    _, last, first = capsys.readouterr().err.splitlines()
    assert last == "  epoch  310/310  loss  6.9078  top-1 100.00 %  EMA 100.00 %  12,346 images/s"
    assert first == "  epoch    1/310  loss  2.5000  top-1   9.77 %  EMA 100.00 %     5.1 images/s"
    assert len(last) <= 80


@pytest.mark.parametrize("piped", [True, False])
def test_an_evaluation_that_is_piped_says_each_minute_how_far_it_is(monkeypatch, capsys, piped):
    monkeypatch.setattr("bench.cli.commands.evaluate.SILENCE_S", 0)
    with Bars(disable=piped, console=Console(quiet=True)) as bar:
        tell = Told("81.5_T2T_ViT_14.pth.tar", bar, bar.add_task("", total=None))
        tell.begin(50_000)
        tell(1_280)
        assert bar.tasks[0].completed == 1_280
    assert capsys.readouterr().err == ("    81.5_T2T_ViT_14.pth.tar: 1,280 of 50,000 images\n" if piped else "")


def test_what_a_library_warns_of_is_a_line(capsys):
    before = warnings.showwarning
    with warnings.catch_warnings(), Lines("a-run"):
        warnings.simplefilter("always")
        for _ in range(2):
            warnings.warn("corrupt\n  EXIF data", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "a-run\n  UserWarning: corrupt EXIF data\n"
    assert warnings.showwarning is before


@pytest.mark.extended
def test_more_loading_processes_than_cores_are_a_line_of_ours(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    assert crowding(4) == "4 loading processes share 2 cores; --workers 2 may be faster"
    assert crowding(2) == ""
    loader = "data._eval_loader(data.Samples([], None, 0, training=False), [], 999, torch.device('cpu'))"
    code = f"import torch; from bench.training import data; {loader}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_time_left_is_at_the_pace_of_this_attempt(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("bench.results.progress.time.monotonic", lambda: clock[0])
    told = []
    tell = Teller(told.append)
    tell(Phase.READING, epoch=2, epochs=4)
    clock[0] += 50  # reading takes its time, and says nothing of training's
    tell(Phase.TRAINING, epoch=2, step=0, steps=10)
    assert [progress.left_s for progress in told] == [None, None]
    clock[0] += 10
    tell(Phase.TRAINING, step=5, loss=2.0, images_per_s=64.0)
    assert told[-1] == Progress(
        phase=Phase.TRAINING, epoch=2, epochs=4, step=5, steps=10, loss=2.0, images_per_s=64.0, left_s=30.0
    )
    clock[0] += 10
    tell(Phase.VALIDATING, step=0, steps=3)
    assert (told[-1].left_s, told[-1].loss, told[-1].part_of_epoch) == (20.0, None, 1.0)
    clock[0] += 5
    tell(Phase.SAVING, epoch=3, step=0, steps=10)
    assert told[-1].left_s == 25.0


def test_the_time_left_of_a_command():
    pace = Pace()
    other, seed = dataclasses.replace(RESNET, dataset="cifar10"), RESNET.with_seed(1)
    assert pace.left_s([(RESNET, None)], [seed], 1) is None
    half = Progress(phase=Phase.TRAINING, epoch=2, epochs=4, step=0, steps=8, left_s=20.0)
    assert pace.left_s([(RESNET, half)], [seed], 1) == 20 + 40
    assert pace.left_s([(RESNET, half), (other, half)], [seed, seed], 2) == (20 + 20 + 40 + 40) / 2
    assert pace.left_s([(RESNET, dataclasses.replace(half, left_s=90.0)), (other, half)], [], 2) == 90
    pace.took(RESNET, 80.0)
    assert pace.left_s([(seed, None)], [other], 1) == 80 + pace.left_s([], [other], 1)
