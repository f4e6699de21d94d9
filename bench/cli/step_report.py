"""The page on the speed of a step beside another implementation: measures the cases, and writes its evidence."""

import csv
import io
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.output import finish, texts, write_report
from bench.cli.speed_cases import cases_of, gpu_name, setting_of
from bench.measure.speed import measure
from bench.report.evidence import FOLDER, link
from bench.report.text import code
from bench.results.files import CorruptFile, read, write
from bench.results.run_folder import now
from bench.results.step_speeds import Measured, StepSpeeds
from bench.spec.errors import RequestError

if TYPE_CHECKING:
    from bench.cli.commands.speed import SpeedRequest

_EVIDENCE = f"{FOLDER}/step.json"


def report(speeds: StepSpeeds) -> str:
    """Markdown: what was measured, beside what, and on what."""
    found, against = speeds.measured, speeds.against or ""
    versions = ", ".join(f"{name} {number}" for name, number in speeds.versions.items())
    devices = sorted({speeds.gpu if each.case.device == "cuda" else f"threads: {speeds.threads}" for each in found})
    loads = [each.load for each in found]
    rounds = " to ".join(map(str, sorted({f([len(each.ours.seconds) for each in found]) for f in (min, max)})))
    lines = [
        "# Speed of a step",
        "",
        f"Images per second in training and inference, beside {code(against)}: medians of {rounds} rounds, each of "
        "which runs both in turn in one process.",
        "",
        "A training step is forward pass, loss, backward pass, AdamW and averaged weights, without loading and "
        "augmenting images. Ours is the trainer's (`bench/training/training_step.py`); the other one uses timm's "
        "averaged weights and an optimizer that loops over the parameters. The ratio is ours over the other, with "
        "quartiles. *Saved* is the memory that autograd keeps for the backward pass, without parameters. For GFLOP/s, "
        "a multiply-add counts as two operations and a backward pass as two forward passes. *Share* is relative to the "
        "fastest product of two large matrices on this machine in the same precision."
        + (" Seconds are CPU time of one thread, which other programs hardly change." if speeds.clock == "cpu" else ""),
        "",
        *_table(found),
        "",
        f"- machine: {speeds.machine}; {', '.join(devices)}; load average before the first round: {min(loads):.1f} to "
        f"{max(loads):.1f}",
        f"- versions: {versions}",
        *(f"- matrix product in {name}: {rate:.0f} GFLOP/s" for name, rate in _matrix_rates(found)),
        "",
        f"{code(f'python run_all.py speed --against {against}')} measures it again; its options choose the cases, and "
        "`--add` keeps the others. "
        f"The same data as CSV: [step.csv](step.csv); every round: {link('step.json', _EVIDENCE)}.",
    ]
    return "\n".join(lines) + "\n"


def _table(found: Sequence[Measured]) -> list[str]:
    names = ["Network", "px", "Batch", "Precision", "Mode", "Formulation", "Images/s", "Other images/s", "Ratio"]
    names += ["Saved MB", "Other saved MB", "GFLOP/s", "Share"]
    lines = [f"| {' | '.join(names)} |", f"|---|---:|---:|---|---|---|{'---:|' * (len(names) - 6)}"]
    for each in found:
        case, ours, theirs = each.case, each.ours, each.theirs
        cells = [case.model, case.img_size, case.batch, case.precision, case.mode, _formulation(each)]
        cells += [f"{each.images_per_s(ours):.1f}", f"{each.images_per_s(theirs):.1f}" if theirs else "-"]
        cells += [_spread(each.ratios) if theirs else "-"]
        cells += [_megabytes(ours.saved_bytes), _megabytes(theirs.saved_bytes if theirs else None)]
        cells += [f"{each.gflops(ours):.0f}", f"{100 * each.gflops(ours) / each.matrix_gflops:.0f} %"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _formulation(each: Measured) -> str:
    return f"{each.formulation}, compiled" if each.case.compile else each.formulation


def _spread(ratios: Sequence[float]) -> str:
    low, _, high = statistics.quantiles([*ratios, *ratios[:1]] if len(ratios) == 1 else ratios, method="inclusive")
    return f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})"


def _megabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 1e6:.0f}"


def _matrix_rates(found: Iterable[Measured]) -> list[tuple[str, float]]:
    rates: dict[str, list[float]] = {}
    for each in found:
        rates.setdefault(each.case.precision, []).append(each.matrix_gflops)
    return [(name, statistics.median(values)) for name, values in rates.items()]


def _lines(found: Iterable[Measured]) -> list[dict[str, object]]:
    """A line a case, for the CSV and for programs."""
    lines = []
    for each in found:
        line: dict[str, object] = {**asdict(each.case), "formulation": each.formulation}
        del line["model_args"]
        line |= {"images_per_s": each.images_per_s(each.ours), "saved_bytes": each.ours.saved_bytes}
        if each.theirs:
            line |= {
                "other_images_per_s": each.images_per_s(each.theirs),
                "other_saved_bytes": each.theirs.saved_bytes,
                "ratio": statistics.median(each.ratios),
                "ratio_min": min(each.ratios),
                "ratio_max": max(each.ratios),
            }
        lines.append(line | {"gflops": each.gflops(each.ours), "matrix_gflops": each.matrix_gflops})
    return lines


def _csv(lines: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, lines[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def report_steps(asked: "SpeedRequest") -> int:
    """Measure every case, write the page with its evidence and print it; returns the exit code.

    Raises:
        RequestError: a case cannot be measured, or the page that it should be added to is of another setting.
    """
    setting, reports = setting_of(asked), asked.output.reports
    path = reports / _EVIDENCE
    speeds = StepSpeeds(
        against=asked.against,
        machine=setting.machine,
        threads=setting.threads,
        clock=setting.clock,
        versions=setting.versions,
        gpu=gpu_name(),
    )
    before = _measured_before(path, speeds) if asked.add else ()
    cases = cases_of(asked, setting)
    measured = [measure(case, asked.against, rounds=asked.rounds, clock=asked.clock) for case in cases]
    found = [*(each for each in before if each.case not in cases), *measured]
    write(path, replace(speeds, measured=tuple(found), measured_at=now()))
    text = report(replace(speeds, measured=tuple(found)))
    lines = _lines(found)
    paths = write_report(reports, "step", {"md": text, "csv": _csv(lines)})
    if not asked.output.as_json:
        print(text, end="")
    return finish({"speeds": lines, "reports": texts(paths)} if asked.output.as_json else None, [])


def _measured_before(path: Path, setting: StepSpeeds) -> tuple[Measured, ...]:
    """The cases of a page that others are to be added to.

    Raises:
        RequestError: there is none, it is corrupt, or it was measured in another setting.
    """
    remedy = "leave out --add to start a new page"
    try:
        found = read(path, StepSpeeds, remedy=remedy)
    except FileNotFoundError as error:
        raise RequestError(f"--add {path}: {error.strerror}; {remedy}") from error
    except CorruptFile as error:
        raise RequestError(f"--add {error}") from error
    names = ("against", "machine", "threads", "clock", "versions", "gpu")
    if other := [name for name in names if getattr(found, name) != getattr(setting, name)]:
        raise RequestError(f"--add {path}: measured with different {', '.join(other)}; {remedy}")
    return found.measured
