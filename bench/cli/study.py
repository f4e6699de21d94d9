"""``run_all.py study``: train the arms of the study, compare them, and write the page."""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cli.output import finish, tell
from bench.cli.parser import Parser, at_least
from bench.cli.study_report import read_study, summary, write_study
from bench.experiments.scales import SECOND_OPINIONS, STUDIES, on
from bench.experiments.study import Arm, Study
from bench.launch.dispatch import Launch, require_data, submit_to_slurm, train_here
from bench.launch.study_plan import Stage, has_gpu, make_plan, next_stage, stages
from bench.measure.collect import measure_missing, tell_problems
from bench.results.run_folder import RunRecords
from bench.results.store import require_writable
from bench.spec.errors import RequestError, matching, unknown
from bench.spec.run import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRequest:
    """What was asked of the study."""

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


def study(arguments: Sequence[str]) -> int:
    """Run the subcommand; returns the exit code."""
    request = _request(arguments)
    if request.run and not request.data_on_nodes:
        records = RunRecords(request.launch.runs)
        foreseen = stages(request.study, request.arms, request.seeds, records)
        specs = [spec for stage in foreseen for spec in stage.specs]
        require_data(specs, request.launch, on_slurm=request.run == "slurm")
    if request.dry_run:
        on_gpus = request.run == "slurm" or has_gpu()
        plan = make_plan(request.study, request.arms, request.seeds, request.launch.runs, on_gpus=on_gpus)
        print(json.dumps(plan.plain(), indent=2) if request.launch.as_json else plan.text())
        return 0
    require_writable(request.reports, "--reports")
    require_writable(request.launch.runs, "--runs")
    if request.run == "slurm":
        return _submit(request)
    failures = _train(request) if request.run == "local" else []
    return _report(request, failures)


def _report(request: StudyRequest, failures: list[str]) -> int:
    runs, as_json = request.launch.runs, request.launch.as_json
    networks = read_study(request.study, runs).networks()
    failures = [*failures, *measure_missing(networks, runs)]
    found = read_study(request.study, runs)
    written = write_study(found, runs, request.reports)
    tell_problems(found.problems)
    if as_json:
        answers = {a.question.key: {"verdict": a.verdict, "text": a.question.text} for a in found.answers}
        arms = {one.arm.key: {"top1_pct": one.top1s, "runs": [r.run_id for r in one.records]} for one in found.begun}
        reports = [str(path) for paths in written for path in paths.values()]
        return finish({"study": request.study.scale, "claims": answers, "arms": arms, "reports": reports}, failures)
    print(summary(found))
    for paths in written:
        tell(paths)
    return finish(None, failures)


_PAGE_EVERY_S = 60
"""between two pages while runs end"""


def _train(request: StudyRequest) -> list[str]:
    """Train stage after stage on this machine; returns a line for each run that did not complete."""
    shown = -math.inf

    def ended(run_id: str) -> None:
        """Write the page as far as it goes: runs that are left may take all night."""
        nonlocal shown
        if time.monotonic() - shown > _PAGE_EVERY_S:
            with contextlib.suppress(OSError):  # training goes on; the command's end says what is wrong with the folder
                found = read_study(request.study, request.launch.runs)
                write_study(found, request.launch.runs, request.reports)
            shown = time.monotonic()

    launch = dataclasses.replace(request.launch, ended=ended)
    done: tuple[str, ...] = ()
    while True:
        stage = _next_stage(request)
        ids = tuple(spec.run_id for spec in stage.specs)
        if stage.name == "grid" and ids == done:
            return [f"{ids[0]}: completed, but not on the whole data set, and so chooses nothing; see its record"]
        failures = train_here(stage.specs, launch)
        if stage.name == "final":
            return failures
        # A point of the grid that diverged is an answer.
        records = RunRecords(request.launch.runs)
        diverged = {spec.run_id for spec in stage.specs if (r := records.get(spec.run_id)) and r.status == "diverged"}
        if failures := [line for line in failures if line.partition(":")[0] not in diverged]:
            return failures
        done = ids


def _submit(request: StudyRequest) -> int:
    stage = _next_stage(request)
    code = submit_to_slurm(stage.specs, request.launch)
    if stage.name == "grid" and not request.launch.as_json:
        print("these runs choose learning rate and weight decay; once they have ended, the same command goes on")
    return code


def _next_stage(request: StudyRequest) -> Stage:
    try:
        return next_stage(request.study, request.arms, request.seeds, RunRecords(request.launch.runs))
    except ValueError as error:
        raise RequestError(f"{error}; see the logs below {request.launch.runs / 'jobs'}") from error


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="run_all.py study",
        allow_abbrev=False,
        description="Train small networks alike and compare them, a contest for each of the paper's claims. Without "
        "--run: report what has been trained.",
        epilog="example: python run_all.py study --run local --data DIR",
    )
    parser.add_argument(
        "--scale",
        default="small",
        metavar="NAME",
        help="small: CIFAR-100 at 64 px, a night on two cores (default); full: 96 px, 24 epochs, five seeds; imagenet: "
        "at 128 px, 100 epochs; smoke: generated images, to see that everything runs",
    )
    parser.add_argument(
        "--claims",
        nargs="+",
        default=[],
        metavar="N",
        help="the arms that these claims need (default: the core, for claims 1 to 5); images: fewer training images",
    )
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="ARM", help="these arms alone, by name; * and ? are wildcards"
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help=f"the same on other data, for a second opinion: {', '.join(SECOND_OPINIONS)}"
    )
    parser.add_argument("--seeds", nargs="+", type=at_least(0), metavar="N", help="default: those of the scale")
    parser.add_argument(
        "--run", choices=["local", "slurm"], help="train what is missing, on this machine, or submit it to Slurm"
    )
    parser.add_argument("--dry-run", action="store_true", help="print arms, seeds and cost; begin nothing")
    parser.add_argument(
        "--slurm", nargs="+", default=[], metavar="KEY=VALUE", help="with --run slurm: what to ask of Slurm"
    )
    parser.add_argument("--max-parallel", type=at_least(1), metavar="N", help="most runs at once (default: 1 here)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("T2T_BENCH_DATA", "data")),
        metavar="DIR",
        help="folder that holds the data sets' folders, such as cifar100 (default: $T2T_BENCH_DATA or ./data)",
    )
    parser.add_argument(
        "--data-on-nodes", action="store_true", help="with --run slurm: only the compute nodes see --data"
    )
    parser.add_argument("--download", action="store_true", help="fetch CIFAR into --data where it is missing")
    parser.add_argument("--workers", type=at_least(0), metavar="N", help="loading processes a GPU")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser


def _request(arguments: Sequence[str]) -> StudyRequest:
    args = _parser().parse_args(arguments)
    if args.scale not in STUDIES:
        raise unknown("scale", args.scale, STUDIES)
    for option, there, needed in (
        ("--slurm", args.slurm and args.run != "slurm", "--run slurm"),
        ("--data-on-nodes", args.data_on_nodes and args.run != "slurm", "--run slurm"),
        ("--download", args.download and args.run != "local", "--run local"),
        ("--workers", args.workers is not None and not args.run, "--run"),
        ("--max-parallel", args.max_parallel is not None and not args.run, "--run"),
    ):
        if there:
            raise RequestError(f"{option} does nothing without {needed}; add it, or leave {option} out")
    found = STUDIES[args.scale]
    found = on(found, args.dataset) if args.dataset else found
    resources = Resources(
        data=str(args.data.resolve()), download=args.download, workers=args.workers, precision=found.precision
    )
    return StudyRequest(
        study=found,
        arms=_arms(found, args.claims, args.only),
        seeds=tuple(dict.fromkeys(args.seeds or found.seeds)),
        run=args.run or "",
        dry_run=args.dry_run,
        data_on_nodes=args.data_on_nodes,
        launch=Launch(
            runs=args.runs,
            resources=resources,
            max_parallel=args.max_parallel,
            slurm=tuple(args.slurm),
            as_json=args.json,
        ),
        reports=args.reports,
    )


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
