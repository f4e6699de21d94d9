"""The libraries of all extras have versions for each Python that the classifiers name, as the package index says.

They are installed for the Python that runs the tests; for the others, uv resolves them and installs nothing.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
OTHERS = [version for version in PYTHONS if version != "{}.{}".format(*sys.version_info)]
WITHOUT_WHEELS = ("fvcore", "iopath")
"""of pure Python"""
UNPINNED = ("cuda-", "nvidia-", "triton", "setuptools")
"""how the names begin of what torch asks for: the parts of CUDA, whose versions it pins, and what builds packages"""


def versions(text):
    """{name: version} of what is pinned, with names as the index has them."""
    found = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_readme_metadata_and_workflow_name_the_same_pythons():
    *first, last = PYTHONS
    assert f"with Python {', '.join(first)} or {last}, from" in (ROOT / "README.md").read_text()
    assert PROJECT["requires-python"] == f">={first[0]}"
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["quick"]["strategy"]["matrix"]["python-version"] == PYTHONS


@pytest.fixture(scope="module")
def resolve():
    """A function that resolves for all other Pythons at once, since that is mostly waiting."""

    def resolve(*options):
        uv = [Path(sysconfig.get_path("scripts"), "uv"), "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
        uv += ["--all-extras", "--only-binary=:all:", *(f"--no-binary={name}" for name in WITHOUT_WHEELS)]
        env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started = [
            subprocess.Popen([*uv, f"--python-version={other}", *options, "pyproject.toml"], cwd=ROOT, env=env, **pipes)
            for other in OTHERS
        ]
        ended = [(*process.communicate(), process.returncode) for process in started]
        for _, said, code in ended:
            if code and re.search("error sending request|failed to fetch", said, re.IGNORECASE):
                pytest.skip(f"the package index does not answer: {' '.join(said.split())}")
            assert code == 0, said
        return [versions(out) for out, _, _ in ended]

    return resolve


@pytest.mark.extended
def test_constraints_name_every_version_for_every_python(resolve):
    pinned = versions((ROOT / "constraints.txt").read_text())
    for libraries in resolve("--constraints=constraints.txt"):
        assert {name: it for name, it in libraries.items() if not name.startswith(UNPINNED)}.items() <= pinned.items()


@pytest.mark.extended
def test_the_ranges_alone_fit_together(resolve):
    """For whoever installs without constraints, beside libraries of their own."""
    named = {name for line in PROJECT["dependencies"] for name in versions(re.sub("[^\\w-].*", "==0", line))}
    for libraries in resolve():
        assert named <= libraries.keys()
