"""timm's own tests of its networks, over ours: they pass, but for what docs/models.md lists with a reason.

They are in timm's source distribution, which pip downloads for the installed version, once for each checkout.
"""

import json
import re
import subprocess
import sys
import tarfile
from fnmatch import fnmatchcase
from importlib.metadata import version

import pytest
import timm
from filelock import FileLock

import models  # noqa: F401  (registers with timm)
from tests.conftest import ROOT, mostly_extended
from tests.models.timms_tests import OURS, names_for

FIRST = "t2t_vit_7"
"""tested alone, and first"""

GROUPS = {FIRST: (FIRST,)} | {
    f"{module} {part + 1} of 2": [name for name in timm.list_models(module=module) if name != FIRST][part::2]
    for module in OURS
    for part in range(2)
}
"""by what they are called here"""

SOME = {
    f"test_model_{what}"
    for what in ("backward", "backward_fx", "forward", "forward_fx", "forward_intermediates", "forward_torchscript")
}
"""tests that every version of timm has"""


@pytest.fixture(scope="module")
def timms_file(pytestconfig):
    """timm's ``tests/test_models.py``, alone in a folder."""
    release = version("timm")
    folder = pytestconfig.cache.mkdir(f"timm-{release}")
    file = folder / "test_models.py"
    with FileLock(folder / "lock"):
        if not file.exists():
            options = ["--quiet", "--no-deps", "--no-binary", "timm", "--dest", folder, f"timm=={release}"]
            download = subprocess.run(
                [sys.executable, "-m", "pip", "download", *options], capture_output=True, text=True, timeout=300
            )
            if download.returncode:
                reason = (download.stderr.strip().splitlines() or ["no reason given"])[-1]
                pytest.skip(f"pip could not download the source distribution of timm {release}: {reason}")
            with tarfile.open(folder / f"timm-{release}.tar.gz") as archive:
                source = archive.extractfile(f"timm-{release}/tests/test_models.py").read()
            file.with_suffix(".part").write_bytes(source)
            file.with_suffix(".part").rename(file)
    return file


def exceptions():
    """Tests and patterns of names that docs/models.md lists, by line of its table."""
    text = (ROOT / "docs" / "models.md").read_text()
    table = text[text.index("| timm's tests |") :].partition("\n\n")[0].splitlines()[2:]
    lines = []
    for line in table:
        tests, names, reason = line.strip("|").split("|")
        assert reason.strip()
        lines.append((re.findall(r"`(\w+)`", tests), re.findall(r"`([\w*]+)`", names)))
    return lines


@pytest.mark.parametrize("group", mostly_extended(GROUPS, FIRST))
def test_timms_own_tests_pass_but_for_what_the_docs_list(group, timms_file, tmp_path, monkeypatch):
    names, file = GROUPS[group], tmp_path / "outcomes.json"
    command = [sys.executable, "-m", "tests.models.timms_tests", timms_file, file, *names]
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)  # meant for our own tests
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    outcomes = json.loads(file.read_text())
    assert {test for test in SOME if names_for(test, names)} <= outcomes.keys()
    assert all(outcomes[test].keys() == names_for(test, names) for test in outcomes)
    failed = {
        (test, name): reason
        for test, by_name in outcomes.items()
        for name, (outcome, reason) in by_name.items()
        if outcome != "passed"
    }
    listed = {
        (test, name)
        for tests, patterns in exceptions()
        for test in tests
        for name in names_for(test, names)
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    assert not {key: reason for key, reason in failed.items() if key not in listed}
    assert not listed - failed.keys()  # these pass: docs/models.md need not list them


def test_what_the_docs_list_is_there():
    names = [name for module in OURS for name in timm.list_models(module=module)]
    for tests, patterns in exceptions():
        assert tests
        assert patterns
        for pattern in patterns:
            assert any(fnmatchcase(name, pattern) for name in names), pattern
