"""Paths of the evidence behind a number, in the reports' folder ``evidence``, which mirrors the folder of runs."""

from pathlib import Path
from urllib.parse import quote

from bench.results.dead_channels import DeadChannels
from bench.results.evaluation import Evaluation
from bench.results.feature_maps import FeatureMaps
from bench.results.recorded import Recording
from bench.results.step_speeds import NetworkSpeed
from bench.results.store import (
    complexity_path,
    dead_channels_path,
    evaluation_path,
    feature_maps_path,
    outline_path,
    recording_path,
    speed_path,
)
from bench.spec.run import Network

FOLDER = "evidence"

LISTED_SEEDS = 10
"""of a run, that pages list and whose records are copied: of more there is the mean, made of all"""


def measurement_file(network: Network) -> str:
    """The file of params, MACs and structure, relative to the reports, as all paths here."""
    return complexity_path(Path(FOLDER), network).as_posix()


def outline_file(network: Network) -> str:
    """The file of the layers and their shapes."""
    return outline_path(Path(FOLDER), network).as_posix()


def record_file(run_id: str) -> str:
    """The file of a run's accuracies."""
    return f"{FOLDER}/{run_id}/record.json"


def evaluation_file(found: Evaluation) -> str:
    """The file of an evaluation of released weights."""
    return evaluation_path(Path(FOLDER), found.spec).as_posix()


def feature_maps_file(found: FeatureMaps) -> str:
    """The file of the counts of Figure 2."""
    return feature_maps_path(Path(FOLDER), found).as_posix()


def dead_channels_file(found: DeadChannels) -> str:
    """The file of the counts of dead channels over test images."""
    return dead_channels_path(Path(FOLDER), found.dead_channels_id).as_posix()


def recording_file(found: Recording) -> str:
    """The file of accuracies worked out from published predictions."""
    return recording_path(Path(FOLDER), found).as_posix()


def speed_file(found: NetworkSpeed) -> str:
    """The file of a network's speed in one case."""
    return speed_path(Path(FOLDER), found).as_posix()


def link(text: str, file: str) -> str:
    """A link in Markdown to a file beside the page.

    Args:
        text: of Markdown, as ``escape`` or ``code`` write it.
        file: by its path relative to the page.
    """
    return f"[{text}]({quote(file, safe='/=,')})"
