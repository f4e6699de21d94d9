"""The command line: arguments, wiring, and what the user sees.

Exit codes: 0 done, 1 something ran and failed, 2 the request was wrong. What takes long to import is imported
where it is used, so that ``--help`` and ``--list`` answer at once.
"""

import argparse
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.cli.cancel import cancel
from bench.cli.curves import report_curves
from bench.cli.figure import FIGURES, report_figures, require_figures
from bench.cli.output import at_words
from bench.cli.parser import Parser, at_least
from bench.cli.status import show_status
from bench.cli.tables import launch, report_suites, report_tables, tell_untrained, with_seeds
from bench.experiments.budgets import BUDGETS, SUITES
from bench.experiments.recipes import CIFAR_TRANSFER, TRANSFER_RECIPES
from bench.experiments.suites import suites
from bench.launch.dispatch import dry_run, require_data, submit_to_slurm
from bench.launch.slurm.client import Unreachable
from bench.launch.teachers import fitting_weights, from_files, named_teacher
from bench.measure.collect import runs_of
from bench.paper import RECIPE_TABLES, TABLES
from bench.paper.editions import EDITIONS
from bench.spec.contents import DATASETS
from bench.spec.datasets import require_name
from bench.spec.errors import RequestError, matching, unknown
from bench.spec.run import RunSpec
from bench.spec.table import Edition, RecipeTable, Row, Table

_INSTALL = "pip install -c constraints.txt -e ."
_DEPENDENCIES = (
    "torch",
    "torchvision",
    "timm",
    "safetensors",
    "huggingface_hub",
    "fvcore",
    "pandas",
    "matplotlib",
    "scipy",
    "submitit",
    "rich",
    "markdown-it-py",
    "tabulate",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path may hold what the terminal's encoding lacks
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        if arguments[:1] == ["study"]:
            from bench.cli.study import study

            code = study(arguments[1:])
        else:
            code = _dispatch(_parser().parse_args(arguments, argparse.Namespace(files={})))
        if sys.stdout:
            sys.stdout.flush()
        return code
    except RequestError as error:
        return _fail(2, str(error))
    except Unreachable as error:
        return _fail(1, f"Slurm does not answer: {error}; try again once `scontrol ping` finds it")
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("bench", "models"):
            raise
        missing = f"missing dependency {package!r}" if package else " ".join(str(error).split())
        return _fail(2, f"{missing}; needed are {', '.join(_DEPENDENCIES)}; install them with: {_INSTALL}")
    except BrokenPipeError:  # the reader, head perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(1, f"{error.filename or 'writing'}: {error.strerror or error}; finished measurements are kept")
    except KeyboardInterrupt as error:
        what = str(error) or "interrupted; finished work is kept, and the same command goes on"
        return _fail(130, what)


def _fail(code: int, message: str) -> int:
    print(at_words(f"run_all.py: {message}", sys.stderr), file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="run_all.py",
        allow_abbrev=False,  # --run must never be read as --runs
        description="Measure the networks of the T2T-ViT paper's tables and report them beside the printed figures.",
        epilog="example: python run_all.py --table 3; the study has options of its own: python run_all.py study --help",
    )
    parser.add_argument("--table", nargs="+", metavar="N", help="tables to measure and report")
    parser.add_argument("--all", action="store_true", help="every table and figure, and the index over them")
    parser.add_argument(
        "--figure",
        nargs="+",
        metavar="N",
        help="the paper's figures: " + "; ".join(f"{number}, {figure.title}" for number, figure in FIGURES.items()),
    )
    parser.add_argument(
        "--img-size",
        type=at_least(1),
        metavar="PX",
        help="with --figure 3 4 5: draw the network for images of this size (default: 224)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="PATTERN",
        help="measure only rows whose name or network matches, as in --only 'T2T-ViT*' resnet50; "
        "the reports keep every row that was measured before; with --figure 3 4: the network to draw instead of "
        "T2T-ViT-14",
    )
    parser.add_argument(
        "--edition",
        default=EDITIONS[0].key,
        metavar="NAME",
        help=f"printed figures to compare with: {', '.join(e.key for e in EDITIONS)} (default: %(default)s)",
    )
    parser.add_argument("--list", action="store_true", help="list the tables with their rows, and the figures")
    parser.add_argument(
        "--run", choices=["local", "slurm"], help="train what is missing, on this machine, or submit it to Slurm"
    )
    parser.add_argument(
        "--evaluate",
        type=Path,
        metavar="DIR",
        help="fill accuracies from released weights: the authors' files in DIR, by name or content, and timm's by tag",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="with --run: print the plan and what it would cost; begin nothing"
    )
    parser.add_argument(
        "--slurm",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="what to ask of Slurm, as in --slurm partition=gpu gpus_per_node=8; outranks slurm.toml",
    )
    parser.add_argument(
        "--max-parallel", type=at_least(1), metavar="N", help="most runs at once (default: 1 here, no limit on Slurm)"
    )
    parser.add_argument(
        "--seeds", nargs="+", type=at_least(0), metavar="N", help="train with each of these seeds (default: 42)"
    )
    parser.add_argument(
        "--sweep",
        nargs="+",
        default=[],
        metavar="FIELD=V1,V2",
        help="train with every combination of these values of the recipe, reported apart",
    )
    parser.add_argument(
        "--status", action="store_true", help="how the runs in --runs stand; --only takes run ids and networks"
    )
    parser.add_argument("--follow", action="store_true", help="with --status: again every few seconds")
    parser.add_argument(
        "--cancel", nargs="+", metavar="RUN", help="stop these runs, by id or network, after asking; they save first"
    )
    parser.add_argument("--yes", action="store_true", help="with --cancel: do not ask")
    parser.add_argument(
        "--curves", nargs="+", metavar="RUN", help="draw the training curves of these runs, by id or network"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("T2T_BENCH_DATA", "data")),
        metavar="DIR",
        help="folder with imagenet/{train,val}, cifar10, cifar100, or with ImageNet's {train,val} alone "
        "(default: $T2T_BENCH_DATA or ./data)",
    )
    parser.add_argument(
        "--data-on-nodes",
        action="store_true",
        help="with --run slurm: only the compute nodes see --data, so what is in it is not checked here",
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        help=f"train on other data: {', '.join(DATASETS)}; class folders of your own, torch/image_folder; or a data "
        "set of the Hugging Face hub, hfds/NAME: another run, reported apart",
    )
    parser.add_argument(
        "--download",
        action="store_true",
        help="fetch CIFAR, or another data set of torchvision's, into --data where it is missing",
    )
    parser.add_argument(
        "--budget",
        default=BUDGETS[0],
        choices=BUDGETS,
        help="paper: the paper's runs; pilot: CIFAR-10 at 96 px, minutes on a GPU; transfer: from the pilot's weights "
        "to CIFAR-100; smoke: generated images, a minute. All but paper need no --table and report into tables of "
        "their own",
    )
    parser.add_argument(
        "--recipe",
        choices=TRANSFER_RECIPES,
        help="with --table 5: fine-tune by this recipe, the authors' or a corrected one, reported apart (default: "
        f"{CIFAR_TRANSFER.name})",
    )
    parser.add_argument(
        "--weights",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="with --table 5: fine-tune these weights, each for the row whose network it fits, instead of those of "
        "this suite's ImageNet runs; with --figure 2: show the features of these files, or of finished runs by folder "
        "or id",
    )
    parser.add_argument(
        "--image", type=Path, metavar="FILE", help="with --figure 2: the photograph to show features of"
    )
    parser.add_argument(
        "--teacher",
        metavar="NAME",
        help="distil from another teacher, reported apart: timm's name with the tag of its weights, or MODEL=FILE",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="FIELD=VALUE",
        help="train with another value of the recipe, as in --set lr=1e-3: another run, reported apart",
    )
    parser.add_argument(
        "--workers", type=at_least(0), metavar="N", help="loading processes a GPU (default: up to 8, 0 on a CPU)"
    )
    parser.add_argument(
        "--micro-batch",
        type=at_least(1),
        default=64,
        metavar="N",
        help="most images a device takes at once: changes how much memory a step needs, never the result "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--compile", action="store_true", help="train by torch.compile, which takes minutes to start and a C++ compiler"
    )
    parser.add_argument("--reports", type=Path, default=Path("reports"), metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path("runs"),
        metavar="DIR",
        help="where measurements and runs are kept (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of tables")
    parser.add_argument(
        "--precision",
        default="auto",
        choices=["auto", "bfloat16", "float16", "float32"],
        help="of training (default: bfloat16 where the hardware has it, else float16 on a GPU, else float32) and of "
        "--evaluate (default: float32)",
    )
    return parser


def _dispatch(args: argparse.Namespace) -> int:
    for option, needed, there in (
        ("--dry-run", "--run", args.dry_run and not args.run),
        ("--slurm", "--run slurm", args.slurm and args.run != "slurm"),
        ("--compile", "--run", args.compile and not args.run),
        ("--data-on-nodes", "--run slurm", args.data_on_nodes and args.run != "slurm"),
        ("--img-size", "--figure 3, 4 or 5", args.img_size is not None and not args.figure),
        ("--follow", "--status", args.follow and not args.status),
        ("--yes", "--cancel", args.yes and not args.cancel),
        ("--image", "--figure 2", args.image and not args.figure),
    ):
        if there:
            raise RequestError(f"{option} does nothing without {needed}; add it, or leave {option} out")
    asked = [
        f"--{name}"
        for name in ("run", "evaluate", "list", "status", "cancel", "curves", "figure")
        if getattr(args, name)
    ]
    if len(asked) > 1:
        raise RequestError(f"{' and '.join(asked)} are different commands; give one of them")
    if args.dataset is not None:
        require_name(args.dataset)
    if args.status:
        return show_status(args)
    if args.cancel:
        return cancel(args)
    if args.curves:
        _require_only(args, "--curves", ())
        return report_curves(args)
    if args.figure:
        _require_only(args, "--figure", ("edition", "img_size", "only", "image", "weights"))
        return report_figures(require_figures(args.figure, args), _edition(args.edition), args)
    if args.all and (args.table or args.only):
        raise RequestError("--all means every row of every table; leave out --table and --only, or --all")
    named = args.table or args.all
    fine_tuned = bool(args.recipe or args.weights)
    apart = args.budget != BUDGETS[0] or args.set or args.dataset or args.sweep or args.teacher is not None
    apart = apart or args.recipe not in (None, CIFAR_TRANSFER.name)
    if args.evaluate and (apart or fine_tuned or not named):
        raise RequestError(
            "--evaluate is of the paper's rows as they were released; choose them with --table N or --all, and leave "
            "out --budget, --set, --sweep, --dataset, --recipe, --weights and --teacher"
        )
    if not named and not args.list and args.budget not in SUITES:
        numbers = ", ".join(map(str, [*TABLES, *RECIPE_TABLES]))
        raise RequestError(f"nothing to do; choose --list, --status, --all, or --table N (N from {numbers})")
    edition = _edition(args.edition)
    tables, recipe_tables = _tables(args.table or map(str, [*TABLES, *RECIPE_TABLES]))
    if named:
        _require_figures(tables, edition)
    if fine_tuned:
        _require_fine_tuning(args, tables if named else [])
    alone = args.run or args.only or args.evaluate
    if args.table and recipe_tables and not args.list and (apart or (not tables and alone)):
        numbers = " and ".join(str(table.number) for table in recipe_tables)
        raise RequestError(
            f"--table {numbers}: experiment settings, with no rows to choose or to train; choose from --table "
            f"{' '.join(map(str, TABLES))}, or leave out --run, --evaluate, --only, --budget, --set, --dataset and "
            "--sweep"
        )
    learning = [row.name for table in tables for row in table.rows if named and row.run and row.run.teacher]
    if args.teacher is not None and not learning:
        raise RequestError("--teacher: nothing is distilled here; choose --table 2 or 4")
    weights = fitting_weights(args, tables) if args.weights else {}
    if not args.list and apart:
        found = suites(
            tables if named else [],
            budget=args.budget,
            dataset=args.dataset,
            settings=args.set,
            sweep=args.sweep,
            fine_tuned_by=TRANSFER_RECIPES[args.recipe or CIFAR_TRANSFER.name] if fine_tuned else None,
            weights=weights,
            teacher=named_teacher(args) if args.teacher is not None else None,
        )
        if args.budget == BUDGETS[0] and not (fine_tuned or args.teacher is not None):
            tell_untrained(row for table in tables for row in table.rows)
        if any(row.transfers for table in tables for row in table.rows) and named and not fine_tuned:
            print(
                "run_all.py: these runs are not fine-tuned; --recipe chooses the fine-tunings instead", file=sys.stderr
            )
        if learning and args.budget != BUDGETS[0] and args.teacher is None:
            print(f"run_all.py: without a teacher: {', '.join(learning)}; --teacher names one", file=sys.stderr)
        by_name = [
            ((entry.row, entry.spec.model, *([entry.row.partition(", ")[0]] if fine_tuned else [])), entry)
            for suite in found
            for entry in suite.entries
        ]
        entries = matching(by_name, args.only)
        code = _planned([entry.spec for entry in entries], args)
        return report_suites(found, entries, args) if code is None else code
    if args.list:
        shown = matching([((row.name, row.network.model), row) for table in tables for row in table.rows], args.only)
        tables = [table for table in tables if any(row in shown for row in table.rows)]
        _list(tables, [] if args.only else recipe_tables, shown, as_json=args.json)
        return 0
    rows = [row for table in tables for row in table.rows_in(edition)]
    rows = matching([((row.name, row.network.model), row) for row in rows], args.only)
    if args.run and not any(row.run for row in rows):
        raise RequestError(
            f"--run: nothing to train in {', '.join(row.name for row in rows)}: no recipe is held for how its printed "
            "top-1 came about; choose other rows, or --budget pilot"
        )
    if args.run and not weights:
        tell_untrained(rows)
    specs = from_files(rows, weights) if weights else runs_of(rows)
    code = _planned(specs, args)
    return report_tables(tables, recipe_tables, rows, specs, edition, args) if code is None else code


def _require_only(args: argparse.Namespace, command: str, options: Sequence[str]) -> None:
    """That nothing is asked for that the command does not heed, beside what every command does."""
    heeded = {command[2:], *options, "reports", "runs", "json", "data"}  # data may be the environment's
    parser = _parser()
    others = [
        f"--{name.replace('_', '-')}"
        for name, value in vars(args).items()
        if name not in heeded and name != "files" and value != parser.get_default(name)
    ]
    if others:
        raise RequestError(
            f"{command} does nothing with {' and '.join(others)}; leave {'it' if len(others) == 1 else 'them'} out, or "
            f"{command}"
        )


def _require_fine_tuning(args: argparse.Namespace, tables: Sequence[Table]) -> None:
    """That there is something to fine-tune, and by a recipe and on data that are not chosen twice."""
    options = " and ".join(f"--{name}" for name in ("recipe", "weights") if getattr(args, name))
    if not tables or not all(any(row.transfers for row in table.rows) for table in tables):
        raise RequestError(f"{options}: for what is fine-tuned; choose --table 5 alone")
    if args.budget != BUDGETS[0] or args.dataset or args.teacher is not None:
        raise RequestError(
            f"{options}: for fine-tuning as in Table 5; leave out --budget, --dataset and --teacher, or {options}"
        )


def _planned(specs: Sequence[RunSpec], args: argparse.Namespace) -> int | None:
    """The exit code, if the command ends with a plan or a submission; None if it goes on to a report."""
    if args.run and not args.data_on_nodes:
        require_data(with_seeds(specs, args.seeds), launch(args), on_slurm=args.run == "slurm")
    if args.dry_run:
        return dry_run(with_seeds(specs, args.seeds), launch(args), on_slurm=args.run == "slurm")
    if args.run == "slurm":
        return submit_to_slurm(with_seeds(specs, args.seeds), launch(args))
    return None


def _tables(numbers: Iterable[str]) -> tuple[list[Table], list[RecipeTable]]:
    """The tables of networks and those of settings that are asked for."""
    by_name = {str(number): table for number, table in [*TABLES.items(), *RECIPE_TABLES.items()]}
    chosen = list(dict.fromkeys(numbers))
    for number in chosen:
        if number not in by_name:
            raise unknown("table", number, by_name, "--list shows what each holds")
    found = [by_name[number] for number in chosen]
    return [t for t in found if isinstance(t, Table)], [t for t in found if isinstance(t, RecipeTable)]


def _require_figures(tables: Iterable[Table], edition: Edition) -> None:
    def prints(table: Table) -> bool:
        return any(row.published for row in table.rows_in(edition)) or not any(row.published for row in table.rows)

    for table in tables:
        if not prints(table):
            known = [str(number) for number, other in TABLES.items() if prints(other)]
            raise RequestError(
                f"no figures of Table {table.number} are held in the {edition.name} edition; choose --table "
                f"{' '.join(known)}, or another edition"
            )


def _edition(name: str) -> Edition:
    def plain(text: str) -> str:  # "arXiv v1", "arxiv_v1" and "arxiv-v1" are one edition
        return re.sub(r"[\W_]", "", text).lower()

    for edition in EDITIONS:
        if plain(name) == plain(edition.key):
            return edition
    raise unknown("edition", name, [e.key for e in EDITIONS])


def _list(tables: Iterable[Table], recipe_tables: Iterable[RecipeTable], rows: Sequence[Row], *, as_json: bool) -> None:
    if as_json:
        listed = [
            {
                "table": table.number,
                "title": table.title,
                "rows": [
                    {"model": row.name, "network": str(row.network), "img_size": row.network.img_size}
                    | {"recipe": row.run.recipe.name if row.run else None, "editions": _editions(row)}
                    for row in table.rows
                    if row in rows
                ],
            }
            for table in tables
        ]
        recipes = [
            {"table": table.number, "title": table.title, "recipes": [recipe.name for recipe in table.recipes]}
            for table in recipe_tables
        ]
        document: dict[str, object] = {"tables": listed, "settings": recipes}
        document["figures"] = [{"figure": number, "title": figure.title} for number, figure in FIGURES.items()]
        print(json.dumps(document, indent=2))
        return
    widths = [max((len(text) for text in column), default=0) for column in zip(*map(_listed, rows), strict=True)]
    for table in tables:
        print(f"Table {table.number}: {table.title}")
        for row in table.rows:
            if row in rows:
                cells = [f"{text:<{width}}" for text, width in zip(_listed(row), widths, strict=True)]
                print(f"  {'  '.join(cells)}".rstrip())
    for recipe_table in recipe_tables:
        print(f"Table {recipe_table.number}: {recipe_table.title}")
        print(f"  recipes {', '.join(recipe.name for recipe in recipe_table.recipes)}")
    for number, figure in FIGURES.items():
        print(f"Figure {number}: {figure.title}")


def _listed(row: Row) -> tuple[str, ...]:
    recipe = row.run.recipe.name if row.run else "-"
    return row.name, str(row.network), f"{row.network.img_size} px", recipe, ", ".join(_editions(row))


def _editions(row: Row) -> list[str]:
    return [edition.key for edition in EDITIONS if edition in row.published]
