"""docs/extending.md: each edit is of one file, and does what the page says, in a copy of the code."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs/extending.md").read_text()


@dataclass(frozen=True)
class Section:
    title: str
    path: str
    hunks: tuple[tuple[str, str], ...]
    """text to be found once, and what takes its place; no text where the file is new"""
    commands: tuple[str, ...]


def read_section(text):
    title, _, body = text.partition("\n")
    fences = dict(re.findall(r"^```(\w*)\n(.*?)^```$", body, re.DOTALL | re.MULTILINE))
    hunks = []
    for hunk in fences["diff"].split("@@\n") if "diff" in fences else ():
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] != other) for other in "+-")
        hunks.append((old, new))
    hunks = hunks or [("", fences["python"])]
    return Section(title, re.search(r"`([\w/]+\.py)`", body)[1], tuple(hunks), tuple(fences[""].splitlines()))


SECTIONS = [read_section(text) for text in PAGE.split("\n## ")[1:] if "```" in text]

RUN = """
import contextlib, io, json, sys, traceback
from bench.cli.main import main

done = []
for program, *argv in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(argv) if program == "run_all.py" else exec(argv[0], {}) or 0
        except SystemExit as error:
            code = error.code
        except Exception:
            code = traceback.format_exc()
    done.append([code, out.getvalue(), err.getvalue()])
json.dump(done, sys.stdout)
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """What each command of the page does once all edits are made: (exit code, output, errors), by section."""
    copy = tmp_path_factory.mktemp("copy")
    for package in ("bench", "models"):
        shutil.copytree(ROOT / package, copy / package)
    for section in SECTIONS:
        path = copy / section.path
        text = path.read_text() if path.exists() else ""
        for old, new in section.hunks:
            times = text.count(old) if old else int(not text)
            assert times == 1, f"{section.title}: {section.path} has {times} times:\n{old}"
            text = text.replace(old, new)
        path.write_text(text)
    for split in ("train", "valid"):
        (copy / "images/flowers102" / split / "rose").mkdir(parents=True)
        (copy / "images/flowers102" / split / "rose/1.png").touch()
    commands = [(section.title, command) for section in SECTIONS for command in section.commands]
    programs = [shlex.split(command.replace("DIR", "images")) for _, command in commands]
    assert all(program[0] == "python" and program[1] in ("run_all.py", "-c") for program in programs)
    answer = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"},
        input=json.dumps([program[1:] for program in programs]),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr
    found = {}
    for (title, command), one in zip(commands, json.loads(answer.stdout), strict=True):
        assert one[0] == 0, f"{command}: {one}"
        found.setdefault(title, []).append(one[1])
    return copy, found


def test_every_kind_has_a_section():
    assert [section.title for section in SECTIONS] == [
        "A model",
        "A row",
        "A recipe",
        "A data set",
        "An arm of the study",
        "A Slurm option",
        "A logger",
        "A column",
        "A subcommand",
    ]


def test_a_model(done):
    assert done[1]["A model"] == ["5 blocks\n"]


def test_a_row(done):
    copy, found = done
    listed, measured = found["A row"]
    assert re.search(r"MobileNetV4-S +mobilenetv4_conv_small +cnn_t2t", listed)
    assert re.search(r"^MobileNetV4-S +- +- +- +3\.\d+", measured, re.MULTILINE)
    assert "| MobileNetV4-S " in (copy / "reports/table_4.md").read_text()


def test_a_recipe(done):
    (plan,) = done[1]["A recipe"]
    assert re.search(r"^submit +t2t_vit_14-cifar10-cifar_transfer_adamw-s42-", plan, re.MULTILINE)


def test_a_data_set(done):
    (plan,) = done[1]["A data set"]
    assert re.search(r"^submit +resnet50-flowers102-pilot-s42-", plan, re.MULTILINE)


def test_an_arm(done):
    (plan,) = done[1]["An arm of the study"]
    assert "t2t_vit_7_mlp4" in plan or "T2T-ViT-7, MLP ratio 4" in plan


def test_a_slurm_option(done):
    (plan,) = done[1]["A Slurm option"]
    assert re.search(r"^submit +test_resnet-", plan, re.MULTILINE)


def test_a_logger(done):
    lines = [line.split(",")[:2] for line in done[1]["A logger"][1].split()]
    assert [epoch for epoch, name in lines if name == "train_loss"] == ["0", "1", "2", "3"]


def test_a_column(done):
    copy, found = done
    (row,) = json.loads(found["A column"][0])["tables"][0]["rows"]
    assert row["macs_per_param"] == pytest.approx(row["macs_g"] * 1e3 / row["params_m"])
    assert "macs_per_param" in (copy / "reports/table_4.csv").read_text().splitlines()[0].split(",")


def test_a_subcommand(done):
    listed, helped = done[1]["A subcommand"]
    assert "iccv: Yuan et al." in listed
    assert re.search(r"^  editions +list the editions of the paper$", helped, re.MULTILINE)
