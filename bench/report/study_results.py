"""A study's results in a folder of runs: grids, arms with their predictions for every test image, and answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.experiments.grid import Point, Tried
from bench.experiments.study import TOP1, Arm, Study, chosen, families, tried
from bench.paper.figure_2 import GRACE_HOPPER_SHA256
from bench.report.contests import Answer, Outcome, judge
from bench.report.frame import Measurements
from bench.report.statistics import Hits
from bench.results.dead_channels import DeadChannels
from bench.results.feature_maps import FeatureMaps
from bench.results.predictions import Predictions, load_predictions
from bench.results.record import Metrics, RunRecord
from bench.results.run_folder import RunRecords, load_metrics
from bench.results.store import load_dead_channels, load_feature_maps
from bench.spec.run import Network, RunSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArmResult:
    """One arm with all its seeds."""

    arm: Arm
    spec: RunSpec | None
    """with the first seed; None where the grid has yet to choose"""
    records: tuple[RunRecord, ...]
    """of the seeds that were begun"""
    metrics: Mapping[str, Metrics]
    """by run id"""
    hits: Hits | None
    """(S, n), of the completed seeds; None where there is none"""
    dead: tuple[DeadChannels, ...] = ()
    """of the completed seeds whose dead channels are counted"""

    @property
    def whole(self) -> list[RunRecord]:
        """Runs that were trained to their end."""
        return [record for record in self.records if record.is_whole]

    @property
    def top1s(self) -> list[float]:
        """Accuracies on the test images after the last epoch, in %, by seed."""
        found = [record.top1_pct("last") for record in self.whole]
        return [top1 for top1 in found if top1 is not None]

    @property
    def mean(self) -> float | None:
        """The mean of the accuracies."""
        return float(np.mean(self.top1s)) if self.top1s else None

    @property
    def std(self) -> float | None:
        """The sample standard deviation of the accuracies; None for one seed."""
        return float(np.std(self.top1s, ddof=1)) if len(self.top1s) > 1 else None

    @property
    def std_err(self) -> float | None:
        """The standard error of the mean; None for one seed."""
        return None if self.std is None else self.std / len(self.top1s) ** 0.5

    @property
    def dead_pct(self) -> float | None:
        """Share of dead channels, the mean over images and seeds, in %; None where they are not counted."""
        return float(np.mean([one.dead_pct for one in self.dead])) if self.dead else None

    @property
    def always_dead_pct(self) -> float | None:
        """Share of channels that are dead on all images that were looked at, the mean over seeds, in %."""
        return float(np.mean([one.always_dead_pct for one in self.dead])) if self.dead else None

    @property
    def images_per_s(self) -> float | None:
        """Images per second in training, the median over the epochs of all seeds."""
        speeds = [speed for record in self.records for speed in record.epoch_images_per_s if speed]
        return float(np.median(speeds)) if speeds else None

    @property
    def devices(self) -> list[str]:
        """The devices that the seeds were trained on."""
        return sorted({record.device for record in self.records if record.device})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyResults:
    """All that the page of a study is made of."""

    study: Study
    grids: Mapping[str, Tried]
    """by family"""
    grid_records: tuple[RunRecord, ...]
    chosen: Mapping[str, Point]
    """by family, where the grid is whole"""
    arms: tuple[ArmResult, ...]
    answers: tuple[Answer, ...]
    features: Mapping[str, FeatureMaps]
    """on Figure 2's photograph, of the first completed seed of each arm whose dead channels are counted, by the arm's
    name; none until all of these are measured"""
    measurements: Measurements
    problems: tuple[str, ...]
    """a line on each file that is damaged and counts as none"""

    @property
    def is_begun(self) -> bool:
        """Whether there is any run of it."""
        return bool(self.grid_records) or any(one.records for one in self.arms)

    @property
    def known_effects(self) -> list[tuple[str, Outcome]]:
        """The contests about accuracy whose effect and interval are known, each with the key of its question."""
        return [
            (answer.question.key, outcome)
            for answer in self.answers
            for outcome in answer.outcomes
            if outcome.contest.of == TOP1 and outcome.effect and outcome.effect.is_known
        ]

    @property
    def with_curves(self) -> list[ArmResult]:
        """The core arms that have finished an epoch."""
        return [one for one in self.arms if one.arm.core and any(m.lines for m in one.metrics.values())]

    @property
    def with_speeds(self) -> list[ArmResult]:
        """The core arms whose accuracy on the test images and speed in training are known."""
        return [one for one in self.arms if one.arm.core and one.mean is not None and one.images_per_s]

    @property
    def begun(self) -> list[ArmResult]:
        """Arms of which there is a run, and those of the core."""
        return [one for one in self.arms if one.records or one.arm.core]

    def networks(self) -> list[Network]:
        """The networks of the arms that were begun."""
        return list(dict.fromkeys(self.study.network(one.arm) for one in self.begun))


def study_results(
    study: Study, records: RunRecords, measurements: Measurements, unmeasured: Sequence[str] = ()
) -> StudyResults:
    """Read what there is of a study; a damaged file counts as none.

    Args:
        study: at a scale.
        records: the folder of runs.
        measurements: of its networks, as far as they are known.
        unmeasured: a line on each measurement that is damaged.
    """
    problems = list(unmeasured)
    grids: dict[str, Tried] = {}
    points: Mapping[str, Point] = {}
    if study.grid:
        grids = {family: tried(study, family, records.get) for family in families(study, study.arms)}
        points = chosen(study, {f: found for f, found in grids.items() if any(v is not None for v in found.values())})
    of_grid = [study.grid_run(family, point).run_id for family, found in grids.items() for point in found]
    images: dict[str, Predictions] = {}
    arms = tuple(_arm(study, arm, points, records, images, problems) for arm in study.arms)
    hits = {one.arm.key: one.hits for one in arms if one.hits is not None}
    dead = {one.arm.key: np.array([counts.shares for counts in one.dead]) for one in arms if one.dead}
    return StudyResults(
        study=study,
        grids=grids,
        grid_records=tuple(record for run_id in of_grid if (record := records.get(run_id))),
        chosen=points,
        arms=arms,
        answers=tuple(judge(study, hits, dead)),
        features=_features([one for one in arms if one.arm in study.counted], records.runs),
        measurements=measurements,
        problems=tuple(dict.fromkeys([*problems, *records.problems])),
    )


def _arm(
    study: Study,
    arm: Arm,
    points: Mapping[str, Point],
    records: RunRecords,
    images: dict[str, Predictions],
    problems: list[str],
) -> ArmResult:
    """Read the results of an arm.

    Many parameters: a step of ``study_results``, with its caches of images and problems.
    """
    if study.grid and arm.family not in points:
        return ArmResult(arm=arm, spec=None, records=(), metrics={}, hits=None)
    spec = study.final_run(arm, points, study.seeds[0])
    found = tuple(records.of(spec))
    metrics = {}
    for record in found:
        try:
            metrics[record.run_id] = load_metrics(records.runs / record.run_id, record)
        except ValueError as error:
            problems.append(str(error))
    hits = _hits(spec.dataset, found, records, images, problems)
    dead = _dead(found, records, problems) if arm in study.counted else ()
    return ArmResult(arm=arm, spec=spec, records=found, metrics=metrics, hits=hits, dead=dead)


def _features(arms: Sequence[ArmResult], runs: Path) -> dict[str, FeatureMaps]:
    """The newest feature maps of each arm's first completed seed, by the arm's name."""
    known, _ = load_feature_maps(runs)  # who measures or draws Figure 2 reports the corrupt ones
    bundled = [one for one in known if one.image_sha256 == GRACE_HOPPER_SHA256]
    by_run = {one.source.run_id: one for one in sorted(bundled, key=lambda one: one.measured_at)}
    found = {one.arm.name: by_run.get(one.whole[0].run_id) if one.whole else None for one in arms}
    measured = {name: maps for name, maps in found.items() if maps}
    return measured if len(measured) == len(arms) else {}


def _dead(found: tuple[RunRecord, ...], records: RunRecords, problems: list[str]) -> tuple[DeadChannels, ...]:
    """Counts of dead channels of the completed seeds, all on the same images."""
    counted: list[DeadChannels] = []
    for record in found:
        try:
            counts = load_dead_channels(records.runs, record.run_id) if record.is_whole else None
        except ValueError as error:
            problems.append(str(error))
            continue
        if counts and record.fingerprint and counts.images_sha256 != record.fingerprint.val_sha256:
            problems.append(f"{record.run_id}: its dead channels were counted on other images than it was tested on")
        elif counts:
            counted.append(counts)
    return tuple(one for one in counted if one.images == counted[0].images)


def _hits(
    dataset: str,
    found: tuple[RunRecord, ...],
    records: RunRecords,
    images: dict[str, Predictions],
    problems: list[str],
) -> Hits | None:
    """Whether each completed seed was right, on each test image.

    Args:
        dataset: of the arm.
        found: its runs.
        records: the folder that they lie in.
        images: by data set, predictions on the images that all arms are compared on: the first that were read.
        problems: gets a line on predictions that are not there, damaged, or of other images.
    """
    kept: list[Predictions] = []
    for record in found:
        if not record.is_whole:
            continue
        try:
            predictions = load_predictions(records.runs, record)
            if predictions is None:
                raise ValueError(f"{record.run_id}: no predictions were kept; it takes no part in comparisons")
            images.setdefault(dataset, predictions).require_same_images(predictions)
            kept.append(predictions)
        except ValueError as error:
            problems.append(str(error))
    if not kept:
        return None
    return np.array([one.is_hit("ema" if "ema" in one.predicted else "raw") for one in kept])
