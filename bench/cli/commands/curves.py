"""``run_all.py curves``: training curves of any runs, one by one and compared; neither torch nor Slurm."""

import argparse
import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.commands.status import look_at
from bench.cli.output import finish, tell, texts, write_report
from bench.cli.parser import Output, Parser, add_output, as_name, output_of
from bench.cli.run_selection import HELP as SELECTORS
from bench.measure.collect import below
from bench.report import evidence_files
from bench.results.files import CorruptFile, corrupt, require_writable
from bench.results.run_folder import TRAIN_ANEW, load_metrics, load_own_record
from bench.results.spec_file import load_spec
from bench.spec.run import RunSpec

if TYPE_CHECKING:
    from bench.report.curves import Curve


HELP = "draw training curves of runs, by id, network, state, job or field"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CurvesRequest:
    """Whose curves to draw."""

    patterns: tuple[str, ...]
    output: Output


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("patterns", nargs="+", type=as_name, metavar="RUN", help=SELECTORS)
    add_output(parser)


def request(arguments: Sequence[str]) -> CurvesRequest:
    """Read the command line."""
    parser = Parser("curves", description="Draw the training curves of runs, together and one by one.")
    add_options(parser)
    args = parser.parse_args(arguments)
    return CurvesRequest(patterns=tuple(args.patterns), output=output_of(args))


def run(asked: CurvesRequest) -> int:
    """Draw the curves.

    Returns:
        The exit code: 1 if files of one of them are damaged.

    Raises:
        RequestError: a name is no run's, or a folder cannot be written.
    """
    from bench.report.curves import by_name, curves_frame
    from bench.report.pages.curves import PICTURES, curves_markdown, curves_picture, pictured, run_picture

    output = asked.output
    ids = sorted(line.run_id for line in look_at(output.runs, asked.patterns).lines)
    require_writable(output.reports, "--reports")
    curves, damaged = _load(output.runs, ids)
    shown = {curve.record.run_id: curve.record for curve in curves}
    waiting = [run_id for run_id in ids if run_id not in shown and run_id not in damaged]
    problems = below(output.runs, damaged.values())
    by_seed = [[curve.record for curve in seeds] for seeds in by_name(curves).values()]
    evidence_files.keep(output.runs, output.reports, evidence_files.of_runs(by_seed))
    contents = {
        "md": curves_markdown(curves, waiting, problems),
        "csv": curves_frame(curves).to_csv(index=False, lineterminator="\n"),
    }
    written = {"curves": write_report(output.reports, "curves", contents, curves_picture(curves))}
    for curve in pictured(curves):
        run_id = curve.record.run_id
        written[run_id] = write_report(output.reports, f"{PICTURES}/{run_id}", {}, run_picture(curve))
    if output.as_json:
        lines = [
            {
                "run_id": curve.record.run_id,
                "status": curve.record.status,
                "epoch": curve.record.epoch,
                "epochs": curve.record.epochs,
                "restarts": curve.restarts,
            }
            for curve in curves
        ]
        reports = {name: texts(paths) for name, paths in written.items()}
        return finish({"runs": lines, "waiting": waiting, "reports": reports}, [*damaged.values()])
    for paths in written.values():
        tell(paths)
    if waiting:
        print(f"no epoch finished yet: {', '.join(waiting)}")
    return finish(None, [*damaged.values()])


def _load(runs: Path, ids: Sequence[str]) -> "tuple[list[Curve], dict[str, str]]":
    """The curves of the runs that have a finished epoch; and by id a line on each whose files are damaged."""
    from bench.report.curves import Curve

    found, damaged = [], {}
    for run_id in ids:
        try:
            record = load_own_record(runs / run_id)
            if record and record.epoch:
                found.append((load_spec(runs / run_id), record, load_metrics(runs / run_id, record)))
        except FileNotFoundError:
            damaged[run_id] = str(corrupt(runs / run_id / "spec.json", "not there", TRAIN_ANEW))
        except CorruptFile as error:
            damaged[run_id] = str(error)
    names = entry_names([spec for spec, _, _ in found])
    curves = [
        Curve(name=name, record=record, metrics=metrics)
        for name, (_, record, metrics) in zip(names, found, strict=True)
    ]
    return curves, damaged


def entry_names(specs: Sequence[RunSpec]) -> list[str]:
    """A name for each run, shared by those that differ in their seed only: network, data, recipe, and what differs."""
    entries = {spec: spec.with_seed(0).run_id for spec in specs}
    alike: dict[str, dict[str, RunSpec]] = {}
    for spec, entry in entries.items():
        alike.setdefault(_plain_name(spec), {})[entry] = spec
    names = {}
    for name, others in alike.items():
        traits = {entry: _traits(spec) for entry, spec in others.items()}
        for entry, own in traits.items():
            differing = [trait for key, trait in own.items() if len({t[key] for t in traits.values()}) > 1]
            names[entry] = ", ".join([name, *differing])
    taken = Counter(names.values())  # by several where a parent of theirs differs
    names = {entry: name if taken[name] == 1 else f"{name}, {entry[-8:]}" for entry, name in names.items()}
    return [names[entries[spec]] for spec in specs]


def _plain_name(spec: RunSpec) -> str:
    return f"{spec.network}, {spec.dataset}, {spec.recipe.name}"


def _traits(spec: RunSpec) -> dict[str, str]:
    """The traits by which runs of one plain name may differ."""
    parent = spec.start_from and spec.start_from.run_id.rpartition("-s")[0]
    recipe = {f.name: getattr(spec.recipe, f.name) for f in dataclasses.fields(spec.recipe) if f.compare}
    return {
        "img_size": f"{spec.img_size} px",
        "start": f"from {parent or spec.weights or 'random weights'}",
        "teacher": f"taught by {spec.teacher}" if spec.teacher else "without a teacher",
        **{field: f"{field} {value}" for field, value in recipe.items()},
    }
