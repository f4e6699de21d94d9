"""Files of released weights: found in a folder by name or by content, and timm's in the hub's cache or on the hub."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import timm

from bench.results.files import sha256_of
from bench.spec.contents import DATASETS
from bench.spec.run import Network, RunSpec
from bench.spec.table import Released
from models.checkpoints import (
    Checkpoint,
    CheckpointError,
    ForeignFile,
    img_size,
    misfit,
    networks_of,
    read_checkpoint,
)

SUFFIXES = (".pth", ".pt", ".ckpt", ".tar", ".bin", ".safetensors")
"""of files that are looked at"""

HUB_PATIENCE_S = 5
"""for the hub to answer at all: its client tries for minutes"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file that holds, by its name or by its content, the released weights of a run."""

    run: RunSpec
    released: Released
    path: Path
    by: str
    """name, content, or hub"""
    checkpoint: Checkpoint | None = None
    """what was read of it, if it was"""

    @property
    def file(self) -> str:
        """Its name; of one from the hub, with its repository."""
        return f"{hub_repository(self.released.tag)}/{self.path.name}" if self.by == "hub" else self.path.name

    def read(self) -> Checkpoint:
        """Its weights.

        Raises:
            CheckpointError: it cannot be used, or its bytes are not those that its name promises.
            OSError: it cannot be read.
        """
        checkpoint = self.checkpoint or read_checkpoint(self.path)
        promised = re.search(r"-([0-9a-f]{8})\.\w+$", self.path.name)
        if promised and self.path.name in self.released.files and not checkpoint.sha256.startswith(promised[1]):
            raise CheckpointError(
                f"{self.path}: its sha256 begins {checkpoint.sha256[:8]}, and its name says {promised[1]}; fetch it "
                "again"
            )
        return checkpoint


@dataclass(slots=True, kw_only=True)
class Findings:
    """The requested weights that a folder holds."""

    found: list[Found] = field(default_factory=list)
    """one a run at most"""
    failures: list[str] = field(default_factory=list)
    """a line for each file or run that cannot be used"""
    unwanted: list[str] = field(default_factory=list)
    """a line for each file that is of no run that is wanted"""
    settled: set[RunSpec] = field(default_factory=set)
    """runs with a file, be it a failure"""


def find(folder: Path, wanted: Iterable[RunSpec], released: Mapping[RunSpec, Released]) -> Findings:
    """Look through a folder and those below it: by name first, and what has no official name by content.

    Args:
        folder: of files with SUFFIXES.
        wanted: the runs whose weights are looked for.
        released: those of every run that has some.
    """
    findings, wanted = Findings(), list(dict.fromkeys(wanted))
    by_name = {name: run for run, weights in released.items() for name in _names(weights)}
    there = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    findings.unwanted += [f"{path} is a folder, not a file of weights" for path in there if path.is_dir()]
    by_place = {os.path.realpath(path): path for path in reversed(there) if not path.is_dir()}
    files = list(by_place.values())[::-1]  # a link and its target are one
    named = [(path, by_name[path.name]) for path in files if path.name in by_name]
    for path, run in named:
        if run not in wanted:
            findings.unwanted.append(f"{path} is of {_what(run)}, which no selected row uses")
    for run in wanted:
        paths = [path for path, other in named if other == run]
        _take(findings, [Found(run=run, released=released[run], path=path, by="name") for path in paths])
    by_content: dict[RunSpec, list[Found]] = {}
    for path in files:
        if path.name in by_name:
            continue
        try:
            checkpoint = read_checkpoint(path)
        except ForeignFile:
            findings.unwanted.append(f"{path} is not a file of weights")
            continue
        except (CheckpointError, OSError) as error:
            findings.failures.append(_line(error))
            continue
        of, otherwise = _identify(checkpoint, released)
        if of is None:
            findings.unwanted.append(f"{path} {otherwise}")
        elif of not in wanted:
            findings.unwanted.append(f"{path} is of {_what(of)}, which no selected row uses")
        elif of in findings.settled:
            findings.unwanted.append(f"{path} is of {_what(of)}, and another file has the official name")
        else:
            others = by_content.setdefault(of, [])
            kept = None if others else checkpoint  # of two files for one run neither will be used
            others.append(Found(run=of, released=released[of], path=path, by="content", checkpoint=kept))
    for several in by_content.values():
        _take(findings, several)
    order = list(released)
    findings.found.sort(key=lambda found: order.index(found.run))
    return findings


def _names(weights: Released) -> list[str]:
    return [*weights.files, *([f"{weights.tag}{suffix}" for suffix in SUFFIXES] if weights.tag else [])]


def _take(findings: Findings, several: list[Found]) -> None:
    """One file for a run, or none of several."""
    if not several:
        return
    findings.settled.add(several[0].run)
    try:
        differ = len(several) > 1 and len({sha256_of(found.path) for found in several}) > 1
    except OSError as error:
        findings.failures.append(_line(error))
        return
    if differ:
        paths = " and ".join(str(found.path) for found in several)
        findings.failures.append(f"{paths} are both of {_what(several[0].run)}; keep only one of them there")
    else:
        findings.found.append(several[0])


def _what(run: RunSpec) -> str:
    return f"{run.network} at {run.img_size} px on {run.dataset}"


def _line(error: Exception) -> str:
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)


def _identify(checkpoint: Checkpoint, released: Mapping[RunSpec, Released]) -> tuple[RunSpec | None, str]:
    """The run whose released weights these are by names and shapes; if none, what they are instead.

    Of networks whose shapes are alike it is the one that was released; the table of positions tells the resolution,
    and the head the data set. Of CNNs many weights fit the same network, and none is told by its content.
    """
    if checkpoint.key in ("ema", "network"):
        return None, "is a checkpoint of a run, which is reported with its run"
    names = networks_of(checkpoint)
    if not names:
        return None, f"fits no network with known released weights, {misfit(checkpoint.weights)}"
    classes = checkpoint.weights["head.weight"].shape[0] if "head.weight" in checkpoint.weights else 0
    try:
        side = img_size(checkpoint)
    except CheckpointError:
        return None, f"fits {' or '.join(names)}, but its positions do not form a square"
    for run in released:
        known = run.network in [Network(name, img_size=run.img_size) for name in names]
        if known and run.img_size == side and DATASETS[run.dataset].num_classes == classes:
            return run, ""
    return (
        None,
        f"fits {' or '.join(names)} at {side} px with {classes} classes, for which there are no released weights",
    )


class NotToBeHad(Exception):
    """Weights that are neither in the hub's cache nor to be fetched, and why."""


class Hub:
    """timm's weights by tag: from the cache on this machine, else fetched into it."""

    def __init__(self) -> None:
        self._answers: bool | None = None

    def path(self, tag: str) -> Path:
        """The file.

        Raises:
            NotToBeHad: it is not in the cache and cannot be fetched; says why.
        """
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

        repository = hub_repository(tag)
        for name in HUB_FILES:
            try:
                return Path(hf_hub_download(repository, name, local_files_only=True))
            except LocalEntryNotFoundError:
                continue
            except OSError as error:
                raise NotToBeHad(f"the hub's cache cannot be read ({_line(error)})") from error
        if not self._is_there():
            raise NotToBeHad("not in the hub's cache, and the hub does not answer")
        for name in HUB_FILES:
            try:
                return Path(hf_hub_download(repository, name, etag_timeout=HUB_PATIENCE_S))
            except LocalEntryNotFoundError as error:  # its word for: gone silent
                raise NotToBeHad("the hub stopped answering") from error
            except EntryNotFoundError:
                continue
            except (OSError, HfHubHTTPError) as error:
                raise NotToBeHad(f"the hub's answer cannot be used ({' '.join(str(error).split())[:200]})") from error
        raise NotToBeHad(f"{repository} holds neither {' nor '.join(HUB_FILES)}")

    def _is_there(self) -> bool:
        """Whether it answers, asked once."""
        if self._answers is None:
            from huggingface_hub import constants, get_session

            try:
                get_session().head(constants.ENDPOINT, timeout=HUB_PATIENCE_S)
                self._answers = True
            except Exception:  # whatever the client of the day raises: offline by choice, no name, no route, no answer
                self._answers = False
        return self._answers


HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def hub_repository(tag: str) -> str:
    """The hub's repository of timm's weights with a tag."""
    cfg = timm.get_pretrained_cfg(tag)
    return str(cfg.hf_hub_id) if cfg and cfg.hf_hub_id else f"timm/{tag}"
