"""``run_all.py evaluate``: released weights, found in a folder, or what others published of their predictions."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.parser import Output, Parser, add_data, add_output, as_path, data_folder, does_nothing, output_of, whole
from bench.cli.recorded import PredictionsRequest, record_predictions
from bench.cli.selection import Selection, add_tables, select
from bench.cli.table_report import report_tables, require_reports
from bench.launch.watch import INSIDE, SILENCE_S
from bench.measure.collect import measure_missing, runs_of
from bench.paper import TABLES
from bench.paper.released import RELEASED
from bench.results.evaluation import Evaluation
from bench.results.files import require_writable
from bench.results.store import evaluations_folder, load_evaluation, save_evaluation
from bench.spec.errors import RequestError
from bench.spec.run import Resources, RunSpec
from bench.spec.table import Released, networks
from bench.spec.text import beneath, complain, printable
from bench.training.signals import Interrupted, Stop

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from bench.measure.real_labels import RealLabels
    from bench.training.released_weights import Findings, Found

SAVE_EVERY_S = 10.0
"""what an interruption without warning costs at most"""


HELP = "evaluate released weights: the authors' files in a folder, timm's, or published predictions"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest:
    """The rows to evaluate, and the folder of weights."""

    folder: Path
    """that holds the weights"""
    real_labels: Path | None
    """to count ImageNet's hits on, too"""
    selection: Selection
    resources: Resources
    output: Output


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=as_path,
        metavar="DIR",
        help="folder of the authors' files, under any names; it may also hold timm's",
    )
    add_tables(parser)
    group = parser.add_argument_group("published predictions, instead of DIR")
    group.add_argument(
        "--predictions",
        type=as_path,
        metavar="FILE",
        help="predicted classes that others published for ImageNet's validation images: .npz with an array for each "
        "network, .npy, or .csv; a .json file of the same name beside it names weights and source",
    )
    group.add_argument("--labels", type=as_path, metavar="FILE", help="the images' labels, unless the .npz holds them")
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--real-labels",
        type=as_path,
        metavar="FILE",
        help="also count ImageNet's reassessed labels (ReaL): their authors' real.json",
    )
    add_data(group)
    group.add_argument(
        "--micro-batch", type=whole(1), default=64, metavar="N", help="images per device at once (default: 64)"
    )
    group.add_argument(
        "--precision",
        default="float32",
        choices=["bfloat16", "float16", "float32"],
        help="precision of the network (default: %(default)s)",
    )
    add_output(parser)


def request(arguments: Sequence[str]) -> EvaluateRequest | PredictionsRequest:
    """Read the command line.

    Raises:
        RequestError: neither weights nor predictions were given, no table was chosen, or none that has rows.
    """
    parser = Parser(
        "evaluate",
        description="Evaluate released weights on the whole validation set, and report the tables that they belong to.",
        epilog="examples: python run_all.py evaluate WEIGHTS --table 3 --data DIR; python run_all.py evaluate "
        "--predictions FILE.npz",
    )
    add_options(parser)
    args = parser.parse_args(arguments)
    if args.predictions:
        return _of_predictions(args, parser)
    if args.labels:
        raise does_nothing("--labels", "--predictions FILE")
    if args.folder is None:
        raise RequestError("evaluate: no weights were given; name their folder, or use --predictions FILE")
    if not args.table and not args.all:
        raise RequestError(
            f"evaluate: no rows were chosen; add --table N (N from {', '.join(map(str, TABLES))}) or --all"
        )
    selection = select(args)
    if not selection.tables:
        numbers = " and ".join(str(table.number) for table in selection.recipe_tables)
        raise RequestError(
            f"--table {numbers}: experiment settings, which have no weights; choose from {', '.join(map(str, TABLES))}"
        )
    resources = Resources(
        data=data_folder(args),
        download=args.download,
        workers=args.workers,
        micro_batch=args.micro_batch,
        precision=args.precision,
        save_every_s=SAVE_EVERY_S,
    )
    return EvaluateRequest(
        folder=args.folder,
        real_labels=args.real_labels,
        selection=selection,
        resources=resources,
        output=output_of(args),
    )


def _of_predictions(args: argparse.Namespace, parser: argparse.ArgumentParser) -> PredictionsRequest:
    """The request for published predictions.

    Raises:
        RequestError: an option is about weights, or the tables chosen have no rows.
    """
    for option in ("folder", "data", "download", "workers", "micro_batch", "precision"):
        if getattr(args, option) != parser.get_default(option):
            name = str(args.folder) if option == "folder" else f"--{option.replace('_', '-')}"
            raise RequestError(f"--predictions evaluates no weights, so {name} does nothing; leave out one of the two")
    return PredictionsRequest(
        predictions=args.predictions,
        labels=args.labels,
        real_labels=args.real_labels,
        selection=select(args),
        are_tables_named=bool(args.table or args.all),
        output=output_of(args),
    )


def run(asked: EvaluateRequest | PredictionsRequest) -> int:
    """Evaluate what there is, and report the tables; returns the exit code."""
    if isinstance(asked, PredictionsRequest):
        return record_predictions(asked)
    require_reports(asked.output)
    failures = evaluate_released(require_released(runs_of(asked.selection.rows), asked.folder), asked)
    failures += measure_missing(networks(asked.selection.rows), asked.output.runs)
    return report_tables(asked.selection, asked.output, failures)


def require_released(runs: Iterable[RunSpec], folder: Path) -> dict[RunSpec, Released]:
    """Select the runs whose weights were released.

    Raises:
        RequestError: there are none, or the folder is none.
    """
    if not folder.is_dir():
        raise RequestError(f"{str(folder)!r} is not a folder; choose the folder of the released weights")
    wanted = {run: RELEASED[run] for run in runs if run in RELEASED}
    if not wanted:
        raise RequestError(
            "no released weights exist for these rows; choose T2T-ViTs, DeiTs, or CNNs without a "
            "star, except MobileNetV3 and Inception v3"
        )
    return wanted


def evaluate_released(wanted: Mapping[RunSpec, Released], asked: EvaluateRequest) -> list[str]:
    """Evaluate what is there of the wanted weights; returns a line for each file that could not be.

    Raises:
        RequestError: nothing of them is there, or no data set to evaluate on.
        KeyboardInterrupt: a signal came; what was evaluated is kept.
    """
    from bench.measure.real_labels import read_real_labels
    from bench.training.released_weights import find

    require_writable(evaluations_folder(asked.output.runs), "--runs")
    real_labels = read_real_labels(asked.real_labels) if asked.real_labels else None
    findings = find(asked.folder, wanted, RELEASED)
    for line in findings.unwanted:
        complain(f"not evaluated: {line}")
    if not findings.settled and not findings.failures and not any(weights.tag for weights in wanted.values()):
        files = ", ".join(weights.files[0] for weights in wanted.values())
        raise RequestError(
            f"{str(asked.folder)!r} holds no weights of these rows; looked for {files}, and for the same "
            "weights under other names"
        )
    _tell_missing(wanted, findings, asked.folder)
    from_hub, missing = _from_hub(wanted, findings, asked.folder)
    found = [*findings.found, *from_hub]
    if missing and not found and not findings.failures:
        raise RequestError(missing)
    if missing:
        complain(f"not evaluated: {missing}")
    return [*findings.failures, *_evaluate_all(found, asked, real_labels)]


def _tell_missing(wanted: Mapping[RunSpec, Released], findings: "Findings", folder: Path) -> None:
    """A line on the files that only their authors' pages have."""
    missing = [weights for run, weights in wanted.items() if run not in findings.settled and not weights.tag]
    if missing:
        where = sorted({weights.source.rpartition("/")[0] for weights in missing})
        complain(
            f"not evaluated: {', '.join(weights.files[0] for weights in missing)}: not in {str(folder)!r}; they are at "
            f"{' and '.join(where)}"
        )


def _from_hub(wanted: Mapping[RunSpec, Released], findings: "Findings", folder: Path) -> "tuple[list[Found], str]":
    """timm's weights that the folder does not hold, and a line on those that cannot be had, if there are any."""
    from bench.training.released_weights import Found, Hub, NotToBeHad, hub_repository

    hub, found, missing, why = Hub(), [], [], ""
    for run, weights in wanted.items():
        if not weights.tag or run in findings.settled:
            continue
        try:
            found.append(Found(run=run, released=weights, path=hub.path(weights.tag), by="hub"))
        except NotToBeHad as error:
            missing.append(weights.tag)
            why = why or str(error)
    if not missing:
        return found, ""
    return found, (
        f"{', '.join(missing)}: not in {str(folder)!r}, and {why}; with internet access, `hf download "
        f"{hub_repository(missing[0])} model.safetensors` fetches the file into its cache; or save it as "
        f"{folder / missing[0]}.safetensors"
    )


def _evaluate_all(found: "Sequence[Found]", asked: EvaluateRequest, real_labels: "RealLabels | None") -> list[str]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from bench.training.data import Unreadable
    from bench.training.distributed import crowding
    from bench.training.evaluation import EvaluationFailed
    from models.checkpoints import CheckpointError

    resources = asked.resources
    if crowded := crowding(resources.workers or 0):
        complain(crowded)
    failures: list[str] = []
    images = _open_all(found, resources, failures)
    console = Console(file=beneath(sys.stderr))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Stop().listening() as stop,
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar,
    ):
        todo = [one for one in found if one.run.dataset in images]
        for i, one in enumerate(todo, start=1):
            place = f"[{i}/{len(todo)}]"
            task = bar.add_task(printable(f"{place} {one.file}"), total=None)
            try:
                done, line = _evaluate_one(one, images[one.run.dataset], asked, stop, Told(one.file, bar, task))
                if real_labels is not None:
                    line += _count_real_hits(done, real_labels, asked.output.runs)
            except Interrupted as error:
                raise KeyboardInterrupt(
                    f"{one.file}: interrupted: {error}; the same command continues from there"
                ) from error
            except (CheckpointError, EvaluationFailed, Unreadable, UncountedRealHits) as error:
                failures.append(str(error))
                continue
            except OSError as error:  # a full disk, a file of weights that is a pipe
                failures.append(f"{error.filename or one.path}: {error.strerror or error}")
                continue
            except RuntimeError as error:  # a GPU out of memory
                failures.append(f"{one.path}: {' '.join(str(error).split())[:300]}")
                continue
            finally:
                bar.remove_task(task)
            bar.console.print(printable(f"{place} {line}"), markup=False, highlight=False, soft_wrap=True)
    return failures


def _open_all(found: "Sequence[Found]", resources: Resources, failures: list[str]) -> dict[str, Any]:
    """The validation images of each data set that there are weights for.

    Raises:
        RequestError: none of them can be opened.
    """
    from bench.training.data import notes
    from bench.training.evaluation import open_val

    images, refusals = {}, []
    for dataset in dict.fromkeys(one.run.dataset for one in found):
        try:
            images[dataset] = open_val(dataset, resources)
            for line in notes(images[dataset]):
                complain(line)
        except RequestError as error:
            refusals.append(error)
    if refusals and not images:
        raise refusals[0]
    failures += map(str, refusals)
    return images


class Told:
    """Reports the images seen so far: on the progress bar, or without one in a line each minute."""

    def __init__(self, file: str, bar: "Progress", task: "TaskID") -> None:
        self._file, self._bar, self._task = file, bar, task
        self._images, self._spoke = 0, time.monotonic()

    def begin(self, images: int) -> None:
        """Note how many images there are."""
        self._images = images
        self._bar.update(self._task, total=images)

    def __call__(self, seen: int) -> None:
        """Report how many were seen."""
        self._bar.update(self._task, completed=seen)
        if self._bar.disable and time.monotonic() - self._spoke >= SILENCE_S:
            self._spoke = time.monotonic()
            print(f"{INSIDE}{self._file}: {seen:,} of {self._images:,} images", file=sys.stderr, flush=True)


class UncountedRealHits(Exception):
    """An evaluation whose hits on reassessed labels cannot be counted; one line says why."""


def _count_real_hits(done: Evaluation, labels: "RealLabels", runs: Path) -> str:
    """Keep an evaluation's hits on the reassessed labels beside its others; returns what to add to its line.

    Raises:
        UncountedRealHits: its images or its predictions do not allow it.
    """
    from bench.measure.real_labels import DATASET, with_real_hits

    if done.spec.dataset != DATASET:
        return ""
    try:
        counted = with_real_hits(runs, done, labels)
    except ValueError as error:
        raise UncountedRealHits(str(error)) from error
    if counted != done:
        save_evaluation(runs, counted)
    return f", {counted.real_pct:.2f} % on the {counted.real_images:,} with ReaL labels"


def _evaluate_one(one: "Found", images: Any, asked: EvaluateRequest, stop: Stop, told: Told) -> tuple[Evaluation, str]:
    """Evaluate a file unless it is done; returns the evaluation and a line with the result."""
    import torch

    from bench.training.evaluation import Job, evaluate_on, load_weights, spec_of

    runs, resources = asked.output.runs, asked.resources
    checkpoint = one.read()
    spec = spec_of(one.run, one.released.name, checkpoint.sha256, images, resources.precision)
    done, again = load_evaluation(runs, spec), "already evaluated: "
    if done is not None and done.is_done and not done.unreadable:
        if (done.file, done.found_by) != (one.file, one.by) and one.by != "content":  # its name is known by now
            done = dataclasses.replace(done, file=one.file, found_by=one.by)
            save_evaluation(runs, done)
    else:
        again = ""
        weights = load_weights(checkpoint, one.file, one.by, one.run.network, one.run.dataset)
        told.begin(spec.images)
        job = Job(spec=spec, weights=weights, images=images, runs=runs, resources=resources)
        done = evaluate_on(max(1, torch.cuda.device_count()), job, stop, told)
    resized = f"; {', '.join(done.resized)} resized to fit" if done.resized else ""
    return done, (
        f"{one.file}: {again}{spec.network} at {spec.network.img_size} px on {spec.dataset}: top-1 "
        f"{done.top1_pct:.2f} ± {done.top1_se:.2f} %, top-5 {done.top5_pct:.2f} % of {done.images:,} images"
        f" (of {done.expected_images:,}){resized}"
    )
