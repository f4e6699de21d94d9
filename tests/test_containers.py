"""The container files install as the README says, do the same, and are built as far as this machine can."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

CONTAINERFILE = (ROOT / "containers/Containerfile").read_text()
DEFINITION = (ROOT / "containers/t2t-bench.def").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
(INSTALL,) = re.findall(r"^(pip install .*) && python run_all.py", (ROOT / "README.md").read_text(), re.MULTILINE)
COMPILE = "python -m compileall -q ."

SECTIONS = "arguments environment files help labels post runscript setup startscript test".split()
"""those that Apptainer knows, as far as they may stand in a definition of one stage"""


def parsed(definition):
    """A definition's header, {key: value}, and its sections, {name: lines without indent, comments and blanks}."""
    header, sections, lines = {}, {}, None
    for line in map(str.strip, definition.splitlines()):
        if line.startswith("%"):
            lines = sections[line[1:]] = []
        elif line and not line.startswith("#"):
            if lines is None:
                key, _, value = line.partition(": ")
                header[key] = value
            else:
                lines.append(line)
    return header, sections


HEADER, APPTAINER = parsed(DEFINITION)
ARGUMENTS = dict(line.split("=", 1) for line in APPTAINER["arguments"])


def filled(text, **arguments):
    """A definition's text with the values of its arguments, as ``apptainer build --build-arg`` fills them in."""
    return re.sub(r"\{\{ (\w+) \}\}", lambda found: {**ARGUMENTS, **arguments}[found[1]], text)


def instructions(name):
    """What stands behind an instruction of the Containerfile, in its order."""
    joined = CONTAINERFILE.replace("\\\n", "")
    return [re.sub(r"\s+", " ", rest) for rest in re.findall(rf"^{name} (.*)$", joined, re.MULTILINE)]


# What the files say


def test_both_install_by_the_line_of_the_readme():
    assert INSTALL in instructions("RUN")
    assert INSTALL in APPTAINER["post"]


def test_the_definition_has_what_apptainer_reads():
    assert HEADER == {"Bootstrap": "docker", "From": "{{ BASE }}"}
    assert set(APPTAINER) <= set(SECTIONS)
    assert set(re.findall(r"\{\{ (\w+) \}\}", DEFINITION)) == set(ARGUMENTS)
    assert APPTAINER["runscript"] == ['exec t2t-bench "$@"']


def test_both_hold_the_same_program_on_the_same_base():
    base, index, *_ = instructions("ARG")
    assert base == f"BASE=docker.io/library/{ARGUMENTS['BASE']}"
    assert index.partition("=")[0] in ARGUMENTS
    assert instructions("RUN")[:2] == [line for line in APPTAINER["post"] if line in (INSTALL, COMPILE)]
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert [line.split() for line in APPTAINER["files"]] == [[name, "/opt/t2t-bench/"] for name in allowed]


def test_both_have_the_same_labels():
    quoted = dict(re.findall(r'([\w.]+)="(.*?)"', *instructions("LABEL")))
    assert quoted == dict(line.split(" ", 1) for line in APPTAINER["labels"])
    assert quoted["org.opencontainers.image.description"] == PROJECT["project"]["description"]
    assert quoted["org.opencontainers.image.licenses"] == PROJECT["project"]["license"]


def test_the_base_is_that_of_the_tests_on_github():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert jobs["full"]["container"] == ARGUMENTS["BASE"]


def test_the_containerfile_is_clean():
    """By hadolint, and by shellcheck in it."""
    hadolint = Path(sysconfig.get_path("scripts"), "hadolint")
    done = subprocess.run([hadolint, ROOT / "containers/Containerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


# What they do

DEPENDENCIES = "/dependencies"
"""where a container sees the libraries of this environment"""


class Buildah:
    """buildah with a store of its own, and without namespaces, which a sandbox may not allow.

    Args:
        folder: for the store.
    """

    def __init__(self, folder):
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
        )
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))},
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
        }
        mounted = {"/usr": "/usr", sysconfig.get_path("purelib"): DEPENDENCIES}
        if not Path(sys.base_prefix).is_relative_to("/usr"):
            mounted[sys.base_prefix] = sys.base_prefix
        self.volumes = [f"--volume={here}:{there}:ro" for here, there in mounted.items()]

    def __call__(self, *command):
        done = subprocess.run(["buildah", *map(str, command)], env=self.env, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def run(self, container, *command, options=()):
        return self("run", *self.volumes, *options, container, "--", *command)

    def base(self, wheels):
        """Commit an image in which pip finds the libraries of this environment, and the wheels, and nothing else."""
        container = self("from", "scratch")
        root = Path(self("mount", container))
        for name in ("bin", "lib", "lib64", "sbin"):
            (root / name).symlink_to(f"usr/{name}")
        for name in ("etc", "root", "tmp", "usr"):
            (root / name).mkdir()
        (root / "tmp").chmod(0o1777)
        shutil.copy("/etc/ld.so.cache", root / "etc")
        shutil.copytree(wheels, root / "wheels")
        python = Path(sys.base_prefix, "bin", "python3")
        self.run(container, python, "-m", "venv", "/venv")
        (packages,) = root.glob("venv/lib/python*/site-packages")
        (packages / "dependencies.pth").write_text(f"{DEPENDENCIES}\n")
        variables = {"PATH": "/venv/bin:/usr/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
        self("config", *(f"--env={name}={value}" for name, value in variables.items()), container)
        self("umount", container)
        self("commit", "--quiet", container, "localhost/base")
        return "localhost/base"


@pytest.fixture(scope="module")
def buildah(tmp_path_factory):
    if not shutil.which("buildah") or os.geteuid():
        pytest.skip("needs buildah, and root")
    folder = tmp_path_factory.mktemp("containers")
    buildah = Buildah(folder)
    yield buildah
    buildah("rm", "--all")
    buildah("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def base(buildah, tmp_path_factory):
    """An image in the place of Python's, which may not be had here."""
    wheels = tmp_path_factory.mktemp("wheels")
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels)]
    done = subprocess.run([*download, *PROJECT["build-system"]["requires"]], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot download setuptools: {done.stderr.strip().splitlines()[-1]}")
    return buildah.base(wheels)


@pytest.mark.extended
def test_the_containerfile_builds_and_its_image_serves_every_user(buildah, base):
    arguments = ["--build-arg", f"BASE={base}", "--build-arg", "PIP_EXTRA_INDEX_URL="]
    buildah("build", "--quiet", *buildah.volumes, *arguments, "--tag=t2t-bench", "--file=containers/Containerfile", ".")
    config = "{{index .OCIv1.Config.Entrypoint 0}} {{index .OCIv1.Config.Cmd 0}} {{.OCIv1.Config.WorkingDir}}"
    entrypoint, command, folder = buildah("inspect", "--type=image", "--format", config, "t2t-bench").split()
    assert folder == "/work"
    for user in ("0:0", "1234:5678"):
        container = buildah("from", "t2t-bench")
        assert "usage: run_all.py" in buildah.run(container, entrypoint, command)
        asked = [entrypoint, "--table", "4", "--only", "MobileNetV1*"]
        assert "MobileNetV1" in buildah.run(container, *asked, options=[f"--user={user}"])
        root = Path(buildah("mount", container))
        assert (root / "work/reports/table_4.md").stat().st_uid == int(user.partition(":")[0])
        held = {path.name for path in (root / "opt/t2t-bench").iterdir()} - {"__pycache__", "t2t_bench.egg-info"}
        assert held == {line.split()[0] for line in APPTAINER["files"]}


@pytest.mark.extended
def test_the_sections_of_the_definition_do_what_the_containerfile_does(buildah, base):
    """As Apptainer carries them out: files are copied by cp, scripts run by a shell that ends at the first error."""
    container = buildah("from", base)
    root = Path(buildah("mount", container))
    for source, target in map(str.split, APPTAINER["files"]):
        (root / target.lstrip("/")).mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-fLr", ROOT / source, f"{root}{target}"], check=True)

    def script(*sections):
        return filled("\n".join(itertools.chain.from_iterable(APPTAINER[name] for name in sections)), BASE=base)

    buildah.run(container, "/bin/sh", "-ec", script("post"))
    assert "T2T-ViT-14" in buildah.run(container, "/bin/sh", "-ec", script("environment", "test"))
    said = buildah.run(container, "/bin/sh", "-ec", script("environment", "runscript"), "sh", "list", "ResNet50*")
    assert "ResNet50" in said
