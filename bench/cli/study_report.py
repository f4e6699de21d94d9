"""Writes the page of a study, with the evidence that it is made of."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.output import write_report
from bench.experiments.scales import answering
from bench.experiments.study import Study
from bench.measure.collect import below, known_measurements
from bench.measure.feature_sources import open_photograph
from bench.report import evidence_files
from bench.results.run_folder import RunRecords
from bench.results.store import complexity_path, dead_channels_path, feature_maps_path

if TYPE_CHECKING:
    from bench.report.pictures import Picture
    from bench.report.study_results import StudyResults


def read_study(study: Study, runs: Path) -> "StudyResults":
    """Read a study's results from a folder of runs."""
    from bench.report.study_results import study_results

    measurements, problems = known_measurements(map(study.network, study.arms), runs)
    found = study_results(study, RunRecords(runs), measurements, problems)
    return dataclasses.replace(found, problems=tuple(below(runs, found.problems)))


def read_begun(runs: Path) -> "list[StudyResults]":
    """Read the results of each study that has a run, the closest to the paper first."""
    return [found for study in answering() if (found := read_study(study, runs)).is_begun]


def write_study(found: "StudyResults", runs: Path, reports: Path) -> list[dict[str, Path]]:
    """Copy the evidence of a study and write its page; returns the files that were written."""
    from bench.report.pages.study import study_markdown
    from bench.report.study_frames import arms_frame, contests_frame, study_name

    keep_evidence(found, runs, reports)
    name, pictures = study_name(found), _pictures(found)
    contents = {
        "md": study_markdown(found, pictures=list(pictures)),
        "csv": arms_frame(found).to_csv(index=False, lineterminator="\n"),
    }
    contests = contests_frame(found).to_csv(index=False, lineterminator="\n")
    written = [write_report(reports, name, contents, pictures.pop("", None))]
    written.append(write_report(reports, f"{name}_contests", {"csv": contests}))
    return written + [write_report(reports, f"{name}{suffix}", {}, each) for suffix, each in pictures.items()]


def _pictures(found: "StudyResults") -> "dict[str, Picture]":
    """Every picture that there is something for, by the end of its name."""
    from bench.report.pictures import Picture

    drawn = {
        "": ("effects", found.known_effects),
        "_curves": ("curves", found.with_curves),
        "_speed": ("speed", found.with_speeds),
    }
    pictures = {
        suffix: Picture(draw=f"figures.study:{kind}_figure", shows=(found,))
        for suffix, (kind, something) in drawn.items()
        if something
    }
    if maps := found.features:
        shows = (list(maps.values()), open_photograph(None).pixels, found.study.title, list(maps))
        pictures["_features"] = Picture(draw="figures.figure_2:figure_2", shows=shows)
    return pictures


def keep_evidence(found: "StudyResults", runs: Path, reports: Path) -> None:
    """Copy what the page of a study is made of beside it."""
    here = Path()
    records = [*([record] for record in found.grid_records), *(one.records for one in found.arms)]
    measured = [complexity_path(here, network) for network in found.measurements]
    looked_at = [feature_maps_path(here, one) for one in found.features.values()]
    counted = [dead_channels_path(here, counts.dead_channels_id) for one in found.arms for counts in one.dead]
    evidence_files.keep(runs, reports, [*evidence_files.of_runs(records), *measured, *counted, *looked_at])


def summary(found: "StudyResults") -> str:
    """A line an answer, for the terminal."""
    from tabulate import tabulate

    rows = [
        (f"claim {a.question.key}" if a.question.key.isdecimal() else "", a.verdict, a.question.text)
        for a in found.answers
    ]
    return tabulate(rows, tablefmt="plain", disable_numparse=True)
