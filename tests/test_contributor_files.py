"""What contributors are told to run exists, in CONTRIBUTING.md as in the workflow and the hooks."""

import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml

from bench import __version__
from tests.conftest import ROOT

WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def steps(job):
    return [step["run"] for step in WORKFLOW["jobs"][job]["steps"] if "run" in step]


def test_the_full_job_runs_what_ci_runs_here_and_the_quick_one_comes_first():
    assert ".ci/run" in steps("full")
    assert WORKFLOW["jobs"]["full"]["needs"] == "quick"
    assert (ROOT / ".ci/run").stat().st_mode & 0o100


def test_the_html_page_is_made_and_offered_but_not_committed():
    (upload,) = [step for step in WORKFLOW["jobs"]["page"]["steps"] if "upload-artifact" in step.get("uses", "")]
    page = upload["with"]["path"]
    assert (ROOT / page).parent == ROOT / "reports"
    assert upload["with"]["if-no-files-found"] == "error"
    make = steps("page")[-1]
    assert make == "python run_all.py --all --runs reports/evidence"
    assert make in (ROOT / "docs/reports.md").read_text()
    assert page in (ROOT / "README.md").read_text()
    assert f"/{page}" in (ROOT / ".gitignore").read_text().splitlines()
    listed = subprocess.run(["git", "ls-files", page], cwd=ROOT, capture_output=True, text=True)
    assert listed.stdout == ""


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy"])
def test_linter_and_types_run_everywhere(command):
    assert command in steps("quick")
    assert command in CONTRIBUTING
    assert re.search(rf"^(beside )?{re.escape(command)}$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    entries = [hook["entry"] for repo in HOOKS["repos"] for hook in repo["hooks"] if repo["repo"] == "local"]
    assert any(entry.split()[:2] == command.replace("--check ", "").rstrip(" .").split()[:2] for entry in entries)


def test_selections_of_tests_exist():
    (quick,) = [command for command in steps("quick") if command.startswith("pytest")]
    assert quick in CONTRIBUTING
    named = re.findall(r"\btests/[\w/.-]+", CONTRIBUTING + quick)
    assert named
    assert not [name for name in named if not (ROOT / name).exists()]


TESTS = """
import pytest

def test_plain():
    pass

@pytest.mark.extended
def test_extended():
    pass

@pytest.mark.parametrize("x", [1, pytest.param(2, marks=pytest.mark.extended)])
def test_both(x):
    pass
"""


def test_the_readmes_command_leaves_out_the_extended_tests_and_ci_runs_all(tmp_path, monkeypatch):
    """By the same command, with the options of ``.ci/run``."""
    command = re.search(r"^pip install .* && (pytest.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)[1]
    options = re.search(r"^run_tests\+=(.*)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)[1]
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_some.py").write_text(TESTS)
    collected = []
    for added in ("", *shlex.split(options, comments=True)):
        asked = [sys.executable, "-B", "-m", *shlex.split(command + added), "-n", "0", "--collect-only", "-q"]
        done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        collected.append([line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line])
    plain, extended = ["test_plain", "test_both[1]"], ["test_extended", "test_both[2]"]
    assert [sorted(names) for names in collected] == [sorted(plain), sorted(plain + extended)]


def test_one_version_everywhere():
    assert re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == __version__
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize("package", ["bench", "models"])
def test_types_are_installed(package):
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"][package]
    assert (ROOT / package / "py.typed").exists()


@pytest.mark.parametrize("package", ["bench", "models"])
def test_files_beside_the_code_are_installed(package):
    """Styles, scripts and templates, which setuptools leaves out unless they are named."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    beside = [path for path in (ROOT / package).rglob("*.*") if path.suffix not in (".py", ".pyc")]
    assert beside
    for path in beside:
        name = ".".join(path.parent.relative_to(ROOT).parts)
        assert any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns.get(name, [])), path
