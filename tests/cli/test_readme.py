"""README, docs/ and pages for contributors: every command is one that the program takes, every link leads somewhere.

The edits that docs/extending.md shows are tried in tests/integration/test_extending.py.
"""

import ast
import csv
import importlib
import re
import shlex
import shutil
import statistics

import pytest
import timm
import torch

import models  # noqa: F401  (register with timm)
from bench.cli import main
from bench.cli.parser import Parser
from bench.experiments.recipes import TRANSFER_RECIPES
from bench.launch.slurm.config import _KEYS
from bench.paper import TABLES
from bench.report.frame import COLUMNS
from bench.report.verdict import CLOSE, DIFFERS, EQUAL, VERDICTS
from bench.spec.datasets import NAMES
from bench.spec.errors import RequestError
from tests.cli.test_requests import actions_of
from tests.conftest import ROOT, lines_of
from tests.test_imports import INSIDE_FUNCTIONS, ROOMS

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [
        *(ROOT / f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "CHANGELOG", "runs/README")),
        *sorted((ROOT / "docs").glob("*.md")),
    ]
}
README = PAGES["README.md"]


def blocks(page, language):
    """Fenced blocks of a page in a language, "" for those without."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


# Commands

PROGRAMS = ("python run_all.py ", "python -m bench ", "t2t-bench ")


def arguments(line):
    """Of this program in a line of a shell; None if it is another program's."""
    program = next((program for program in PROGRAMS if line.startswith(program)), None)
    return shlex.split(line.removeprefix(program), comments=True) if program else None


def commands():
    """(page, line) of each of this program's commands."""
    for page in PAGES:
        in_text = re.findall(r"`((?:python run_all\.py|t2t-bench)[^`]* [^`]*)`", re.sub(r"\s*\n\s*", " ", PAGES[page]))
        for line in [*"".join(blocks(page, "")).splitlines(), *in_text]:
            for part in line.split(" && "):
                if arguments(part) and "--help" not in part:
                    yield page, part


COMMANDS = sorted({(page, line) for page, line in commands() if page != "docs/extending.md"})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with the files that commands name."""
    monkeypatch.chdir(tmp_path)
    for name in ("WEIGHTS", "DIR", "runs"):
        (tmp_path / name).mkdir()
    (tmp_path / "cat.jpg").touch()
    shutil.copytree(ROOT / "reports/evidence/t2t_vit_7-cifar10-pilot-s42-ed51a216", tmp_path / "reports/evidence/RUN")
    net = timm.create_model("t2t_vit_14")
    for name in ("81.5_T2T_ViT_14.pth.tar", "FILE"):
        torch.save({"state_dict_ema": net.state_dict()}, tmp_path / name)
    return tmp_path


def requested(argv):
    """What the program makes of a command line."""
    subcommand = main.COMMANDS.get(argv[0])
    module = importlib.import_module(subcommand or main.TABLES)
    return module.request(argv[1:] if subcommand else argv)


def test_every_command_is_one_that_the_program_takes(folder):
    assert len(COMMANDS) > 30
    for page, line in COMMANDS:
        try:
            requested(arguments(line))
        except RequestError as error:
            raise AssertionError(f"{page}: {line}") from error


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python run_all.py list", "T2T-ViT-14"),
        ("python run_all.py status", "no runs"),
        ("python run_all.py study --dry-run", "arms: T2T-ViT-7; "),
    ],
)
def test_cheap_commands_do_what_the_pages_say(line, words, tmp_path, monkeypatch, capsys):
    assert line in {command.partition("  ")[0] for _, command in COMMANDS}
    monkeypatch.chdir(tmp_path)
    assert main.main(arguments(line)) == 0
    assert words in capsys.readouterr().out


def test_both_commands_of_the_readme_are_one_line_each():
    assert re.findall(r"^pip install .*$", README, re.MULTILINE) == [
        "pip install -c constraints.txt -e . && python run_all.py --table 3",
        "pip install -c constraints.txt -e '.[test]' && pytest",
    ]


def options(module):
    parser = Parser()
    importlib.import_module(module).add_options(parser)
    return {option for _, _, action in actions_of("", parser) for option in action.option_strings}


OTHERS = {"--help", "--version", "--extra-index-url", "--update-golden", "--check", "--stat", "--cite", "--logdir"}
OTHERS |= {"--backend-store-uri", "--rm", "--ipc", "--user", "--build-arg", "--device", "--gpus", "--entrypoint"}
OTHERS |= {"--nv", "--bind", "--cleanenv", "--containall", "--sandbox"}
"""of the program itself, of pip, pytest, ruff, git, TensorBoard, MLflow, Podman, Docker and Apptainer, and of the
subcommand that docs/extending.md adds"""


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_options_are_the_programs(page):
    known = {option for module in (main.TABLES, *main.COMMANDS.values()) for option in options(module)}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGES[page])) <= known | OTHERS


def test_every_subcommand_is_shown():
    shown = {arguments(line)[0] for _, line in COMMANDS}
    assert set(main.COMMANDS) <= shown


# Links, paths and names


def anchors(text):
    """What a forge makes of a page's headings."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", re.sub(r"[*`]", "", heading).lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", PAGES[page]):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def test_every_page_of_docs_can_be_reached_from_the_readme():
    assert {page for page in PAGES if page.startswith("docs/")} <= set(re.findall(r"\]\((docs/\w+\.md)", README))


FILES = {path.name for folder in ("bench", "models", "tests", "docs") for path in (ROOT / folder).rglob("*")}
WRITTEN = {
    "slurm.toml",
    "reports/speed.md",
    "figure_2.md",
    "figure_2.csv",
    "study.md",
    "jobs",
    "bench/cli/commands/editions.py",
    "bench/launch/loggers/csv_file.py",
    "exports",
    "exports/RUN",
    "evidence",
}
"""by the user, and by the program"""


@pytest.mark.parametrize("page", [page for page in PAGES if page != "runs/README.md"])
def test_paths_exist(page):
    """A file's name alone stands for one in the folder that was named before it."""
    for name in re.findall(r"`([\w/.]+(?:\.py|\.md|\.toml|\.txt|/))`", PAGES[page]):
        path = name.rstrip("/")
        known = WRITTEN if "/" in path else WRITTEN | FILES
        assert path in known or (ROOT / path).exists() or path.startswith(("runs/", "DIR/")), name


def definitions(path):
    """Names of functions, classes and methods in a file, methods with their class."""
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
            yield from (f"{node.name}.{inner.name}" for inner in ast.walk(node) if isinstance(inner, ast.FunctionDef))


def test_the_architecture_names_functions_that_exist():
    """Each function of the run that the page follows is in one of the files of its step."""
    steps = re.findall(r"^\d\. (.*?)(?=^\d\. |^Measuring)", PAGES["ARCHITECTURE.md"], re.MULTILINE | re.DOTALL)
    assert len(steps) == 8
    for step in steps:
        found = {name for path in re.findall(r"`(bench/[\w/]+\.py)`", step) for name in definitions(path)}
        named = set(re.findall(r"`([A-Za-z_.]+)\(\)`", step))
        assert named <= found, named - found


def test_the_architecture_has_the_rules_of_imports():
    (table,) = re.findall(r"^\| package \|.*?\n\n", PAGES["ARCHITECTURE.md"], re.MULTILINE | re.DOTALL)
    rooms = {path.parent.name for path in ROOT.glob("bench/*/__init__.py")}
    told = set()
    for line in table.strip().splitlines()[2:]:
        room, imports = (re.findall(r"\w+", cell) for cell in (line.split("|")[1], line.split("|")[3]))
        allowed = ROOMS[room[0]] | INSIDE_FUNCTIONS.get(room[0], set())
        assert imports == ["all"] or set(imports) & {*rooms, "models"} == allowed & {*rooms, "models"}, room
        assert imports != ["all"] or allowed == {*rooms, "models"} - set(room)
        told |= set(room)
    assert told == rooms


# What the pages say


def test_the_answer_so_far_is_what_the_reports_say():
    answer = README.partition("## The answer so far")[2].partition("\n## ")[0]
    rows = [row for number in TABLES for row in lines_of(ROOT / f"reports/table_{number}.csv")]
    verdicts = [row[f"{cell}_verdict"] for row in rows for cell in ("params", "macs") if row[f"{cell}_verdict"]]
    counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    how = [row[f"{cell}_equal_by"] for row in rows for cell in ("params", "macs")]
    wanted = rf"Of {len(verdicts)} printed .* {counts[EQUAL]} equal .* \({how.count('rounding')} of them only if "
    wanted += rf"rounded, {how.count('truncation')} only if cut off\), and {counts[CLOSE]} are within 1 %\. "
    wanted += rf"The other {counts[DIFFERS]} differ, none by more than 12 %"
    plain = re.sub(r"\s+", " ", answer)
    assert re.search(wanted, plain)
    off_pct = [
        100 * abs(float(row[ours]) / float(row[f"published_{ours}"]) - 1)
        for row in rows
        for cell, ours in (("params", "params_m"), ("macs", "macs_g"))
        if row[f"{cell}_verdict"] == DIFFERS
    ]
    assert max(off_pct) < 12
    cells = [c for c in COLUMNS if re.fullmatch(r"published_(top1|cifar100?)_pct", c)]
    printed = sum(bool(row[cell]) for row in rows for cell in cells)
    filled = sum(bool(row[cell.removeprefix("published_")]) for row in rows for cell in cells if row[cell])
    assert f"The paper prints {printed} accuracies." in plain
    assert f"None of the {printed} accuracies has been reproduced here by training" in plain
    recorded = {row["model"]: row for row in rows if row["recorded_top1_pct"]}
    assert filled == sum(bool(row["recorded_top1_pct"]) for row in rows)  # nothing is trained or evaluated
    assert len(recorded) == 7
    off = [float(row["recorded_top1_pct"]) - float(row["published_top1_pct"]) for row in recorded.values()]
    assert max(map(abs, off)) < 0.2
    released = {row["model"]: row for row in rows if "PaddleViT" in row["reported_elsewhere"]}
    ends = {
        name: [abs(float(row[f"reported_{end}_pct"]) - float(row["published_top1_pct"])) for end in ("low", "high")]
        for name, row in released.items()
        if row["published_top1_pct"]
    }
    assert max(ends.pop("T2T-ViT_t-19")) > 0.2
    assert max(map(max, ends.values())) < 0.1


def test_the_transfers_accuracies_are_those_of_their_runs():
    """Mean ± standard error of three seeds, in the README and in docs."""

    def shown(model):
        lines = csv.DictReader((ROOT / "reports/transfer.csv").read_text().splitlines())
        counted = (line for line in lines if (line["model"], line["status"]) == (model, "completed"))
        top1 = [float(line["ema_best_top1_pct"]) for line in counted]
        assert len(top1) == 3
        return f"{statistics.fmean(top1):.1f} ± {statistics.stdev(top1) / 3**0.5:.1f} %"

    pilot, scratch, transferred = (
        shown(f"T2T-ViT-7 {how}") for how in ("on CIFAR-10 (pilot)", "from scratch", "transferred")
    )
    plain = {page: re.sub(r"\s+", " ", PAGES[page]) for page in ("README.md", "docs/training.md", "docs/transfer.md")}
    assert f"[{pilot}](../reports/transfer.md)" in plain["docs/training.md"]
    assert f"accuracy on CIFAR-100 from {scratch} to {transferred} " in plain["README.md"]
    assert f"T2T-ViT-7 reached {transferred} with pretraining and {scratch} without" in plain["docs/transfer.md"]


def test_the_studys_numbers_are_those_of_its_page():
    arms = list(csv.DictReader((ROOT / "reports/study.csv").read_text().splitlines()))
    (t2t_vit,) = (float(line["top1_pct"]) for line in arms if line["arm"] == "t2t_vit_7")
    contests = list(csv.DictReader((ROOT / "reports/study_contests.csv").read_text().splitlines()))
    verdicts, together = (
        {line["claim"]: line[name] for line in contests if line["claim_verdict"] not in ("", "-")}
        for name in ("claim_verdict", "claim_verdict_family_wise")
    )
    agrees, disagrees = (
        dict.fromkeys(claims, word) for claims, word in (("14", "agrees"), (("2", "5", "11"), "disagrees"))
    )
    assert verdicts == {**agrees, **disagrees, "3": "cannot tell"}
    assert together == verdicts | {"4": "cannot tell"}
    of = {(line["arm"], line["against"]): line for line in contests if line["difference_pct"]}
    ahead = {against: float(of["t2t_vit_7", against]["difference_pct"]) for arm, against in of if arm == "t2t_vit_7"}
    detectable = float(of["t2t_vit_7", "mobilenetv2_140"]["detectable_pct"])
    dead = {line["arm"]: line["dead_pct"] for line in arms}
    page = (ROOT / "reports/study.md").read_text()
    runs = re.search(r"All (\d+) runs of the core arms are complete", page)[1]
    assert "the verdict on claim 5 would be *cannot tell*" in page
    words = re.sub(r"\s+", " ", README)
    for told in (
        "**Small networks trained here agree with two claims, disagree with three, and leave one open.**",
        f"nine small networks, three seeds and six epochs each ({runs} runs)",
        f"T2T-ViT-7 reaches {t2t_vit:.1f} %: {ahead['vit_s']:.1f} points more than a plain ViT",
        f"and {ahead['t2t_vit_7_patches']:.1f} points more than without the T2T module",
        f"in the module's place it is {-float(of['t2t_vit_c_7', 't2t_vit_7']['difference_pct']):.1f} points worse",
        f"But it is {-ahead['resnet10t']:.1f} points behind a ResNet of similar size, against claim 2",
        f"and {-ahead['t2t_vit_wide']:.1f} points behind a shallow and wide T2T-ViT, against claim 5",
        f"T2T-ViT-7 is {ahead['mobilenetv2_140']:.1f} points ahead of a MobileNetV2 of similar size, where only a "
        f"difference of {detectable:.1f} would probably have been found",
        "When the 5 % error rate applies to all claims together, claim 4 becomes undecided, too",
        f"the plain ViT has no dead channels where the ResNet has {float(dead['resnet10t']):.1f} %",
    ):
        assert told in words
    assert float(dead["vit_s"]) == 0


def test_the_unbeaten_rows_are_those_of_the_reports():
    told = re.search(r"\*\*Speed\.\*\* .+", (ROOT / "reports/README.md").read_text())[0]
    (train, rows, trained), (infer, _, inferred) = re.findall(r"(\d+) of (\d+) rows [^:]*: (\d+) of T2T-ViT", told)
    assert (
        f"Of the {rows} rows of the paper's tables that have an accuracy, [{train} are unbeaten in "
        "training](reports/speed.md): no other row is both at least as fast and, by the printed numbers, at least as "
        f"accurate. {trained} of these {train} are T2T-ViTs. In inference {infer} rows are unbeaten, and {inferred} of "
        "them are T2T-ViTs."
    ) in re.sub(r"\s+", " ", README)


def test_the_cost_of_the_claims_is_what_the_page_says():
    lines = list(csv.DictReader((ROOT / "reports/cost.csv").read_text().splitlines()))
    page = (ROOT / "reports/cost.md").read_text()
    told = re.search(r"GPU hours: only the (\d+) that seeds can decide \((.+?)\)", page)
    decided = re.findall(r"\d+", told[2])
    assert len(decided) == int(told[1]) == 5
    seeds, hours = {}, {}
    for line in lines:
        if line["claim"] in decided:
            seeds[line["run_id"]] = max(seeds.get(line["run_id"], 0), int(line["seeds_needed"]))
            hours[line["run_id"]] = float(line["gpu_hours_per_run"])
    total = sum(seeds[run] * hours[run] for run in seeds)
    assert sorted(seeds.values()) == [2] * (len(seeds) - 2) + [24, 24]
    assert f"estimated [{round(total, -2):,.0f} GPU hours](reports/cost.md)" in re.sub(r"\s+", " ", README)


def test_the_shown_output_is_what_is_printed(capsys, tmp_path):
    shown = next(block for block in blocks("README.md", "") if block.startswith("Table 3"))
    shutil.copytree(ROOT / "reports/evidence/complexity", tmp_path / "runs/complexity")
    shutil.copytree(ROOT / "reports/evidence/recorded", tmp_path / "evidence/recorded")
    assert main.main(["--table", "3", "--runs", str(tmp_path / "runs"), "--reports", str(tmp_path)]) == 0
    *lines, rest = shown.splitlines()
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert rest == "..."
    assert printed[: len(lines)] == lines


def test_python_in_the_pages_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict_ema": timm.create_model("t2t_vit_14").state_dict()}, "81.5_T2T_ViT_14.pth.tar")
    tuned = timm.create_model("t2t_vit_14", num_classes=10).state_dict()
    torch.save(
        {"net": {f"module.{k}": v for k, v in tuned.items()}, "acc": 98.3, "epoch": 1}, "cifar10_t2t-vit_14_98.3.pth"
    )
    for page in ("README.md", "docs/models.md"):
        names = {}
        assert blocks(page, "python")
        for code in blocks(page, "python"):
            exec(code, names)
        assert names["net"].num_classes in (10, 1000)


def test_the_networks_named_are_registered():
    table = PAGES["docs/models.md"].partition("| names |")[2].partition("\n\n")[0]
    ours = {name for module in ("t2t_vit", "vit", "cnn") for name in timm.list_models(module=module)}
    named = set(re.findall(r"`([a-z]\w+)`", table))
    assert named <= ours
    endings = re.findall(r"`(_\w+)`", table)
    assert all(name in named or name.endswith(tuple(endings)) for name in ours)
    assert f"registers {len(ours)} networks" in re.sub(r"\s+", " ", README)


def test_the_slurm_options_are_listed():
    table = PAGES["docs/slurm.md"].partition("| key |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|(.*?)\|", table, re.MULTILINE)))) == set(_KEYS)


def test_the_data_sets_are_listed():
    table = PAGES["docs/training.md"].partition("| `--dataset` |")[2].partition("\n\n")[0]
    assert set(NAMES) <= set(re.findall(r"`([\w-]+)`", "".join(re.findall(r"^\|(.*?)\|", table, re.MULTILINE))))


def test_the_recipes_for_fine_tuning_are_explained():
    assert all(f"`{name}`" in PAGES["docs/transfer.md"] for name in TRANSFER_RECIPES)


def test_constraints_pin_every_dependency():
    pinned = {
        line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    wanted = re.findall(r'"([\w-]+)(?:\[[\w-]+\])?>=', (ROOT / "pyproject.toml").read_text())
    assert {name.lower() for name in wanted} - {"setuptools"} <= pinned
    assert {"numpy", "pillow", "tabulate"} <= pinned
