"""``run_all.py`` without a subcommand: measure tables, train or submit what is missing, and report them."""

import argparse
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.cli.parser import (
    Output,
    Parser,
    add_launch,
    add_output,
    as_name,
    as_path,
    does_nothing,
    launch_of,
    output_of,
    require_launch,
    shared_name,
    whole,
)
from bench.cli.selection import Selection, add_tables, select
from bench.experiments.budgets import BUDGETS, FULL_SIZE, SUITES
from bench.experiments.recipes import CIFAR_TRANSFER, TRANSFER_RECIPES
from bench.experiments.suites import Entry, Suite, grid, require_few_runs, suites
from bench.paper import RECIPE_TABLES, TABLES
from bench.paper.editions import EDITIONS
from bench.spec.datasets import NAMES, require_name
from bench.spec.errors import RequestError, matching
from bench.spec.run import RunSpec
from bench.spec.table import Row, networks
from bench.spec.text import complain

if TYPE_CHECKING:
    from bench.cli.suite_report import Chosen
    from bench.launch.dispatch import Launch


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesRequest:
    """The tables or suites to report, and the runs to train for them first."""

    selection: Selection
    """of the paper's tables"""
    suites: tuple[Suite, ...]
    """runs that fill none of the paper's cells; if there are any, these are reported, and the tables are not"""
    chosen: "Chosen"
    """of the suites"""
    specs: tuple[RunSpec, ...]
    """runs to train, of every seed"""
    run: str
    """``local``, ``slurm``, or empty to report what there is"""
    dry_run: bool
    data_on_nodes: bool
    """whether only the compute nodes see the data"""
    launch: "Launch"
    output: Output
    notes: tuple[str, ...] = ()
    """lines on rows that are left out"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_tables(parser)
    group = parser.add_argument_group("other runs than the paper's, which have reports of their own")
    group.add_argument(
        "--budget",
        default=BUDGETS[0],
        choices=BUDGETS,
        help="pilot: CIFAR-10 at 96 px, minutes on a GPU; transfer: from the pilot's weights to CIFAR-100; "
        "trained_alike: T2T-ViT-14 and ResNet50 on ImageNet, each by the authors' recipe and by their recipe of "
        "January 2021; smoke: generated images, under a minute; these four need no --table (default: %(default)s)",
    )
    group.add_argument(
        "--sweep",
        nargs="+",
        default=[],
        metavar="FIELD=V1,V2",
        help="train with every combination of these recipe values, as in --sweep lr=5e-4,1e-3 weight_decay=.03,.05",
    )
    group.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        help="change recipe values, as in --set lr=1e-3 epochs=100",
    )
    group.add_argument(
        "--dataset",
        type=as_name,
        metavar="NAME",
        help=f"train on other data: {', '.join(NAMES)}; torch/image_folder for class folders of your own; or hfds/NAME "
        "for a data set of the Hugging Face hub",
    )
    group.add_argument(
        "--spec",
        nargs="+",
        type=as_path,
        default=[],
        metavar="FILE",
        help="train exactly the runs of these spec.json or record.json, such as reports/evidence/RUN/record.json; with "
        "--seeds, others like them",
    )
    group.add_argument(
        "--recipe",
        choices=TRANSFER_RECIPES,
        help="with --table 5: fine-tune by this recipe, the authors' or a corrected one (default: "
        f"{CIFAR_TRANSFER.name})",
    )
    group.add_argument(
        "--weights",
        nargs="+",
        type=as_path,
        default=[],
        metavar="FILE",
        help="with --table 5: fine-tune these weights, each for the row whose network it fits, instead of those of "
        "the ImageNet runs trained here; with --spec: the files that its runs started from",
    )
    group.add_argument(
        "--teacher",
        type=as_name,
        metavar="NAME",
        help="with --table 2 or 4: distil from another teacher, by timm's name and tag, or as MODEL=FILE; with --spec: "
        "the teacher's file",
    )
    add_launch(parser, seeds="42")
    group = parser.add_argument_group("devices")
    group.add_argument(
        "--micro-batch",
        type=whole(1),
        metavar="N",
        help="images per device at once; changes how much memory a step needs, not the result (default: 64)",
    )
    group.add_argument(
        "--precision",
        choices=["auto", "bfloat16", "float16", "float32"],
        help="precision of training (default: auto, which is bfloat16 where the hardware has it, else float16 on a "
        "GPU, else float32)",
    )
    group.add_argument(
        "--compile",
        action="store_true",
        help="train with torch.compile, which takes minutes to start and needs a C++ compiler",
    )
    add_output(parser)


def request(arguments: Sequence[str]) -> TablesRequest:
    """Read the command line.

    Raises:
        RequestError: nothing is asked for, or what is asked for contradicts itself or cannot be had.
    """
    parser = Parser(
        description="Measure the networks of the T2T-ViT paper's tables and report them beside the printed numbers.",
    )
    add_options(parser)
    args = parser.parse_args(arguments)
    args.command = parser.command_line(args)
    _require_sense(args)
    if args.spec:
        return _of_spec_files(args)
    if args.dataset is not None:
        require_name(args.dataset)
    is_apart = _is_apart(args)
    selection = select(args, every_row=is_apart)
    _require_rows(args, selection, is_apart=is_apart)
    if args.recipe or args.weights:
        _require_fine_tuning(args, selection)
    if is_apart:
        return _of_suites(args, selection)
    from bench.launch.teachers import fitting_weights, from_files
    from bench.measure.collect import runs_of

    weights, files = fitting_weights(args.weights, selection.tables) if args.weights else ({}, {})
    if args.run and not any(row.run for row in selection.rows):
        raise RequestError(
            f"--run: nothing to train in {', '.join(row.name for row in selection.rows)}: the recipe behind the "
            "printed top-1 is not known; choose other rows, or --budget pilot"
        )
    if args.seeds and not args.run:
        raise does_nothing("--seeds", "--run")
    specs = from_files(selection.rows, weights) if weights else runs_of(selection.rows)
    require_few_runs(rows=len(specs), seeds=len(args.seeds) or 1)
    return _request(
        args,
        selection=selection,
        specs=_with_seeds(specs, args.seeds),
        files=files,
        notes=_untrained(selection.rows) if args.run and not weights else (),
    )


def run(asked: TablesRequest) -> int:
    """Plan, submit, or measure, train and report; returns the exit code."""
    from bench.cli.suite_report import report_suites
    from bench.cli.table_report import report_tables, require_reports
    from bench.launch.dispatch import dry_run, require_data, train_here
    from bench.launch.on_slurm import submit_to_slurm
    from bench.measure.collect import measure_missing
    from bench.results.files import require_writable

    for note in asked.notes:
        complain(note)
    if asked.run and not asked.data_on_nodes:
        require_data(asked.specs, asked.launch, on_slurm=asked.run == "slurm")
    if asked.dry_run:
        return dry_run(asked.specs, asked.launch, on_slurm=asked.run == "slurm")
    if asked.run == "slurm":
        return submit_to_slurm(asked.specs, asked.launch)
    if asked.suites:
        require_writable(asked.output.reports, "--reports")
        if asked.run:
            require_writable(asked.output.runs, "--runs")
        failures = train_here(asked.specs, asked.launch) if asked.run else []
        return report_suites(asked.suites, asked.chosen, asked.output, failures)
    require_reports(asked.output)
    failures = measure_missing(networks(asked.selection.rows), asked.output.runs)
    failures += train_here(asked.specs, asked.launch) if asked.run else []
    return report_tables(asked.selection, asked.output, failures)


def _require_sense(args: argparse.Namespace) -> None:
    """Check what can be said of the options without reading anything."""
    require_launch(args, "dry_run", "micro_batch", "precision", "compile")
    given = [name for name in _CHOSEN_BY_SPEC if name in getattr(args, "_given", ()) or (name == "all" and args.all)]
    if args.spec and given:
        raise RequestError(f"--spec: its files say what is trained; leave out either --spec or --{given[0]}")
    if not args.table and not args.all and args.budget not in SUITES and not args.spec:
        numbers = ", ".join(map(str, [*TABLES, *RECIPE_TABLES]))
        raise RequestError(
            f"nothing to do; choose --table N (N from {numbers}), --all, or a command; run_all.py --help shows them"
        )


_CHOSEN_BY_SPEC = ("table", "all", "only", "edition", "budget", "sweep", "set", "dataset", "recipe")
"""options that would choose what a spec file says already"""


def _is_apart(args: argparse.Namespace) -> bool:
    """Whether the runs are other ones than the paper's."""
    other_recipe = args.recipe not in (None, CIFAR_TRANSFER.name)
    return bool(args.budget != BUDGETS[0] or args.set or args.dataset or args.sweep or args.teacher or other_recipe)


def _require_fine_tuning(args: argparse.Namespace, selection: Selection) -> None:
    """Check that there is something to fine-tune, and by a recipe and on data that are not chosen twice."""
    options = " and ".join(f"--{option}" for option in ("recipe", "weights") if getattr(args, option))
    named = args.table or args.all
    if not named or not all(any(row.transfers for row in table.rows) for table in selection.tables):
        raise RequestError(f"{options}: for fine-tuning; choose --table 5 alone")
    if args.budget != BUDGETS[0] or args.dataset or args.teacher is not None:
        raise RequestError(
            f"{options}: for fine-tuning as in Table 5; leave out {options}, or else --budget, --dataset and --teacher"
        )


def _require_rows(args: argparse.Namespace, selection: Selection, *, is_apart: bool) -> None:
    """Check that no table of experiment settings is asked for what only rows have."""
    if args.table and selection.recipe_tables and (is_apart or (not selection.tables and (args.run or args.only))):
        numbers = " and ".join(str(table.number) for table in selection.recipe_tables)
        raise RequestError(
            f"--table {numbers}: experiment settings, with no rows to choose or to train; choose from --table "
            f"{' '.join(map(str, TABLES))}, or leave out --run, --only, --budget, --set, --dataset and --sweep"
        )


def _of_suites(args: argparse.Namespace, selection: Selection) -> TablesRequest:
    """The request for runs that are other ones than the paper's."""
    from bench.cli.suite_report import Chosen
    from bench.launch.teachers import fitting_weights, named_teacher, require_teachers

    tables = selection.tables if args.table or args.all else ()
    fine_tuned = bool(args.recipe or args.weights)
    learning = [row.name for table in tables for row in table.rows if row.run and row.run.teacher]
    if args.teacher is not None and not learning:
        raise RequestError("--teacher: nothing is distilled here; choose --table 2 or 4")
    weights, files = fitting_weights(args.weights, tables) if args.weights else ({}, {})
    teacher, teacher_files = named_teacher(args.teacher) if args.teacher is not None else (None, {})

    def swept(sweep: Sequence[str]) -> list[Suite]:
        return suites(
            tables,
            budget=args.budget,
            dataset=args.dataset,
            settings=args.set,
            sweep=sweep,
            fine_tuned_by=TRANSFER_RECIPES[args.recipe or CIFAR_TRANSFER.name] if fine_tuned else None,
            weights=weights,
            teacher=teacher,
        )

    def chosen_of(found: Iterable[Suite]) -> list[Entry]:
        by_name = [
            ((entry.row, entry.spec.model, *([entry.row.partition(", ")[0]] if fine_tuned else [])), entry)
            for suite in found
            for entry in suite.entries
        ]
        return matching(by_name, args.only)

    rows = len(chosen_of(swept(())))
    require_few_runs(rows=rows, combinations=len(grid(args.sweep)[1]), seeds=len(args.seeds) or 1)
    found = swept(args.sweep)
    notes: list[str] = []
    if args.budget == BUDGETS[0] and not (fine_tuned or teacher):
        notes += _untrained(row for table in tables for row in table.rows)
    if any(row.transfers for table in tables for row in table.rows) and not fine_tuned:
        notes.append("these runs train from scratch; add --recipe to fine-tune instead")
    if learning and args.budget != BUDGETS[0] and teacher is None:
        notes.append(f"trained without a teacher: {', '.join(learning)}; --teacher names one")
    entries = tuple(chosen_of(found))
    require_teachers([entry.spec for entry in entries], teacher_files)
    asked = _request(
        args,
        selection=selection,
        specs=_with_seeds([entry.spec for entry in entries], args.seeds),
        files={**files, **teacher_files},
        notes=notes,
    )
    chosen = Chosen(entries=entries, seeds=tuple(args.seeds), options=tuple(_repeat(args)))
    return dataclasses.replace(asked, suites=tuple(found), chosen=chosen)


def _of_spec_files(args: argparse.Namespace) -> TablesRequest:
    """The request for the runs of spec files."""
    from bench.cli.spec_files import files_for, repeated_suite, require_weights, specs_in
    from bench.cli.suite_report import Chosen
    from bench.launch.teachers import require_teachers

    found = specs_in(args.spec)
    require_few_runs(rows=len(found), seeds=len(args.seeds) or 1)
    weights, teachers = files_for(found, args.weights, args.teacher)
    if args.run:
        require_weights(found, weights)
        require_teachers(found, teachers)
    suite, seeds = repeated_suite(found)
    names = ["--spec", *(shared_name(path) for path in args.spec)]
    given = ["--seeds", *map(str, args.seeds)] if args.seeds else []
    asked = _request(
        args,
        selection=Selection(tables=(), recipe_tables=(), rows=(), edition=EDITIONS[0]),
        specs=_with_seeds(found, args.seeds),
        files={**weights, **teachers},
        notes=(),
    )
    launch = dataclasses.replace(asked.launch, confirm_cpu=any(spec.dataset == "imagenet" for spec in found))
    chosen = Chosen(entries=suite.entries, seeds=tuple(args.seeds or seeds), options=(*names, *given))
    return dataclasses.replace(asked, launch=launch, suites=(suite,), chosen=chosen)


def _request(
    args: argparse.Namespace,
    *,
    selection: Selection,
    specs: Sequence[RunSpec],
    files: Mapping[str, str],
    notes: Iterable[str],
) -> TablesRequest:
    from bench.cli.suite_report import Chosen

    resources = {
        "micro_batch": args.micro_batch or 64,
        "precision": args.precision or "auto",
        "compile": args.compile,
        "files": files,
        "command": args.command,
    }
    return TablesRequest(
        selection=selection,
        suites=(),
        chosen=Chosen(entries=()),
        specs=tuple(specs),
        run=args.run or "",
        dry_run=args.dry_run,
        data_on_nodes=args.data_on_nodes,
        launch=dataclasses.replace(launch_of(args, **resources), confirm_cpu=args.budget in FULL_SIZE),
        output=output_of(args),
        notes=tuple(notes),
    )


def _untrained(rows: Iterable[Row]) -> list[str]:
    """A line on the rows that have no run, if there are any."""
    stuck = list(dict.fromkeys(row.name for row in rows if row.run is None))
    return [f"not trained: {', '.join(stuck)}: the recipe behind the printed top-1 is not known"] if stuck else []


def _with_seeds(specs: Iterable[RunSpec], seeds: Sequence[int]) -> list[RunSpec]:
    """The runs with each of the seeds, or with their own."""
    return [spec.with_seed(seed) for spec in specs for seed in seeds or [spec.seed]]


def _repeat(args: argparse.Namespace) -> list[str]:
    """The options that choose runs, as they were given."""
    return [
        *(["--all"] if args.all else []),
        *(["--table", *args.table] if args.table else []),
        *(["--budget", args.budget] if args.budget != BUDGETS[0] else []),
        *(["--dataset", args.dataset] if args.dataset else []),
        *(["--recipe", args.recipe] if args.recipe else []),
        *(["--weights", *(path.name for path in args.weights)] if args.weights else []),
        *(["--teacher", args.teacher] if args.teacher else []),
        *(["--set", *args.set] if args.set else []),
        *(["--sweep", *args.sweep] if args.sweep else []),
        *(["--seeds", *map(str, args.seeds)] if args.seeds else []),
    ]
