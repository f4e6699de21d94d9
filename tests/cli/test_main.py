"""The command line as a user meets it: real processes, real files, real terminals."""

import csv
import dataclasses
import importlib
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import bench.cli.main
import bench.cli.selection
from bench.cli.commands.figure import FIGURES
from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.spec.run import imagenet
from bench.spec.table import Row, Table
from tests.conftest import ROOT, copy_pictures, lines_of, mostly_extended

IMPORTED = """
import runpy, sys
sys.argv[0] = "run_all.py"
try:
    runpy.run_path("run_all.py", run_name="__main__")
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""
"""runs the program and then prints what it imported"""


def without(module):
    """Code that runs the program where a module cannot be imported."""
    return f"""
import runpy, sys
sys.argv[0] = "run_all.py"
sys.modules[{module!r}] = None
runpy.run_path("run_all.py", run_name="__main__")
"""


def printed_table(text, number):
    """The lines of a table among those that the program printed."""
    return text.partition(f"Table {number}: ")[2].partition("wrote ")[0].splitlines()


def test_all_prints_and_writes_every_row_of_every_table(measured_once):
    first, _, reports = measured_once
    for number, table in TABLES.items():
        rows = table.rows_in(ICCV)
        printed = "\n".join(printed_table(first.stdout, number))
        assert all(f"{row.name} " in printed for row in rows)
        lines = lines_of(reports / f"table_{number}.csv")
        assert [line["model"] for line in lines] == [row.name for row in rows]
        assert all(bool(line["top1_pct"]) == (line["source"] == "recorded") for line in lines)
        markdown = (reports / f"table_{number}.md").read_text()
        assert all(f"| {row.name.replace('*', chr(92) + '*')} " in markdown for row in rows)
        picture = reports / f"table_{number}.png"
        assert picture.exists() == (f"![Top-1 accuracy against MACs and params]({picture.name})" in markdown)
        assert picture.exists() == (number in (2, 3, 4))
        assert not picture.exists() or picture.read_bytes().startswith(b"\x89PNG")
    names = {path.name for path in reports.iterdir()}
    assert {
        "README.md",
        "counting.md",
        "claims.md",
        "claims.csv",
        "table_8.md",
        "table_8.csv",
        "table_9.md",
        "table_9.csv",
    } <= names


def test_the_index_links_all_and_counts_the_verdicts(measured_once):
    reports = measured_once[2]
    index = (reports / "README.md").read_text()
    links = re.findall(r"\]\(([\w.]+)\)", index)
    pages = {
        "counting.md",
        "claims.md",
        "cost.md",
        "ideas.md",
        "figure_1.png",
        *(f"figure_{number}.md" for number in FIGURES),
    }
    assert {f"table_{number}.md" for number in range(1, 10)} | pages == set(links)
    assert all((reports / link).exists() for link in links)
    counts = dict.fromkeys(("equal", "within 1 %", "differs"), 0)
    reasons = 0
    for number in TABLES:
        for line in lines_of(reports / f"table_{number}.csv"):
            for cell in ("params", "macs"):
                if line[f"{cell}_verdict"]:
                    counts[line[f"{cell}_verdict"]] += 1
                assert bool(line[f"{cell}_reason"]) == (line[f"{cell}_verdict"] in ("within 1 %", "differs"))
                reasons += bool(line[f"{cell}_reason"])
    equal, close, differing = counts.values()
    total = f"{equal} are equal to the printed ones, {close} are within 1 % of them and {differing} differ by more"
    assert f"Of {sum(counts.values())} measured here, {total}." in index
    assert "no reason known" not in index
    listed = re.findall(r"\| +(\d+) \| \d", index.partition("## Why cells differ")[2])
    assert sum(map(int, listed)) == reasons == counts["within 1 %"] + counts["differs"]


def test_measured_figures_match_the_printed_ones_but_for_the_known_exceptions(measured_once):
    rows = {row["model"]: row for row in lines_of(measured_once[2] / "table_3.csv")}
    differing = {
        (name, cell) for name, row in rows.items() for cell in ("params", "macs") if row[f"{cell}_verdict"] != "equal"
    }
    assert differing == {
        ("ResNet50", "macs"),
        ("ResNet50*", "macs"),
        ("ResNet101", "params"),
        ("ResNet101*", "params"),
        ("ResNet101", "macs"),
        ("ResNet101*", "macs"),
        ("T2T-ViT-24", "macs"),
    }
    assert f"{float(rows['T2T-ViT-14']['params_m']):.1f}" == "21.5"
    assert f"{float(rows['T2T-ViT-14']['macs_g']):.1f}" == "4.8"
    assert f"{float(rows['T2T-ViT-24']['macs_g']):.1f}" == "13.7"
    assert f"{float(rows['ResNet50']['macs_g']):.1f}" == "4.1"


@pytest.mark.extended
def test_into_a_pipe_goes_a_plain_line_a_network(measured_anew):
    lines = measured_anew[0].stderr.splitlines()
    assert [line.split()[0] for line in lines[:48]] == [f"[{i}/48]" for i in range(1, 49)]
    assert [line.split()[0] for line in lines[48:]] == ["[1/3]", "[2/3]", "[3/3]"]  # Figure 2
    assert lines[3] == "[4/48] t2t_vit_14 at 224 px: 21.55 M params, 4.80 G MACs"
    assert "\x1b" not in measured_anew[0].stdout + measured_anew[0].stderr


def test_a_cached_table_imports_no_torch_and_changes_no_byte(measured_once, run_all, tmp_path):
    _, runs, reports = measured_once
    again = run_all("--table", 3, "--runs", runs, "--reports", tmp_path, code=IMPORTED)
    assert again.returncode == 0, again.stderr
    (imported,) = again.stderr.splitlines()
    assert "pandas" in imported.split()
    assert not {"torch", "torchvision", "timm", "fvcore", "models"} & set(imported.split())
    for name in ("table_3.md", "table_3.csv", "table_3.png"):
        assert (tmp_path / name).read_bytes() == (reports / name).read_bytes(), name


@pytest.mark.parametrize("option", ["--help", "list"])
def test_help_and_list_import_nothing_slow(run_all, option):
    done = run_all(option, code=IMPORTED)
    assert done.returncode == 0
    slow = {"torch", "timm", "pandas", "numpy", "matplotlib", "scipy", "rich", "submitit", "msgspec"}
    assert not slow & set(done.stderr.splitlines()[-1].split())


def test_help_says_of_each_command_what_its_module_says(run_all):
    text = run_all("--help").stdout
    for name, module in bench.cli.main.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(importlib.import_module(module).HELP)}$", text, re.MULTILINE)


def test_help_names_every_option(run_all):
    text = run_all("--help").stdout
    for (
        option
    ) in "--table --only --edition --reports --runs --json --run --data --budget --set --help --version".split():
        assert option in text


def test_list_shows_every_row(run_all):
    text = run_all("list").stdout
    assert "Table 3: T2T-ViT against ResNet" in text
    for table in TABLES.values():
        for row in table.rows:
            assert re.search(rf"^  {re.escape(row.name)} +{row.network.model}\b", text, re.MULTILINE)
    assert "Table 9: Settings of the CIFAR experiments\n  recipes cifar_transfer\n" in text
    assert f"Table 4: {TABLES[4].title}\n  rows of each edition: iccv 8, readme 3\n" in text
    assert "  T2T-ViT-14 at 384 px    t2t_vit_14 at 384 px              t2t_medium\n" in text
    assert max(map(len, text.splitlines())) == 80
    listed = json.loads(run_all("list", "*_t-*", "--json").stdout)
    (table_3,) = [table for table in listed["tables"] if table["table"] == 3]
    figures = json.loads(run_all("list", "--json").stdout)["figures"]
    assert [figure["figure"] for figure in figures] == list(FIGURES)
    assert "\nFigure 4: The architecture of T2T-ViT\n" in text
    assert [row["network"] for row in table_3["rows"]] == ["t2t_vit_t_14", "t2t_vit_t_19", "t2t_vit_t_24"]


def test_list_leaves_out_what_no_pattern_matches(run_all):
    text = run_all("list", "resnet152").stdout
    assert [line for line in text.splitlines() if line.startswith("Table")] == [f"Table 3: {TABLES[3].title}"]


def test_a_row_of_ones_own_opens_no_edition_that_a_table_has_not(monkeypatch, tmp_path, capsys):
    table = TABLES[1]
    mine = dataclasses.replace(table.rows[0], name="Mine", published={})
    monkeypatch.setitem(bench.cli.selection.TABLES, 1, dataclasses.replace(table, rows=(*table.rows, mine)))
    options = ["--runs", str(tmp_path), "--reports", str(tmp_path)]
    assert bench.cli.main.main(["--table", "1", "--edition", "arxiv-v1", *options]) == 2
    assert "has no Table 1" in capsys.readouterr().err


def test_all_as_json_names_the_index_and_the_counts(measured_once, run_all, tmp_path):
    _, runs, reports = measured_once
    shutil.copytree(reports, tmp_path, dirs_exist_ok=True)  # whose pictures need not be drawn again
    done = run_all("--all", "--json", "--runs", runs, "--reports", tmp_path)
    document = json.loads(done.stdout)
    assert [table["table"] for table in document["tables"]] == list(range(1, 10))
    assert document["index"] == {"md": str(tmp_path / "README.md"), "html": str(tmp_path / "index.html")}
    assert document["counting"] == {"md": str(tmp_path / "counting.md")}
    equal, close, differing = (document["verdicts"][name] for name in ("equal", "within 1 %", "differs"))
    total = f"{equal} are equal to the printed ones, {close} are within 1 % of them and {differing} differ by more"
    assert total in (tmp_path / "README.md").read_text()


def test_json_is_all_that_standard_output_holds(measured_once, run_all, tmp_path):
    done = run_all("--table", 3, "--json", "--only", "T2T-ViT-24", "--runs", measured_once[1], "--reports", tmp_path)
    (table,) = json.loads(done.stdout)["tables"]
    (row,) = table["rows"]
    assert (row["model"], row["params_m"], row["macs_verdict"]) == ("T2T-ViT-24", 64.105934, "within 1 %")
    assert row["top1_pct"] is None
    assert table["reports"]["csv"] == str(tmp_path / "table_3.csv")


def test_edition_chooses_the_printed_figures(measured_once, run_all, tmp_path):
    for name, top1 in (("iccv", "82.2"), ("arXiv v1", "81.4"), ("README", "82.4")):
        done = run_all(
            "--table", 3, "--edition", name, "--only", "t2t_vit_t_19", "--runs", measured_once[1], "--reports", tmp_path
        )
        assert re.search(rf"^T2T-ViT_t-19 +{top1} ", done.stdout, re.MULTILINE), done.stderr


@pytest.mark.parametrize("name", ["iccv", "ICCV", "arXiv v1", "arxiv_v1", "README"])
def test_an_edition_is_meant_however_it_is_written(name):
    assert bench.cli.selection.edition_named(name).key == re.sub(r"\W|_", "-", name.lower())


def test_only_measures_what_matches_and_keeps_what_was_known(run_all, tmp_path):
    runs, reports = tmp_path / "runs", tmp_path / "reports"
    options = ("--runs", runs, "--reports", reports)
    assert run_all("--table", 3, "--only", "ResNet50", *options).returncode == 0
    second = run_all("--table", 3, "--only", "t2t_vit_14", *options)
    assert "[1/1] t2t_vit_14" in second.stderr
    assert "ResNet50" not in second.stdout
    measured = [row["model"] for row in lines_of(reports / "table_3.csv") if row["macs_g"]]
    assert measured == ["ResNet50", "ResNet50*", "T2T-ViT-14"]

    damaged = runs / "complexity" / "resnet50-224px.json"
    damaged.write_text(damaged.read_text()[:50])
    third = run_all("--table", 3, "--only", "resnet50", *options)
    assert third.returncode == 0
    assert "not used" in third.stderr
    assert "[1/1] resnet50" in third.stderr
    assert json.loads(damaged.read_text())["params"] == 25_557_032


# Errors: one line with the value, the choices and the remedy


def one_line(done, code, *parts):
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("run_all.py: ")
    for part in parts:
        assert part in line
    return line


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--table", "33"], ["unknown table '33'", "choose from 1, 2, 3", "run_all.py list"]),
        (["--table", "three"], ["unknown table 'three'", "choose from 1, 2, 3"]),
        (["--all", "--table", "3"], ["--all means every row", "leave out"]),
        (["--table", "1", "--edition", "arxiv-v1"], ["Table 1", "arXiv v1 edition", "choose --table 3"]),
        (["--all", "--edition", "arxiv-v1"], ["Table 1", "arXiv v1 edition", "choose --table 3"]),
        (["--table", "4", "--only", "MobileNetV3*", "--run", "local"], ["--run", "MobileNetV3 (Searched)", "pilot"]),
        (["--table", "9", "--run", "local"], ["--table 9: experiment settings", "choose from --table 1 2 3"]),
        (["--table", "8", "--only", "lr"], ["--table 8: experiment settings", "--only"]),
        (["--table", "8", "9", "--set", "lr=1e-3"], ["--table 8 and 9: experiment settings", "--set"]),
        (["--table", "3", "8", "--budget", "pilot"], ["--table 8: experiment settings", "--budget"]),
        (
            ["--table", "3", "--edition", "arxiv-v2"],
            ["unknown edition 'arxiv-v2'", "did you mean 'arxiv-v1'", "iccv, arxiv-v1, readme"],
        ),
        (
            ["--table", "3", "--only", "t2t_vit_15"],
            ["unknown row or network 't2t_vit_15'", "did you mean 'T2T-ViT_t-1", "ResNet152*", "wildcards"],
        ),
        (["--table"], ["--table", "--help"]),
        (["--tabel", "3"], ["--tabel", "--help"]),
        (["--table", "3", "--rep", "local"], ["--rep local", "--help"]),  # not short for --reports
        (["--table", "3", "--run", "slurm-by-mail"], ["--run", "slurm-by-mail", "local", "--help"]),
        (["--table", "3", "--budget", "tiny"], ["--budget", "tiny", "paper", "pilot", "smoke"]),
        (["--budget", "smoke", "--set", "lr"], ["--set 'lr'", "FIELD=VALUE", "lr=1e-3"]),
        (
            ["--budget", "smoke", "--set", "lrr=1"],
            ["unknown field of a recipe 'lrr'", "did you mean 'lr'", "weight_decay"],
        ),
        (["--budget", "smoke", "--set", "epochs=many"], ["epochs takes a int", "many"]),
        (["--budget", "smoke", "--run", "local", "--workers", "-1"], ["--workers", "'-1'", "whole number from 0"]),
        (["--budget", "smoke", "--micro-batch", "0"], ["--micro-batch", "'0'", "whole number from 1"]),
        (
            ["--table", "3", "--run", "slurm", "--dry-run", "--data-on-nodes", "--slurm", "gpus_per_node=3", "nodes=2"],
            ["cannot be split over 6 processes", "choose 1, 2, 4,", "gpus_per_node=N"],
        ),
        ([], ["nothing to do", "--help", "--table N"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_wrong_request(run_all, tmp_path, arguments, parts):
    folders = ["--reports", tmp_path / "r", "--runs", tmp_path / "s"] if arguments else []
    one_line(run_all(*arguments, *folders), 2, *parts)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("option", ["--reports", "--runs"])
def test_a_folder_that_cannot_be_written(run_all, tmp_path, option):
    (tmp_path / "file").write_text("")
    folders = {"--reports": tmp_path / "reports", "--runs": tmp_path / "runs", option: tmp_path / "file" / "here"}
    arguments = [part for pair in folders.items() for part in pair]
    one_line(run_all("--table", 3, *arguments), 2, f"cannot write to {option}", "file/here", f"{option} DIR")


def test_a_folder_that_cannot_be_written_serves_what_it_holds(measured_once, run_all, tmp_path):
    """Mounted to be read alone: root, as in a container, may write everywhere else."""
    runs = tmp_path / "runs"
    runs.mkdir()
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", measured_once[1], runs], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"mounting takes rights that are not here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(OSError, match="Read-only"):
            (runs / "file").touch()
        for command in (["--table", 3], ["figure", 3], ["--budget", "smoke"]):
            done = run_all(*command, "--runs", runs, "--reports", tmp_path / "reports")
            assert (done.returncode, done.stderr) == (0, "")
        refused = run_all("figure", 3, "--img-size", 64, "--runs", runs, "--reports", tmp_path / "reports")
        one_line(refused, 2, "cannot write to --runs", "Read-only")
    finally:
        subprocess.run(["umount", runs], check=True)


def test_a_missing_dependency(run_all, tmp_path):
    """Really missing: -S hides the installed packages."""
    done = run_all("--table", 3, "--reports", tmp_path, "--runs", tmp_path, python_options=["-S"])
    one_line(done, 2, "missing dependency 'msgspec'", "torch, torchvision, timm", "pip install -c constraints.txt -e .")
    assert run_all("list", python_options=["-S"]).returncode == 0


@pytest.mark.parametrize("module", mostly_extended(["torch", "timm", "fvcore", "numpy", "PIL"], "torch", "numpy"))
def test_a_missing_library_of_the_measurement(run_all, tmp_path, module):
    done = run_all("--table", 3, "--reports", tmp_path, "--runs", tmp_path, code=without(module))
    one_line(done, 2, "missing dependency", module, "pip install")


def test_a_report_without_torch(measured_once, run_all, tmp_path):
    done = run_all("--table", 3, "--reports", tmp_path, "--runs", measured_once[1], code=without("torch"))
    assert done.returncode == 0, done.stderr


def test_a_missing_library_of_the_report(measured_once, run_all, tmp_path):
    """pandas raises an ImportError of its own for a library that only some of it needs."""
    done = run_all("--table", 3, "--reports", tmp_path, "--runs", measured_once[1], code=without("tabulate"))
    one_line(done, 2, "tabulate", "pip install")


def with_table(monkeypatch, model):
    """Give the program one table of two rows: one that names ``model``, and T2T-ViT-7, at 32 px."""
    recipe, published = TABLES[3].rows[2].run.recipe, TABLES[3].rows[2].published
    rows = (
        Row("A row", run=imagenet(model, recipe, img_size=32), published=published, curve="T2T-ViT", point="x"),
        Row("T2T-ViT-7", run=imagenet("t2t_vit_7", recipe, img_size=32), published={}, curve="T2T-ViT", point="7"),
    )
    monkeypatch.setattr(bench.cli.selection, "TABLES", {10: Table(number=10, title="A table", rows=rows)})


def test_a_row_that_names_no_model(monkeypatch, tmp_path, capsys):
    with_table(monkeypatch, "t2t_vit_15")
    assert bench.cli.main.main(["--table", "10", "--reports", str(tmp_path), "--runs", str(tmp_path)]) == 2
    line = capsys.readouterr().err
    assert "unknown model 't2t_vit_15'" in line
    assert "t2t_vit_t_14" in line
    assert line.count("\n") == 1


def test_a_network_that_cannot_be_counted_fails_alone(monkeypatch, tmp_path, capsys):
    import timm
    import torch

    class Uncountable(torch.nn.Module):
        def forward(self, x):
            return torch.baddbmm(x[0], x[0], x[0])

    def uncountable(pretrained=False, **kwargs):
        return Uncountable()

    timm.models.register_model(uncountable)
    with_table(monkeypatch, "uncountable")
    code = bench.cli.main.main(["--table", "10", "--reports", str(tmp_path), "--runs", str(tmp_path)])
    printed = capsys.readouterr()
    assert code == 1
    assert "run_all.py: uncountable at 32 px: Uncountable runs aten::baddbmm" in printed.err
    assert re.search(r"^A row +81.5 +- +21.5 +- ", printed.out, re.MULTILINE)
    assert re.search(r"^T2T-ViT-7 +- +- +- +4.\d+ ", printed.out, re.MULTILINE)
    assert (tmp_path / "table_10.md").exists()


def test_a_full_disk_is_one_line_and_keeps_the_old_report(measured_once, monkeypatch, tmp_path, capsys):
    arguments = ["--table", "3", "--reports", str(tmp_path), "--runs", str(measured_once[1])]
    assert bench.cli.main.main(arguments) == 0
    before = b"an older report, which is to be replaced\n"
    (tmp_path / "table_3.md").write_bytes(before)
    capsys.readouterr()

    def full_disk(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    assert bench.cli.main.main(arguments) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert (tmp_path / "table_3.md").read_bytes() == before


def test_a_reader_that_leaves_early_is_no_failure(measured_once, tmp_path):
    command = f"{sys.executable} run_all.py --table 3 --runs {measured_once[1]} --reports {tmp_path}"
    for reader in ("| head -1", "| true", ">&-"):
        script = f"set -o pipefail; {command} {reader}"
        done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), reader


def test_a_path_that_the_terminal_cannot_write(measured_once, tmp_path):
    reports = tmp_path / "rép"
    command = [sys.executable, "run_all.py", "--table", "3", "--runs", measured_once[1], "--reports", reports]
    env = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert r"r\xe9p" in done.stdout


@pytest.mark.extended
def test_the_committed_reports_are_what_the_program_writes(measured_anew, run_all, tmp_path):
    """From the committed runs and fresh measurements; but for machine and day, the first line of either kind."""

    def figures(text):
        return [re.sub(r"\b20\d\d-\d\d-\d\d", "", line) for line in text.splitlines() if "- Measured 20" not in line]

    runs, reports = tmp_path / "runs", tmp_path / "reports"
    shutil.copytree(ROOT / "reports" / "evidence", runs)
    shutil.copytree(measured_anew[1], runs, dirs_exist_ok=True)
    copy_pictures(measured_anew[2], reports)
    done = run_all("--all", "--runs", runs, "--reports", reports)
    assert done.returncode == 0, done.stderr
    written, committed = (
        {path.name: path.read_text() for path in folder.iterdir() if path.suffix in (".md", ".csv")}
        for folder in (reports, ROOT / "reports")
    )
    assert committed.keys() - written.keys() == {"loading.md", "step.md", "step.csv"}  # of other commands
    for name, text in written.items():
        if name == "README.md":  # which links what else lies in the folder
            committed[name] = committed[name].partition("\n\n## Beyond the paper")[0]
            text = text.partition("\n\n## Beyond the paper")[0]
        assert figures(committed[name]) == figures(text), f"run python run_all.py --all and commit {name}"


def test_the_table_in_the_readme_is_the_measured_one(measured_once):
    shown = (
        (ROOT / "README.md").read_text().partition("Table 3: T2T-ViT against ResNet, trained")[2].partition("```")[0]
    )
    rows = [line.split() for line in shown.splitlines() if line.startswith(("ResNet", "T2T"))]
    printed = [line.split() for line in printed_table(measured_once[0].stdout, 3)]
    assert len(rows) == 3
    assert all(row in printed for row in rows)


# Training


@pytest.fixture(scope="session")
def smoke(run_all, tmp_path_factory):
    """The smoke budget, trained for real: (finished process, runs, reports)."""
    folder = tmp_path_factory.mktemp("smoke")
    options = ("--budget", "smoke", "--runs", folder / "runs", "--reports", folder / "reports")
    done = run_all(*options, "--run", "local", "--log", "tensorboard")
    assert done.returncode == 0, done.stderr
    return done, options


def test_smoke_trains_a_tiny_t2t_vit_and_a_tiny_resnet(smoke):
    done, options = smoke
    lines = done.stderr.splitlines()
    assert sum(line.startswith("  epoch    4/4  loss ") for line in lines) == 2
    assert sum(line.startswith("  epoch    2/2  loss ") for line in lines) == 1
    assert len({line.index("loss") for line in lines if line.startswith("  epoch  ")}) == 1  # aligned
    with (options[-1] / "smoke.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"tiny T2T-ViT", "tiny T2T-ViT, tuned", "tiny ResNet"}
    assert f"starts from the weights of {rows['tiny T2T-ViT']['run_id']}" in done.stderr
    assert float(rows["tiny T2T-ViT, tuned"]["raw_best_top1_pct"]) > float(rows["tiny T2T-ViT"]["ema_last_top1_pct"])
    for row in rows.values():
        assert row["status"] == "completed"
        assert float(row["raw_last_top1_pct"]) > 25  # of ten classes
    page = (options[-1] / "smoke.md").read_text()
    assert "fill none of its cells" in page
    assert "Trained by:\n\n```\npython run_all.py --budget smoke --run local\n```" in page
    assert re.search(r"^tiny T2T-ViT +42 completed +512 ", done.stdout, re.MULTILINE)


def test_smoke_is_followed_by_its_logger(smoke):
    folders = [path.parent for path in smoke[1][3].glob("*/metrics.jsonl")]
    assert len(folders) == 3
    for folder in folders:
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        found = EventAccumulator(str(folder / "tensorboard"))
        found.Reload()
        assert set(found.Tags()["scalars"]) == {*lines[0]} - {"epoch"} | {"images_per_s"}
        losses = [(event.step, event.value) for event in found.Scalars("train_loss")]
        assert losses == [(line["epoch"], pytest.approx(line["train_loss"])) for line in lines]


def test_what_is_trained_is_not_trained_again_and_needs_no_torch(smoke, run_all):
    done, options = smoke
    before = (options[-1] / "smoke.csv").read_bytes()
    again = run_all(*options)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == done.stdout
    assert (options[-1] / "smoke.csv").read_bytes() == before
    (suite,) = json.loads(run_all(*options, "--json", "--run", "local").stdout)["suites"]
    assert [row["status"] for row in suite["rows"]] == ["completed"] * 3


def test_other_settings_are_another_run_reported_apart(smoke, run_all):
    _, options = smoke
    again = run_all(*options, "--set", "epochs=1", "lr=1e-2", "--only", "tiny ResNet", "--run", "local")
    assert again.returncode == 0, again.stderr
    text = (options[-1] / "smoke_epochs=1_lr=1e-2.md").read_text()
    assert "with epochs=1, lr=1e-2" in text
    assert "test_resnet-synthetic-smoke-s42-" in text
    with (options[-1] / "smoke.csv").open() as file:
        runs = {row["run_id"] for row in csv.DictReader(file)}
    assert not any(run in text for run in runs)


def test_a_sweep_reports_the_runs_that_there_are_with_a_picture(smoke, run_all):
    """One of its points is what the smoke budget trained."""
    _, options = smoke
    command = ("--sweep", "lr=1e-3,2e-3", "weight_decay=0.05", "--only", "tiny ResNet", "--seeds", "42", "43")
    done = run_all(*options, *command)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^tiny ResNet +0\.001 +0\.05 +0 of 2 +- ", done.stdout, re.MULTILINE)
    assert re.search(r"^tiny ResNet +0\.002 +0\.05 +1 of 2 +\d", done.stdout, re.MULTILINE)
    name = "smoke_sweep_lr_weight_decay"
    paths = [f"{options[-1] / name}.{suffix}" for suffix in ("md", "csv", "png", "svg")]
    assert f"wrote {', '.join(paths)}\n" in done.stdout
    with (options[-1] / f"{name}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["recipe_lr"], row["seed"], row["status"]) for row in rows if row["model"] == "tiny ResNet"] == [
        ("0.001", "42", "not begun"),
        ("0.001", "43", "not begun"),
        ("0.002", "42", "completed"),
        ("0.002", "43", "not begun"),
    ]
    text = (options[-1] / f"{name}.md").read_text()
    assert "--sweep lr=1e-3,2e-3 weight_decay=0.05 --seeds 42 43 --run local" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["status", "--cancel", "x"], ["unrecognized arguments: --cancel", "status --help"]),
        (["cancel", "x", "--run", "slurm", "--yes"], ["unrecognized arguments: --run slurm", "did you mean --runs?"]),
        (["stauts"], ["unknown command 'stauts'", "did you mean 'status'?", "evaluate, export, figure, list"]),
        (["--table", "3", "--run", "slrum"], ["did you mean slurm?"]),
        (["--dry-run", "--table", "3"], ["--dry-run does nothing without --run"]),
        (["--table", "3", "--run", "local", "--slurm", "nodes=2"], ["--slurm does nothing without --run slurm"]),
        (["status", "--folow"], ["did you mean --follow?"]),
        (["--budget", "smoke", "--run", "local", "--runs", "runs%j"], ["--runs 'runs%j'", "choose a folder without"]),
        (["cancel", "x", "--runs", "nowhere"], ["no runs in 'nowhere'", "--runs DIR"]),
        (
            ["--table", "3", "--run", "slurm", "--dry-run", "--data-on-nodes", "--slurm", "partitoin=a"],
            ["did you mean 'partition'"],
        ),
        (["--table", "3", "--seeds", "-1"], ["--seeds", "whole number from 0"]),
        (["--table", "3", "--sweep", "lr"], ["FIELD=VALUE,VALUE"]),
    ],
)
def test_commands_of_runs_that_make_no_sense(run_all, options, words):
    done = run_all(*options)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in words)


def test_a_plan_without_a_cluster(run_all, tmp_path, measured_once):
    """On a laptop, where nothing was ever submitted."""
    _, runs, _ = measured_once
    plan = ("--run", "slurm", "--data-on-nodes", "--dry-run")
    done = run_all("--table", 3, "--only", "t2t_vit_14", "resnet50", *plan, "--runs", runs)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert re.match(r"submit +t2t_vit_14-imagenet-t2t_medium-s42-[0-9a-f]{8} +~119\.5 GPU h +not begun", lines[2])
    assert re.match(r"estimated GPU hours: 25[12] for 3 runs \(scaled by MACs from DeiT-B's stated speed", lines[-1])
    assert re.match(r"options: no slurm\.toml in .*; Slurm cannot be reached: ", lines[-2])
    plain = run_all("--table", 3, "--only", "t2t_vit_14", *plan, "--json", "--runs", tmp_path)
    (decision,) = json.loads(plain.stdout)["plan"]
    assert (decision["action"], decision["estimated_gpu_hours"]) == ("submit", None)  # nothing is measured there


def test_data_that_are_not_there(run_all, tmp_path):
    options = ("--runs", tmp_path / "runs", "--reports", tmp_path / "reports", "--data", tmp_path, "--run", "local")
    done = run_all("--budget", "pilot", "--only", "t2t_vit_7", *options)
    assert done.returncode == 2
    assert "no cifar10 in" in done.stderr.splitlines()[-1]
    assert "--data DIR" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_ctrl_c_in_training_saves_and_the_same_command_goes_on(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "run_all.py"),
        "--budget",
        "smoke",
        "--only",
        "tiny T2T-ViT",
        "--run",
        "local",
    ]
    command += ["--runs", str(tmp_path), "--reports", str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert any(line.startswith("  epoch    1/4") for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "run_all.py: interrupted; everything is saved, and the same command resumes it"
    assert "Traceback" not in err
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0
    assert "resumes at epoch 1, step" in again.stderr


# Interruption and the terminal


def test_ctrl_c_keeps_what_was_measured(tmp_path):
    command = [sys.executable, str(ROOT / "run_all.py"), "--table", "3", "--runs", tmp_path, "--reports", tmp_path]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr.readline().startswith("[1/10] resnet50")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; finished work is kept" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert json.loads((tmp_path / "complexity" / "resnet50-224px.json").read_text())["params"] == 25_557_032
    assert not (tmp_path / "table_3.md").exists()


def test_a_terminal_gets_a_progress_bar_and_80_columns(tmp_path):
    master, slave = pty.openpty()
    command = [sys.executable, str(ROOT / "run_all.py"), "--table", "3", "--only", "t2t_vit_14"]
    command += ["--runs", str(tmp_path), "--reports", str(tmp_path)]
    env = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    with subprocess.Popen(command, cwd=ROOT, env=env, stdin=slave, stdout=slave, stderr=slave):
        os.close(slave)
        output = io.BytesIO()
        while True:
            try:
                chunk = os.read(master, 4096)
            except OSError:  # Linux's way to say that the other end closed
                break
            if not chunk:
                break
            output.write(chunk)
    os.close(master)
    text = output.getvalue().decode()
    assert "measuring t2t_vit_14 at 224 px" in text
    assert "[1/1]" not in text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"^T2T-ViT-14 +81\.5 +- +21\.5 +21\.546 equal +4\.8 +4\.800 equal", plain, re.MULTILINE)
    assert "…" not in plain
    table = plain.partition("Table 3: ")[2].partition("wrote")[0]
    assert max(map(len, table.splitlines()[1:])) <= 80
