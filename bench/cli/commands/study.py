"""``run_all.py study``: train the arms of the study, compare them, and write the page."""

import argparse
import contextlib
import dataclasses
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cli.output import finish, tell
from bench.cli.parser import Parser, add_launch, add_output, as_name, launch_of, require_launch
from bench.cli.study_report import read_study, summary, write_study
from bench.experiments.scales import SECOND_OPINIONS, STUDIES, on
from bench.experiments.study import Arm, Study, chosen
from bench.experiments.suites import require_few_runs
from bench.launch.dispatch import Launch, require_data, train_here
from bench.launch.on_slurm import submit_to_slurm
from bench.launch.study_plan import Stage, grids, has_gpu, make_plan, next_stage, stages
from bench.measure.collect import measure_missing, tell_problems
from bench.measure.dead_channels import count_missing
from bench.measure.feature_sources import open_photograph, require_feature_maps
from bench.results.files import require_writable
from bench.results.run_folder import RunRecords
from bench.spec.errors import RequestError, matching, unknown
from bench.spec.text import at_words, complain


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """The part of the study to plan, train or report."""

    study: Study
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    run: str
    """"local", "slurm", or empty to report what there is"""
    dry_run: bool
    data_on_nodes: bool
    """whether only the compute nodes see the data"""
    launch: Launch
    reports: Path


HELP = "train small networks by one recipe and compare them, to test each claim"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    group = parser.add_argument_group("the study")
    group.add_argument(
        "--scale",
        default="small",
        metavar="NAME",
        help="small: CIFAR-100 at 64 px, a night on two cores (default); full: CIFAR-100 at 96 px, 24 epochs, five "
        "seeds; imagenet: ImageNet at 128 px, 100 epochs; smoke: generated images, to see that everything runs",
    )
    group.add_argument(
        "--claims",
        nargs="+",
        type=as_name,
        default=[],
        metavar="N",
        help="the networks that these claims need (default: claims 1 to 5); images: six networks on fewer images",
    )
    group.add_argument(
        "--only",
        nargs="+",
        type=as_name,
        default=[],
        metavar="ARM",
        help="only these networks (arms) of the study, by name; * and ? are wildcards",
    )
    group.add_argument(
        "--dataset",
        type=as_name,
        metavar="NAME",
        help=f"repeat the study on other data: {', '.join(SECOND_OPINIONS)}",
    )
    add_launch(parser, seeds="those of the scale")
    add_output(parser)


def request(arguments: Sequence[str]) -> StudyRequest:
    """Read the command line.

    Raises:
        RequestError: there is no such scale, claim, arm or data set, or an option would do nothing.
    """
    parser = Parser(
        "study",
        description="Train small networks by one recipe and compare them, to test each of the paper's claims. Without "
        "--run, report what has been trained.",
        epilog="example: python run_all.py study --run local --data DIR",
    )
    add_options(parser)
    args = parser.parse_args(arguments)
    if args.scale not in STUDIES:
        raise unknown("scale", args.scale, STUDIES)
    require_launch(args, heeded=("data", "download"))  # for dead channels
    found = STUDIES[args.scale]
    found = on(found, args.dataset) if args.dataset else found
    arms, seeds = _arms(found, args.claims, args.only), tuple(dict.fromkeys(args.seeds or found.seeds))
    require_few_runs(rows=len(arms), seeds=len(seeds))
    return StudyRequest(
        study=found,
        arms=arms,
        seeds=seeds,
        run=args.run or "",
        dry_run=args.dry_run,
        data_on_nodes=args.data_on_nodes,
        launch=launch_of(args, precision=found.precision, command=parser.command_line(args)),
        reports=args.reports,
    )


def run(asked: StudyRequest) -> int:
    """Plan, submit, or train and report; returns the exit code."""
    if asked.run and not asked.data_on_nodes:
        records = RunRecords(asked.launch.runs)
        foreseen = stages(asked.study, asked.arms, asked.seeds, records)
        specs = [spec for stage in foreseen for spec in stage.specs]
        require_data(specs, asked.launch, on_slurm=asked.run == "slurm")
    if asked.dry_run:
        gpu = asked.launch.gpu or ("v100" if asked.run == "slurm" or has_gpu() else None)
        plan = make_plan(asked.study, asked.arms, asked.seeds, asked.launch.runs, gpu=gpu)
        if asked.launch.as_json:
            print(json.dumps(plan.plain(), indent=2))
        else:
            for line in plan.text().splitlines():
                print(at_words(line, sys.stdout))
        return 0
    require_writable(asked.reports, "--reports")
    if asked.run:
        require_writable(asked.launch.runs, "--runs")
    if asked.run == "slurm":
        return _submit(asked)
    failures = _train(asked) if asked.run == "local" else []
    return _report(asked, failures)


def _report(asked: StudyRequest, failures: list[str]) -> int:
    runs, as_json = asked.launch.runs, asked.launch.as_json
    networks = read_study(asked.study, runs).networks()
    failures = [*failures, *measure_missing(networks, runs)]
    for line in [*_count_dead_channels(asked), *_look_at_features(asked)]:
        complain(line)
    found = read_study(asked.study, runs)
    written = write_study(found, runs, asked.reports)
    tell_problems(found.problems)
    if as_json:
        answers = {a.question.key: {"verdict": a.verdict, "text": a.question.text} for a in found.answers}
        arms = {one.arm.key: {"top1_pct": one.top1s, "runs": [r.run_id for r in one.records]} for one in found.begun}
        reports = [str(path) for paths in written for path in paths.values()]
        return finish({"study": asked.study.scale, "claims": answers, "arms": arms, "reports": reports}, failures)
    for line in summary(found).splitlines():
        print(at_words(line, sys.stdout))
    for paths in written:
        tell(paths)
    return finish(None, failures)


def _count_dead_channels(asked: StudyRequest) -> list[str]:
    """Count the dead channels of all finished runs that a claim about them needs; a line for each where that fails.

    No failure of the command: counts need the test images and checkpoints, and evidence alone has neither.
    """
    records = RunRecords(asked.launch.runs)
    arms = asked.study.counted
    points = chosen(asked.study, grids(asked.study, arms, records)) if asked.study.grid else {}
    specs = [
        asked.study.final_run(arm, points, seed)
        for seed in asked.study.seeds
        for arm in arms
        if not asked.study.grid or arm.family in points
    ]
    return count_missing(specs, records, asked.launch.resources)


def _look_at_features(asked: StudyRequest) -> list[str]:
    """Measure feature maps of the first completed seed of each arm in ``counted``; a line on what fails.

    No failure of the command, as for dead channels.
    """
    found = read_study(asked.study, asked.launch.runs)
    first = [one.whole[0].run_id for one in found.arms if one.arm in asked.study.counted and one.whole]
    if len(first) < len(asked.study.counted) or found.features:
        return []
    try:
        _, failures = require_feature_maps(open_photograph(None), [Path(run_id) for run_id in first], asked.launch.runs)
    except RequestError as error:
        return [f"feature maps are not measured: {error}"]
    return [f"feature maps are not measured: {line}" for line in failures]


_PAGE_EVERY_S = 60
"""between two pages while runs end"""


def _train(asked: StudyRequest) -> list[str]:
    """Train stage after stage on this machine; returns a line for each run that did not complete."""
    shown = -math.inf

    def ended(run_id: str) -> None:
        """Write the page as far as it goes: runs that are left may take all night."""
        nonlocal shown
        if time.monotonic() - shown > _PAGE_EVERY_S:
            with contextlib.suppress(OSError):  # training goes on; the command's end says what is wrong with the folder
                found = read_study(asked.study, asked.launch.runs)
                write_study(found, asked.launch.runs, asked.reports)
            shown = time.monotonic()

    launch = dataclasses.replace(asked.launch, ended=ended)
    done: tuple[str, ...] = ()
    while True:
        stage = _next_stage(asked)
        ids = tuple(spec.run_id for spec in stage.specs)
        if stage.name == "grid" and ids == done:
            why = "completed, but not on the whole data set, so it cannot choose hyperparameters; see its record"
            return [f"{ids[0]}: {why}"]
        failures = train_here(stage.specs, launch)
        if stage.name == "final":
            return failures
        # A point of the grid that diverged is an answer.
        records = RunRecords(asked.launch.runs)
        diverged = {spec.run_id for spec in stage.specs if (r := records.get(spec.run_id)) and r.status == "diverged"}
        if failures := [line for line in failures if line.partition(":")[0] not in diverged]:
            return failures
        done = ids


def _submit(asked: StudyRequest) -> int:
    stage = _next_stage(asked)
    code = submit_to_slurm(stage.specs, asked.launch)
    if stage.name == "grid" and not asked.launch.as_json:
        print("these runs choose learning rate and weight decay; once they have ended, run the same command again")
    return code


def _next_stage(asked: StudyRequest) -> Stage:
    try:
        return next_stage(asked.study, asked.arms, asked.seeds, RunRecords(asked.launch.runs))
    except ValueError as error:
        raise RequestError(f"{error}; see the logs below {asked.launch.runs / 'jobs'}") from error


def _arms(found: Study, claims: Sequence[str], only: Sequence[str]) -> tuple[Arm, ...]:
    """The arms of the claims, or the core; with ``only`` those of its names, out of all where no claim is named."""
    questions = {question.key: question for question in found.questions}
    for claim in claims:
        if claim not in questions:
            raise unknown(f"claim of the {found.scale} scale", claim, questions)
    arms = found.arms if only else found.core
    if claims:
        arms = found.arms_of([questions[claim] for claim in claims])
    named = [((arm.key, arm.name), arm) for arm in arms]
    return tuple(matching(named, only, kind="arm", remedy="* and ? are wildcards"))
