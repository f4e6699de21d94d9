"""The page on the speed of networks: throughput and latency on each machine, beside the accuracies of their rows."""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from bench.report.evidence import link
from bench.report.inputs import SpeedInputs
from bench.report.pages.table import comparison
from bench.report.pictures import Picture
from bench.report.speed_front import family, fastest, machines, unbeaten
from bench.report.text import DASH, STANDARD_ERROR, code, escape, listed, pipe
from bench.spec.table import Edition


def speed_picture(frame: pd.DataFrame, edition: Edition) -> Picture | None:
    """The picture of the page; None where no row has both a speed and an accuracy.

    Args:
        frame: from ``speed_frame``.
        edition: whose accuracies are printed.
    """
    if all(fastest(frame, mode).empty for mode in ("train", "infer")):
        return None
    return Picture(draw="figures.speed:speed_figure", shows=(frame, edition))


TITLE = "Speed of the networks"


def speed_markdown(inputs: SpeedInputs, frame: pd.DataFrame, *, has_picture: bool) -> str:
    """The page.

    Args:
        inputs: the speeds.
        frame: from ``speed_frame``.
        has_picture: whether there is a picture to show.
    """
    sections = [
        f"# {TITLE}",
        "The throughput of networks in training and in inference, and the time that a single image takes, measured "
        "beside one another on the same machine. Accuracies are those of the [tables](README.md#tables), from recipes "
        "that differ.",
        *(["![Top-1 against measured images per second](speed.png)"] if has_picture else []),
        *(section for name, lines in machines(frame) for section in _machine(name, lines)),
        *_accuracies(inputs, frame),
        "## What was timed",
        _TIMED,
        "`python run_all.py speed` measures what is missing on the machine that it runs on, and writes this page; "
        "`--again` measures anew. The same data as CSV: [speed.csv](speed.csv)"
        + ("; the picture as SVG: [speed.svg](speed.svg)." if has_picture else "."),
    ]
    return "\n\n".join(sections) + "\n"


_TIMED = (
    "A training step is forward pass, loss, backward pass, AdamW and averaged weights, as the trainer runs it "
    "(`bench/training/training_step.py`), on random images that lie in memory: nothing is loaded or augmented, and a "
    "network with a teacher is trained without it. Inference is a forward pass over a batch, and *latency* one over a "
    "single image. Each network runs in its fastest formulation, and each case in a process of its own, after two "
    "calls that are not timed. Numbers are medians over the rounds, with quartiles in brackets.\n\n"
    "For GFLOP/s, a multiply-add counts as two operations, and a backward pass as two forward passes; the share is "
    "relative to the fastest product of two large matrices on the same machine in the same precision. *Saved* is what "
    "autograd keeps for the backward pass, without parameters. *Peak* is the most memory in use at once: on a CPU by "
    "the whole process, Python and libraries included; on a GPU, what torch allocated."
)


def _machine(name: str, frame: pd.DataFrame) -> Iterator[str]:
    """The section on a machine."""
    yield f"## {escape(name)}"
    if sentences := speed_in_words(frame):
        yield sentences
    networks = frame.drop_duplicates(_CASE)
    yield pipe(_speed_table(networks), text=("Network", "Precision", "evidence"))
    yield pipe(_memory_table(networks), text=("Network", "Precision", "Formulation", "evidence"))
    yield "\n".join(_conditions(networks))


_CASE = ["network", "img_size", "device", "precision", "compile", "batch"]
"""columns that tell the lines of a machine's networks apart"""


def speed_in_words(frame: pd.DataFrame, *, names: bool = True) -> str:
    """Sentences on the rows of a machine that no other row beats; empty where there is nothing to compare.

    Args:
        frame: of one machine.
        names: name the rows, from the fastest to the slowest; otherwise count them by family.
    """
    said: list[str] = []
    for mode, words in (("train", "training"), ("infer", "inference")):
        marks = fastest(frame, mode)
        if len(marks) > 1:
            front = unbeaten(marks, mode)
            which = [escape(name) for name in front["model"]] if names else _by_family(front)
            many = f"{len(front)} of {len(marks)} rows {'is' if len(front) == 1 else 'are'} unbeaten"
            meaning = "" if said else f" ({_UNBEATEN}){', from the fastest to the slowest' if names else ''}"
            said.append(f"In {words}, {many}{meaning}: {listed(which)}.")
    return " ".join(said)


_UNBEATEN = "no other row is at least as fast, by the medians, and at least as accurate, as printed"


def _by_family(rows: pd.DataFrame) -> list[str]:
    """The number of rows of each family, the most first."""
    return [f"{count} of {name}" for name, count in rows["network"].map(family).value_counts(sort=True).items()]


def speed_overview(frame: pd.DataFrame) -> str:
    """The sentences on the first machine, which is named, with families; empty where there is nothing to compare."""
    for name, lines in machines(frame):
        if sentence := speed_in_words(lines, names=False):
            return f"Measured on {escape(name)}. {sentence}"
    return ""


def _speed_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Throughput, latency, and how well they use the machine."""
    shown: dict[str, object] = {**_named(frame)}
    for mode, label in (("train", "Training"), ("infer", "Inference")):
        rates = [frame[f"{mode}_images_per_s{part}"] for part in ("", "_low", "_high")]
        shown[f"{label} images/s"] = [_spread(*values) for values in zip(*rates, strict=True)]
        used = zip(frame[f"{mode}_gflops"], frame[f"{mode}_share_pct"], strict=True)
        shown[f"{label} GFLOP/s"] = [DASH if pd.isna(g) else f"{_digits(g)} ({share:.0f} %)" for g, share in used]
    latencies = [frame[f"latency_ms{part}"] for part in ("", "_low", "_high")]
    shown["Latency ms"] = [_spread(*values) for values in zip(*latencies, strict=True)]
    files = [frame[f"{mode}_measured_in"] for mode in ("train", "infer", "latency")]
    shown["evidence"] = [
        ", ".join(
            link(mode, file)
            for mode, file in zip(("train", "infer", "latency"), each, strict=True)
            if not pd.isna(file)
        )
        for each in zip(*files, strict=True)
    ]
    return pd.DataFrame(shown)


def _memory_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Size and memory."""
    shown: dict[str, object] = {**_named(frame), "Formulation": frame["formulation"]}
    shown |= {"Params M": frame["params_m"].map(_fixed), "MACs G": frame["macs_g"].map(_fixed)}
    shown |= {"Saved MB": frame["train_saved_mb"].map(_digits)}
    modes = {"train": "Training", "infer": "Inference", "latency": "One image"}
    shown |= {f"{label}: peak MB": frame[f"{mode}_peak_mb"].map(_digits) for mode, label in modes.items()}
    shown["evidence"] = [DASH if pd.isna(file) else link("counts", file) for file in frame["measured_in"]]
    return pd.DataFrame(shown)


def _named(frame: pd.DataFrame) -> dict[str, object]:
    """The columns that name a case."""
    compiled = [f"{p}, compiled" if c else p for p, c in zip(frame["precision"], frame["compile"], strict=True)]
    return {
        "Network": frame["network"].map(code),
        "px": frame["img_size"].map(str),
        "Precision": compiled,
        "Batch": [DASH if pd.isna(batch) else str(batch) for batch in frame["batch"]],
    }


def _spread(value: float, low: float, high: float) -> str:
    return DASH if pd.isna(value) else f"{_digits(value)} ({_digits(low)} to {_digits(high)})"


def _digits(value: float) -> str:
    """A number with three significant digits, or all of those before the point."""
    if pd.isna(value):
        return DASH
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def _fixed(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:.2f}"


def _conditions(frame: pd.DataFrame) -> Iterable[str]:
    """Machine, load and versions of its lines, as items of a list."""
    first = frame.iloc[0]
    every = {
        name: pd.concat([frame[f"{mode}_{name}"] for mode in ("train", "infer", "latency")]).dropna()
        for name in ("load", "rounds")
    }
    rounds = dict.fromkeys(str(count) for count in (every["rounds"].min(), every["rounds"].max()))
    gpu = f"{escape(first['gpu'])}; " if not pd.isna(first["gpu"]) else ""
    yield (
        f"- machine: {gpu}{escape(first['machine'])}; threads: {first['threads']}; load average before the first round "
        f"of a case, of what was measured before it as well: {every['load'].min():.1f} to {every['load'].max():.1f}"
    )
    yield f"- rounds: {' to '.join(rounds)}, fewer of slow networks"
    if first["clock"] == "cpu":
        yield "- seconds are CPU time of one thread, which other programs hardly change"
    yield f"- versions: {escape('; '.join(dict.fromkeys(frame['versions'])))}"
    for precision, lines in frame.groupby("precision", sort=False):
        rates = pd.concat([100 * lines[f"{mode}_gflops"] / lines[f"{mode}_share_pct"] for mode in ("train", "infer")])
        if rates.notna().any():
            yield f"- matrix product in {precision}: {_digits(rates.median())} GFLOP/s (median of all cases)"


def _accuracies(inputs: SpeedInputs, frame: pd.DataFrame) -> Iterator[str]:
    """The section on the rows whose accuracies the picture shows."""
    rows = frame[frame["model"].notna()].drop_duplicates(["model", "network", "img_size"])
    if rows.empty:
        return
    whole = pd.concat(list(inputs.frames.values()))
    lines = [
        _first(
            whole[
                (whole["model"] == row["model"])
                & (whole["network"] == row["network"])
                & (whole["img_size"] == row["img_size"])
            ]
        )
        for _, row in rows.iterrows()
    ]
    cells = comparison(pd.DataFrame(lines).astype(whole.dtypes).reset_index(drop=True))
    shown = pd.DataFrame(
        {
            "Model": [escape(name) for name in rows["model"]],
            "Network": [code(name) for name in rows["network"]],
            "px": [str(size) for size in rows["img_size"]],
            **{name: list(cells[name]) for name in cells if str(name).startswith("Top-1 %")},
            "Tables": [
                ", ".join(link(number, f"table_{number}.md") for number in numbers.split())
                for numbers in rows["tables"]
            ],
        }
    )
    yield "## Accuracies"
    yield pipe(shown, text=("Model", "Network", "Tables"))
    yield (
        f"*Paper*: as printed in the {inputs.edition.name} edition, \\* as retrained by the paper's authors. *Ours*: ± "
        f"one {STANDARD_ERROR}. *Reported elsewhere*: of the same released weights. The tables have the sources."
    )


def _first(lines: pd.DataFrame) -> "pd.Series[Any]":
    """The first line of a row that has a printed accuracy, or else its first."""
    return lines.sort_values("published_top1_pct", na_position="last", kind="stable", key=pd.isna).iloc[0]
