"""What a person has before them: every command that trains, watches or follows, on a real pseudo-terminal."""

import re
import shutil
import time

import pytest

from bench.experiments.budgets import SUITES
from bench.results.progress import Phase
from bench.results.run_folder import last_checkpoint, last_owner, load_progress, load_record
from tests.conftest import ROOT
from tests.terminal import Terminal

CTRL_C = "\x03"
INTERRUPTED = "run_all.py: interrupted; everything is saved, and the same command resumes it"


def training(runs, *options, network="tiny ResNet"):
    chosen = ["--only", network] if network in SUITES["smoke"] else ["--table", "1", "--only", network]
    return ["--budget", "smoke", *chosen, "--run", "local", "--runs", runs, "--reports", runs / "reports", *options]


def only(runs):
    """The folder of the one run."""
    (spec,) = runs.glob("*/spec.json")
    return spec.parent


def test_a_sweep_from_its_first_line_to_its_last(tmp_path):
    # Batches of 4, so that the fastest machine takes a second or two for an epoch.
    options = ("--set", "epochs=1", "warmup_epochs=0", "global_batch=4", "--sweep", "lr=1e-3,2e-3")
    with Terminal(*training(tmp_path, *options, network="tiny T2T-ViT")) as terminal:
        seen = terminal.see("run 1 of 2")
        assert seen.splitlines() == [
            "run 1 of 2  t2t_vit_7 lr=1e-3",
            "  starting",
            "0 of 2 runs done; Ctrl-C saves and stops",
        ]
        terminal.see(r"epoch 1 of 1 .*━.* \d+/128  loss \d\.\d{4}  [\d.,]+ images/s  \d+ s left")
        terminal.see(r"0 of 2 runs done, about \d+ (s|min) left; Ctrl-C saves and stops")
        terminal.see("run 2 of 2  t2t_vit_7 lr=2e-3")
        waiting = terminal.see("1 of 2 runs done, about")
        assert re.search(
            r"^  epoch    1/1  loss  \d\.\d{4}  top-1 +[\d.]+ %  EMA +[\d.]+ % +[\d.,]+ images/s$", waiting, re.M
        )
        assert terminal.screen.broken == []
        assert terminal.end() == 0
    assert "nan" not in terminal.said
    assert not re.search("warn|submitit|Traceback", terminal.said, re.IGNORECASE)
    left = terminal.all.partition("Smoke")[0].splitlines()  # the bars are gone, and the lines have stayed
    assert [line.split("loss")[0].strip() for line in left] == [
        "run 1 of 2  t2t_vit_7 lr=1e-3",
        "epoch    1/1",
        "run 2 of 2  t2t_vit_7 lr=2e-3",
        "epoch    1/1",
    ]


def test_the_study_fits_on_80_columns(tmp_path):
    (run,) = (ROOT / "reports" / "evidence").glob("resnet10t-cifar100-study_small-s0-*")
    shutil.copytree(run, tmp_path / "runs" / run.name)
    with Terminal("study", "--runs", tmp_path / "runs", "--reports", tmp_path / "reports") as terminal:
        assert terminal.end() == 0
        words = " ".join(terminal.all.split())
        # A path of pytest's alone is longer than a line.
        assert [line for line in terminal.screen.broken if tmp_path.name not in line] == []
    assert "claim 4 - The T2T module beats the same backbone on patches; convolutions in its place do worse" in words


def test_a_first_step_slower_than_several_heartbeats_and_who_watches_it(tmp_path):
    """One step is the whole of the data: seconds, in which there is no loss to show."""
    command = training(tmp_path, "--set", "epochs=2", "warmup_epochs=0", "global_batch=512", network="t2t_vit_7")
    with Terminal("status", "--follow", "--runs", tmp_path) as watching, Terminal(*command) as terminal:
        watching.see("no runs in")
        terminal.see("starting")
        seen = terminal.see(r"epoch 1 of 2  ━+  0/1\n")
        assert "loss" not in seen
        watching.see(r"-s42-[0-9a-f]{8}  running +0/2")
        with Terminal("status", "--runs", tmp_path) as once:
            assert once.end() == 0
        assert re.search(r"-s42-[0-9a-f]{8}  running +0/2", once.now)
        owner = last_owner(only(tmp_path))
        assert load_progress(only(tmp_path), owner).phase is Phase.TRAINING
        assert load_progress(only(tmp_path), owner).loss is None
        terminal.see(r"loss \d\.|validating")
        terminal.press(CTRL_C)
        terminal.see("stopping once the runs have saved themselves|interrupted;")
        assert terminal.end() == 130
        watching.see("interrupted +[012](\\.0)?/2")
        watching.press(CTRL_C)
        assert watching.end() == 0
    assert terminal.now.splitlines()[-1] == INTERRUPTED
    assert terminal.screen.broken == watching.screen.broken == once.screen.broken == []
    assert "Traceback" not in terminal.said + watching.said + once.said
    assert "1 interrupted" in watching.all  # the last look stays
    assert load_record(only(tmp_path)).status == "interrupted"
    assert last_checkpoint(only(tmp_path))[0]


def test_ctrl_c_while_it_saves_and_while_it_trains_and_the_same_command_resumes(tmp_path):
    command = training(tmp_path, "--set", "epochs=200")

    def phase():
        owner = last_owner(only(tmp_path)) if list(tmp_path.glob("*/spec.json")) else None
        progress = load_progress(only(tmp_path), owner) if owner else None
        return progress and progress.phase

    with Terminal(*command) as terminal:
        terminal.see(lambda: phase() is Phase.SAVING)
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    assert terminal.now.splitlines()[-1] == INTERRUPTED
    assert load_record(only(tmp_path)).status == "interrupted"
    saved = last_checkpoint(only(tmp_path))[0]
    assert saved
    with Terminal(*command) as terminal:
        terminal.see(r"resumes at epoch \d+, step")
        terminal.see(r"epoch \d+ of 200 .*loss \d")
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    assert terminal.now.splitlines()[-1] == INTERRUPTED
    assert last_checkpoint(only(tmp_path))[0].name > saved.name
    assert [event["what"] for event in load_record(only(tmp_path)).history] == ["running", "interrupted"] * 2


@pytest.mark.parametrize("pause_s", [0, 0.6])
def test_ctrl_c_while_a_run_starts(tmp_path, pause_s):
    """Its process is importing; torch comes later."""
    with Terminal(*training(tmp_path)) as terminal:
        terminal.see("starting")
        time.sleep(pause_s)
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    assert terminal.now.splitlines()[-1] == INTERRUPTED
    assert len(terminal.now.splitlines()) <= 2  # ^C may stand above
    assert terminal.screen.broken == []


def test_ctrl_c_while_the_command_itself_is_imported(tmp_path):
    with Terminal(*training(tmp_path), python_options=["-X", "importtime"]) as terminal:
        terminal.see(r"\| +bench\.spec\.errors\n")
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    said = [line for line in terminal.all.splitlines() if line.startswith("run_all.py: ")]
    assert len(said) == 1
    assert said[0].startswith("run_all.py: interrupted")
    assert "Traceback" not in terminal.all


def test_a_refusal_is_broken_at_words(run_all):
    with Terminal("--table", "three") as terminal:
        assert terminal.end() == 2
    assert terminal.screen.broken == []
    piped = run_all("--table", "three").stderr
    assert piped.count("\n") == 1
    assert " ".join(terminal.now.split()) == piped.strip()


@pytest.mark.parametrize("command", [("study",), ("--table", 3, "--run", "local", "--dataset", "synthetic")])
def test_a_plan_is_broken_at_words(command, tmp_path):
    with Terminal(*command, "--dry-run", "--runs", tmp_path, "--data", tmp_path) as terminal:
        assert terminal.end() == 0
        assert not terminal.screen.broken
        assert max(map(len, terminal.all.splitlines())) > 70
