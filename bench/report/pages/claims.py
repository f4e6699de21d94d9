"""The paper's claims, checked against the printed numbers and our measurements."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.paper import TABLES
from bench.report.evidence import link
from bench.report.pages.misprints import between_tables, printed_changes
from bench.report.study_frames import ClaimVerdict
from bench.report.text import DASH, escape, pipe
from bench.results.feature_maps import FeatureMaps
from bench.spec.claim import Claim, Comparison, DeadChannels, Pair
from bench.spec.contents import DATASETS
from bench.spec.table import Edition

STATUSES = ("fails", "too close to tell", "untested", "holds")
"""of a claim or of one of its comparisons; a claim has the first that one of its comparisons has"""

_UNIT = 0.05
"""half of the last digit that the text prints"""

_COLUMNS = {
    "claim": "Int64",
    "table": "Int64",
    **dict.fromkeys(("row", "against", "comparison", "cell", "of", "claimed"), "string"),
    **dict.fromkeys(("published", "published_se"), "Float64"),
    "published_status": "string",
    **dict.fromkeys(("ours", "ours_se"), "Float64"),
    **dict.fromkeys(("ours_status", "ours_from", "note", "study_verdict", "study_page"), "string"),
}
"""of the CSV: a line a comparison"""


def judge(comparison: Comparison | DeadChannels, value: float | None, error: float = 0.0) -> str:
    """Whether a value bears a comparison out, given its standard error.

    What lies within two standard errors cannot be told apart. A value that the text prints is borne out by one that
    agrees with it and is not zero; a threshold, or a range about zero, by one that is beyond doubt inside.
    """
    if value is None or pd.isna(value):
        return "untested"
    exact = comparison.low is not None and comparison.high is not None
    low = -float("inf") if comparison.low is None else comparison.low - (_UNIT if exact else 0)
    high = float("inf") if comparison.high is None else comparison.high + (_UNIT if exact else 0)
    least, most = value - 2 * error, value + 2 * error
    if most <= low or least >= high:
        return "fails"
    if exact and not low <= 0 <= high:
        return "too close to tell" if least <= 0 <= most else "holds"
    return "holds" if low < least and most < high else "too close to tell"


def claims_frame(
    claims: Iterable[Claim],
    frames: Mapping[int, pd.DataFrame],
    features: Mapping[str, FeatureMaps] | None = None,
    in_study: Mapping[int, ClaimVerdict] | None = None,
) -> pd.DataFrame:
    """A line a comparison of each claim.

    Args:
        claims: the paper's.
        frames: from ``table_frame``, by table.
        features: feature maps on one photograph, by the name that Figure 2 has for the network.
        in_study: what the study says of a claim, by its number.
    """
    lines: list[dict[str, object]] = []
    for claim in claims:
        of_claim: dict[str, object] = {"claim": claim.number}
        if found := (in_study or {}).get(claim.number):
            of_claim |= {"study_verdict": found.verdict, "study_page": found.page}
        lines += [of_claim | _line(one, frames[one.table]) for one in claim.comparisons]
        lines += [of_claim | _dead(one, features or {}) for one in claim.dead_channels]
    return pd.DataFrame(lines, columns=list(_COLUMNS)).astype(_COLUMNS)


def _dead(one: DeadChannels, features: Mapping[str, FeatureMaps]) -> dict[str, object]:
    """A line on dead channels, of trained networks only: those of random weights prove nothing."""
    names = [one.network, *([one.against] if one.against else [])]
    trained = [features[name] for name in names if name in features and features[name].source.weights]
    shares = [found.dead_pct for found in trained] if len(trained) == len(names) else []
    ours = round(shares[0] - sum(shares[1:]), 9) if shares else None
    return {
        "row": one.network,
        "against": one.against or None,
        "comparison": f"{' against '.join(names)}, trained",
        "cell": "dead_pct",
        "of": one.of,
        "claimed": _claimed(one),
        "published_status": judge(one, None),
        "ours": ours,
        "ours_status": judge(one, ours),
        "ours_from": "measured" if shares else "",
    }


def _line(one: Comparison, frame: pd.DataFrame) -> dict[str, object]:
    found = compare(one, frame)
    return found | {
        "table": one.table,
        "row": one.row,
        "against": one.against,
        "comparison": f"{one.row} against {one.against}",
        "cell": one.cell,
        "of": one.of,
        "claimed": _claimed(one),
        "note": one.note or None,
        "published_status": judge(one, found["published"], found["published_se"] or 0.0),
        "ours_status": judge(one, found["ours"], found["ours_se"] or 0.0),
    }


def compare(pair: Pair, frame: pd.DataFrame) -> dict[str, Any]:
    """Compare two rows by their printed numbers and by ours, each with its standard error; None where it is missing.

    Args:
        pair: of rows of the table.
        frame: from ``table_frame``.

    Returns:
        ``published``, ``published_se``, ``ours``, ``ours_se`` and ``ours_from`` ("measured", "trained", "evaluated").
    """
    rows = frame.drop_duplicates("model").set_index("model").to_dict("index")
    row, against = rows[pair.row], rows[pair.against]
    printed = row[f"published_{pair.cell}"], against[f"published_{pair.cell}"]
    published = _compared(pair, *printed)
    errors = [_binomial(pair.cell, value) for value in printed] if pair.cell.endswith("_pct") else []
    published_error = sum(error**2 for error in errors) ** 0.5 if errors and published is not None else None
    ours, error, source = _ours(pair, row, against)
    return {
        "published": published,
        "published_se": published_error,
        "ours": ours,
        "ours_se": error,
        "ours_from": source,
    }


def _compared(one: Pair, value: float, other: float) -> float | None:
    if pd.isna(value) or pd.isna(other):
        return None
    return round(value - other if one.of == "difference" else 100 * value / other, 9)


_Row = Mapping[Any, Any]
"""of a ``table_frame``, by column"""


def _ours(one: Pair, row: _Row, against: _Row) -> tuple[float | None, float | None, str]:
    """Our comparison with its standard error: of networks trained here or of released weights, never mixed."""
    if not one.cell.endswith("_pct"):
        value = _compared(one, row[one.cell], against[one.cell])
        return value, None, "" if value is None else "measured"
    for source, find in _SOURCES.items():
        (value, error), (other, other_error) = find(one.cell, row), find(one.cell, against)
        if not (pd.isna(value) or pd.isna(other)):
            return _compared(one, value, other), (error**2 + other_error**2) ** 0.5, source
    return None, None, ""


def accuracy(cell: str, row: _Row) -> tuple[float, float, str]:
    """Ours of a row, its standard error, and whether it was "trained" or "evaluated"; "" where there is none."""
    for source, find in _SOURCES.items():
        value, error = find(cell, row)
        if not pd.isna(value):
            return value, error, source
    return float("nan"), float("nan"), ""


def _trained(cell: str, row: _Row) -> tuple[float, float]:
    """Mean over seeds, and its error: of the seeds, and of the images that all of them were counted on."""
    name = cell.removesuffix("_pct")
    seeds = row["seeds" if name == "top1" else f"{name}_seeds"]
    if pd.isna(seeds):
        return float("nan"), float("nan")
    mean, deviation = row[cell], row[f"{name}_std"]
    of_seeds = 0.0 if pd.isna(deviation) else deviation**2 / seeds
    return mean, (of_seeds + _binomial(cell, mean) ** 2) ** 0.5


def _binomial(cell: str, accuracy: float) -> float:
    """Standard error of an accuracy on the validation images that it is of, in points."""
    images = DATASETS[{"top1_pct": "imagenet"}.get(cell, cell.removesuffix("_pct"))].val_images
    return (accuracy * (100 - accuracy) / images) ** 0.5


def _evaluated(cell: str, row: _Row) -> tuple[float, float]:
    name = "evaluated" if cell == "top1_pct" else f"{cell.removesuffix('_pct')}_evaluated"
    return row[f"{name}_top1_pct" if cell == "top1_pct" else f"{name}_pct"], row[f"{name}_se_pct"]


_SOURCES = {"trained": _trained, "evaluated": _evaluated}
"""of our accuracies, the preferred first"""


def _claimed(one: Comparison | DeadChannels) -> str:
    unit = " %" if one.of == "ratio" else ""
    if one.low is None:
        return f"below {one.high:.1f}{unit}"
    if one.high is None:
        return f"above {one.low:.1f}{unit}"
    return f"{one.low:.1f}{unit}" if one.low == one.high else f"{one.low:.1f} to {one.high:.1f}{unit}"


def status(frame: pd.DataFrame, claim: int, whose: str) -> str:
    """The status of a claim, from its comparisons.

    Args:
        frame: from ``claims_frame``.
        claim: its number.
        whose: "published" or "ours".
    """
    return min(frame.loc[frame["claim"] == claim, f"{whose}_status"], key=STATUSES.index)


def has_dead_channels(frame: pd.DataFrame) -> bool:
    """Whether what claims say of dead channels was tried on ours."""
    return bool(frame.loc[frame["cell"] == "dead_pct", "ours"].notna().all())


def claims_overview(claims: Sequence[Claim], frame: pd.DataFrame) -> str:
    """A line a claim, with what became of it: a pipe table."""
    shown = pd.DataFrame(
        {
            "": [str(claim.number) for claim in claims],
            "Claim": [escape(claim.text) for claim in claims],
            "by printed numbers": [_verdict(frame, claim.number, "published") for claim in claims],
            "by ours": [_verdict(frame, claim.number, "ours") for claim in claims],
            "in the study": [_in_study(frame, claim.number) for claim in claims],
        }
    )
    return pipe(shown, text=("", "Claim", "by printed numbers", "by ours", "in the study"))


def _in_study(frame: pd.DataFrame, claim: int) -> str:
    line = frame[frame["claim"] == claim].iloc[0]
    return DASH if pd.isna(line["study_verdict"]) else link(line["study_verdict"], line["study_page"])


def _disagreements(claims: Sequence[str], edition: Edition) -> list[str]:
    """The section on contradictions within the paper: of its text, its printed changes, and its tables."""
    tables = TABLES.values()
    changes = [f"- {sentence}" for table in tables for sentence in printed_changes(table, edition)]
    lines = [*claims, *changes, *(f"- {sentence}" for sentence in between_tables(tables, edition))]
    return ["## Where the paper contradicts itself\n\n" + "\n".join(lines)] if lines else []


def _tellable(accuracy: float) -> float:
    """Least difference of two accuracies about this one that is more than two standard errors on ImageNet."""
    return float(2 * 2**0.5 * _binomial("top1_pct", accuracy))


_IMAGENET = DATASETS["imagenet"]


def _verdict(frame: pd.DataFrame, claim: int, whose: str) -> str:
    """The status of a claim, and the comparisons behind it if these are only some."""
    found = status(frame, claim, whose)
    own = frame[frame["claim"] == claim]
    blamed = dict.fromkeys(own.loc[own[f"{whose}_status"] == found, "cell"].dropna())
    partial = found != "holds" and len(blamed) < own["cell"].nunique()
    return f"{found} ({', '.join(_WORDS[cell] for cell in blamed)})" if partial else found


def claims_markdown(claims: Sequence[Claim], edition: Edition, frame: pd.DataFrame) -> str:
    """The report."""
    lines = frame.to_dict("records")
    shown = pd.DataFrame(
        {
            "Claim": frame["claim"].map(str),
            "Comparison": frame["comparison"].map(escape),
            "Table": ["[Figure 2](figure_2.md)" if pd.isna(n) else f"[{n}](table_{n}.md)" for n in frame["table"]],
            "of": [DASH if pd.isna(cell) else _WORDS[cell] for cell in frame["cell"]],
            "claimed": frame["claimed"].fillna(DASH),
            "printed": [figure_text(line, "published", 1) for line in lines],
            "by printed numbers": frame["published_status"],
            "ours": [figure_text(line, "ours", 2) for line in lines],
            "by ours": frame["ours_status"],
        }
    )
    against = shown[frame["published_status"] == "fails"]
    contradictions = [
        f"- Claim {line['Claim']}: {line['Comparison']} (Table {line['Table']}), {line['of']}: the text says "
        f"{line['claimed']}, the printed numbers give {line['printed']}{'' if pd.isna(note) else f'; {note}'}."
        for line, note in zip(against.to_dict("records"), frame.loc[against.index, "note"], strict=True)
    ]
    sections = [
        "# The paper's claims",
        f"Each claim of the text, checked against the numbers printed in the {edition.name} edition and against ours.",
        claims_overview(claims, frame),
        "A threshold *holds* or *fails* if the numbers lie more than two standard errors to one side of it. A claimed "
        "value, or a claimed range without zero, *holds* if the numbers agree with it within two standard errors and "
        "differ from zero by more than that, and *fails* if they disagree by more. Everything else is *too close to "
        "tell*. A claim with several comparisons gets the worst of their verdicts, and that comparison is named. "
        "*Untested* means that a number is missing.",
        "The standard error of an accuracy is binomial, plus the error of the mean over seeds if there are several. "
        "The printed accuracies come from one seed each, so their variation between seeds is unknown and left out; "
        "with two or three seeds, two standard errors cover less than they do with many. Two accuracies are treated as "
        "independent, although their difference on the same images may be known better than that. With "
        f"{_IMAGENET.val_images:,} images, two accuracies near 80 % can then be told apart only if they differ by more "
        f"than {_tellable(80.0):.1f} points. Networks trained here are never compared with released weights.",
        "*In the study*, small networks trained alike stand for those of the claim. The direction of the difference "
        "*agrees* with the paper's, *disagrees*, or the study *cannot tell*. *Not yet* means that seeds or arms are "
        f"still to be trained, and {DASH} that nothing has been trained for this claim. The study fills no cell of the "
        "tables.",
        "Dead channels are counted over all layers on a single photograph, that of [Figure 2](figure_2.md), which also "
        "defines *dead*; other photographs may give other counts. Features of a ResNet follow a ReLU and can be "
        "exactly zero; those of a ViT are sums along skip connections and almost never are.",
        *_disagreements(contradictions, edition),
        "## Comparisons",
        pipe(shown, text=("Comparison", "Table", "of", "by printed numbers", "by ours")),
        "Differences are in points, M or G; ratios are in %. The same data as CSV: [claims.csv](claims.csv).",
    ]
    return "\n\n".join(sections) + "\n"


_WORDS = {
    "top1_pct": "top-1",
    "cifar10_pct": "CIFAR-10",
    "cifar100_pct": "CIFAR-100",
    "params_m": "params",
    "macs_g": "MACs",
    "dead_pct": "dead channels",
}


def figure_text(line: Mapping[Any, Any], whose: str, digits: int) -> str:
    """A comparison's value, with its standard error where it has one."""
    value, error = line[whose], line[f"{whose}_se"]
    if pd.isna(value):
        return DASH
    text = f"{value:.{digits}f} %" if line["of"] == "ratio" else f"{value:+.{digits}f}"
    text += "" if pd.isna(error) else f" ± {error:.2f}"
    return f"{text} (evaluated)" if whose == "ours" and line["ours_from"] == "evaluated" else text
