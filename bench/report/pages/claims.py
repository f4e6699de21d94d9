"""The paper's claims, checked against the printed numbers and our measurements."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.paper import TABLES
from bench.paper.claims import CLAIMS, PREMISES
from bench.paper.editions import ICCV
from bench.report.claim_tests import (
    FAILS,
    HOLDS,
    MOST_SEEDS,
    SEED_STD_PCT,
    TOO_CLOSE,
    UNTESTED,
    Estimate,
    Judgement,
    dead_channels_effect,
    effect_of,
    excess_of,
    is_margin,
    judge,
    of_claim,
    seeds_needed,
)
from bench.report.contests import AGREES, CANNOT_TELL, DISAGREES
from bench.report.evidence import link
from bench.report.pages.history import history_section
from bench.report.pages.misprints import between_tables, other_ranges, printed_changes, wrong_premises
from bench.report.statistics import LEVEL, POWER, Effect
from bench.report.study_frames import ClaimVerdict
from bench.report.text import DASH, STANDARD_ERROR, escape, listed, pipe
from bench.results.dead_channels import DeadChannels as Counts
from bench.spec.claim import Claim, Comparison, DeadChannels, Pair
from bench.spec.contents import DATASETS
from bench.spec.table import Edition

_Row = Mapping[Any, Any]
"""of a ``table_frame``, by column"""

Rows = Mapping[str, _Row]
"""of a ``table_frame``, by the name of the row"""

PairedEffects = Callable[[str, _Row, _Row], Effect | None]
"""Gives the effect of a row against another in a cell, from their runs' predictions; None where these are missing."""


def _no_effects(cell: str, row: _Row, against: _Row) -> None:
    return None


_COLUMNS = {
    "claim": "Int64",
    "table": "Int64",
    **dict.fromkeys(("row", "against", "less", "less_against", "comparison", "cell", "of", "claimed"), "string"),
    **dict.fromkeys(("published", "published_std_err", "published_p_fails"), "Float64"),
    "published_status": "string",
    **dict.fromkeys(("ours", "ours_std_err", "ours_low", "ours_high", "ours_p_fails", "ours_detectable"), "Float64"),
    **dict.fromkeys(("ours_status", "ours_from", "ours_images", "note", "study_verdict", "study_page"), "string"),
    "seeds_needed": "Int64",
}
"""of the CSV: a line a comparison"""


def claims_frame(
    claims: Iterable[Claim],
    frames: Mapping[int, pd.DataFrame],
    dead: Mapping[str, Counts] | None = None,
    in_study: Mapping[int, ClaimVerdict] | None = None,
    paired: PairedEffects = _no_effects,
) -> pd.DataFrame:
    """A line a comparison of each claim.

    Args:
        claims: the paper's.
        frames: from ``table_frame``, by table.
        dead: counts of dead channels of trained networks, by the name that Figure 2 has for the network.
        in_study: what the study says of a claim, by its number.
        paired: effects from predictions.
    """
    rows = {number: rows_by_name(frame) for number, frame in frames.items()}
    lines: list[dict[str, object]] = []
    for claim in claims:
        of_claim: dict[str, object] = {"claim": claim.number}
        if found := (in_study or {}).get(claim.number):
            of_claim |= {"study_verdict": found.verdict, "study_page": found.page}
        lines += [of_claim | _line(one, rows[one.table], paired) for one in claim.comparisons]
        lines += [of_claim | _dead(one, dead or {}) for one in claim.dead_channels]
    return pd.DataFrame(lines, columns=list(_COLUMNS)).astype(_COLUMNS)


def _dead(one: DeadChannels, counts: Mapping[str, Counts]) -> dict[str, object]:
    """A line on dead channels, of trained networks only: those of random weights prove nothing."""
    names = [one.network, *([one.against] if one.against else [])]
    found = [counts[name] for name in names if name in counts]
    effect = dead_channels_effect(*found) if len(found) == len(names) else None
    line: dict[str, object] = {
        "row": one.network,
        "against": one.against or None,
        "comparison": f"{' against '.join(names)}, trained",
        "cell": "dead_pct",
        "of": one.of,
        "claimed": _claimed(one),
        "published_status": UNTESTED,
        "ours_status": UNTESTED,
        "ours_from": "",
    }
    if effect is None:
        return line
    ours = round(effect.difference_pct, 9)
    judged = judge(one, ours, effect if effect.is_known else None)  # the share may be the same on every image
    line |= {
        "ours": ours,
        "ours_status": judged.status,
        "ours_p_fails": judged.p_fails,
        "ours_from": "measured",
    }
    return line | _errors(effect, alike=False) | {"ours_images": "paired" if one.against else None}


def _line(one: Comparison, rows: Rows, paired: PairedEffects) -> dict[str, object]:
    found = compare(one, rows, paired)
    if one.less:
        found = found.beyond(compare(one.less, rows, paired))
    printed = judge(one, found.published, found.published_effect, is_printed=True)
    ours, effect = judge(one, found.ours, found.effect), found.effect
    line = found.columns() | {
        "table": one.table,
        "row": one.row,
        "against": one.against,
        "less": one.less and one.less.row,
        "less_against": one.less and one.less.against,
        "comparison": one.name,
        "cell": one.cell,
        "of": one.of,
        "claimed": _claimed(one),
        "note": one.note or None,
        "published_status": printed.status,
        "published_p_fails": printed.p_fails,
        "ours_status": ours.status,
        "ours_p_fails": ours.p_fails,
        "seeds_needed": found.published_effect and seeds_needed(one, found.published_effect),
    }
    if effect is None or not effect.is_known:
        return line
    return (
        line | _errors(effect, alike=is_margin(one)) | {"ours_images": "paired" if found.is_paired else "independent"}
    )


def _errors(effect: Effect, *, alike: bool) -> dict[str, object]:
    """The uncertainty of ours, as columns; nothing where it is not known."""
    if not effect.is_known:
        return {}
    low, high = effect.interval()
    return {
        "ours_std_err": effect.se_pct,
        "ours_low": low,
        "ours_high": high,
        "ours_detectable": effect.detectable_difference(alike=alike),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two rows compared by their printed numbers and by ours; None where a number is missing."""

    published: float | None
    published_effect: Effect | None
    """None of a count, too"""
    ours: float | None
    effect: Effect | None
    source: str
    """of ours: "measured", "trained", "evaluated" or "recorded", the same for both rows; empty if there is none"""
    is_paired: bool = False
    """whether the error of ours was worked out image by image"""

    def beyond(self, other: "Compared") -> "Compared":
        """Take off the difference of two other rows; ours stays only if both are of one source."""
        alike = self.source == other.source
        return Compared(
            published=_less(self.published, other.published),
            published_effect=_excess(self.published_effect, other.published_effect),
            ours=_less(self.ours, other.ours) if alike else None,
            effect=_excess(self.effect, other.effect) if alike else None,
            source=self.source if alike else "",
            is_paired=alike and self.is_paired and other.is_paired,
        )

    def columns(self) -> dict[str, Any]:
        """The values with their standard errors, as columns."""
        return {
            "published": self.published,
            "published_std_err": self.published_effect and self.published_effect.se_pct,
            "ours": self.ours,
            "ours_std_err": self.effect and self.effect.se_pct,
            "ours_from": self.source,
        }


def _less(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else round(value - other, 9)


def _excess(effect: Effect | None, other: Effect | None) -> Effect | None:
    return effect and other and excess_of(effect, other)


def rows_by_name(frame: pd.DataFrame) -> Rows:
    """The rows of a frame from ``table_frame``; the first of a name."""
    return {row["model"]: row for row in reversed(frame.to_dict("records"))}


def compare(pair: Pair, rows: Rows, paired: PairedEffects = _no_effects) -> Compared:
    """Compare two rows of a table.

    Args:
        pair: of rows of the table.
        rows: of the table, from ``rows_by_name``.
        paired: effects from predictions.
    """
    row, against = rows[pair.row], rows[pair.against]
    printed = row[f"published_{pair.cell}"], against[f"published_{pair.cell}"]
    published = _compared(pair, *printed)
    if not pair.cell.endswith("_pct"):
        ours = _compared(pair, row[pair.cell], against[pair.cell])
        source = "" if ours is None else "measured"
        return Compared(published=published, published_effect=None, ours=ours, effect=None, source=source)
    once, other = (_once(value, pair.cell) for value in printed)
    of_printed = effect_of(once, other) if once and other else None
    for source, find in _SOURCES.items():
        first, second = find(pair.cell, row), find(pair.cell, against)
        if first and second:
            by_image = paired(pair.cell, row, against) if source == "trained" else None
            effect = effect_of(first, second, by_image)
            return Compared(
                published=published,
                published_effect=of_printed,
                ours=_compared(pair, first.mean_pct, second.mean_pct),
                effect=effect,
                source=source,
                is_paired=by_image is not None,
            )
    return Compared(published=published, published_effect=of_printed, ours=None, effect=None, source="")


def _compared(one: Pair, value: float, other: float) -> float | None:
    if pd.isna(value) or pd.isna(other):
        return None
    return round(value - other if one.of == "difference" else 100 * value / other, 9)


def accuracy(cell: str, row: _Row) -> tuple[float, float, str]:
    """Return ours of a row, its standard error, and how it came about; nan, nan and "" where there is none.

    A single seed that was trained has no standard error: it is nan, as in the tables.
    """
    for source, find in _SOURCES.items():
        if found := find(cell, row):
            if source != "trained":
                return found.mean_pct, found.binomial**0.5, source
            return found.mean_pct, math.nan if found.std_pct is None else found.seed_variance[0] ** 0.5, source
    return float("nan"), float("nan"), ""


def _images(cell: str) -> int:
    """The number of validation images that an accuracy is of."""
    return DATASETS[{"top1_pct": "imagenet"}.get(cell, cell.removesuffix("_pct"))].val_images


def _trained(cell: str, row: _Row) -> Estimate | None:
    name = cell.removesuffix("_pct")
    seeds, deviation = row["seeds" if name == "top1" else f"{name}_seeds"], row[f"{name}_std"]
    if pd.isna(seeds):
        return None
    std = None if pd.isna(deviation) else float(deviation)
    return Estimate(mean_pct=float(row[cell]), seeds=int(seeds), std_pct=std, images=_images(cell))


def _evaluated(cell: str, row: _Row) -> Estimate | None:
    name = "evaluated_top1_pct" if cell == "top1_pct" else f"{cell.removesuffix('_pct')}_evaluated_pct"
    return _once(row[name], cell)


def _recorded(cell: str, row: _Row) -> Estimate | None:
    return _once(row["recorded_top1_pct"], cell) if cell == "top1_pct" else None


def _once(top1_pct: float, cell: str) -> Estimate | None:
    """The estimate of weights that were trained once."""
    if pd.isna(top1_pct):
        return None
    return Estimate(mean_pct=float(top1_pct), seeds=1, std_pct=None, images=_images(cell))


_SOURCES = {"trained": _trained, "evaluated": _evaluated, "recorded": _recorded}
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
    lines = frame[frame["claim"] == claim].to_dict("records")
    p_values = [1.0 if pd.isna(p := line[f"{whose}_p_fails"]) else p for line in lines]
    return of_claim(
        Judgement(status=line[f"{whose}_status"], p_fails=p) for line, p in zip(lines, p_values, strict=True)
    )


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
            "by our numbers": [_verdict(frame, claim.number, "ours") for claim in claims],
            "in the study": [_in_study(frame, claim.number) for claim in claims],
        }
    )
    return pipe(shown, text=("", "Claim", "by printed numbers", "by our numbers", "in the study"))


def claims_in_words(claims: Sequence[Claim], frame: pd.DataFrame) -> str:
    """Counts of claims by status: "By the printed numbers, 6 hold and 1 fails; by ours, 7 are untested"."""

    def counted(whose: str) -> str:
        found = Counter(status(frame, claim.number, whose) for claim in claims)
        return listed([f"{n} {_STATUS_WORDS[one][n > 1]}" for one in _STATUS_WORDS if (n := found[one])])

    return f"By the printed numbers, {counted('published')}; by ours, {counted('ours')}"


def study_in_words(in_study: Mapping[int, ClaimVerdict]) -> dict[str, list[str]]:
    """A sentence on each claim that studies have a verdict on, under a sentence on the study that it comes from."""
    found: dict[str, list[str]] = {}
    for number, one in sorted(in_study.items()):
        if one.verdict in (AGREES, DISAGREES, CANNOT_TELL):
            about = (
                f"{link('The study', one.page)} ({one.trained}) tests the direction of each claim, not its numbers. "
                "Differences are in points of top-1, with their 95 % interval."
            )
            found.setdefault(about, []).append(
                f"Claim {number}, *{escape(one.statement)}*: **{one.verdict}**. {escape(one.differences)}."
            )
    return found


_STATUS_WORDS = {
    HOLDS: ("holds", "hold"),
    FAILS: ("fails", "fail"),
    TOO_CLOSE: (f"is {TOO_CLOSE}", f"are {TOO_CLOSE}"),
    UNTESTED: (f"is {UNTESTED}", f"are {UNTESTED}"),
}
"""of one claim, and of several"""


def _in_study(frame: pd.DataFrame, claim: int) -> str:
    line = frame[frame["claim"] == claim].iloc[0]
    return DASH if pd.isna(line["study_verdict"]) else link(line["study_verdict"], line["study_page"])


def _disagreements(claims: Sequence[str], edition: Edition) -> list[str]:
    """The section on contradictions within the paper: of its text, its printed changes, and its tables."""
    tables = TABLES.values()
    changes = [f"- {sentence}" for table in tables for sentence in printed_changes(table, edition)]
    of_text = [*other_ranges(CLAIMS, TABLES, ICCV), *wrong_premises(PREMISES, TABLES, ICCV)] if edition == ICCV else []
    lines = [*claims, *(f"- {sentence}" for sentence in of_text), *changes]
    lines += [f"- {sentence}" for sentence in between_tables(tables, edition)]
    return ["## Where text and tables differ\n\n" + "\n".join(lines)] if lines else []


def _verdict(frame: pd.DataFrame, claim: int, whose: str) -> str:
    """The status of a claim, and the comparisons behind it if these are only some."""
    found = status(frame, claim, whose)
    own = frame[frame["claim"] == claim]
    shared = (found, FAILS) if found == TOO_CLOSE else (found,)  # one that fails by itself may not after correction
    blamed = dict.fromkeys(own.loc[own[f"{whose}_status"].isin(shared), "cell"].dropna())
    partial = found != "holds" and len(blamed) < own["cell"].nunique()
    return f"{found} ({', '.join(_WORDS[cell] for cell in blamed)})" if partial else found


def claims_markdown(
    claims: Sequence[Claim], edition: Edition, frame: pd.DataFrame, in_study: Mapping[int, ClaimVerdict] | None = None
) -> str:
    """The report.

    Args:
        claims: the paper's.
        edition: whose printed numbers are shown.
        frame: from ``claims_frame``.
        in_study: what studies say of a claim, by its number.
    """
    lines = frame.to_dict("records")
    shown = pd.DataFrame(
        {
            "Claim": frame["claim"].map(str),
            "Comparison": frame["comparison"].map(escape),
            "Table": ["[Figure 2](figure_2.md)" if pd.isna(n) else f"[{n}](table_{n}.md)" for n in frame["table"]],
            "quantity": [DASH if pd.isna(cell) else _WORDS[cell] for cell in frame["cell"]],
            "claimed": frame["claimed"].fillna(DASH),
            "printed": [figure_text(line, "published", 1) for line in lines],
            "by printed numbers": frame["published_status"],
            "ours": [figure_text(line, "ours", 2) for line in lines],
            "95 % interval": [_interval(line) for line in lines],
            "detectable": [_points(line["ours_detectable"]) for line in lines],
            "by our numbers": frame["ours_status"],
            "seeds needed": [_seeds(line) for line in lines],
        }
    )
    against = shown[frame["published_status"] == "fails"]
    contradictions = [
        f"- Claim {line['Claim']}: {line['Comparison']} (Table {line['Table']}), {line['quantity']}: the text says "
        f"{line['claimed']}, the printed numbers give {line['printed']}{'' if pd.isna(note) else f'; {note}'}."
        for line, note in zip(against.to_dict("records"), frame.loc[against.index, "note"], strict=True)
    ]
    studies = study_in_words(in_study or {})
    sections = [
        "# The paper's claims",
        f"Each claim in the paper's text, checked against the numbers printed in the {edition.name} edition and "
        "against ours.",
        f"{claims_in_words(claims, frame)}.",
        *("\n".join([about, "", *(f"- {sentence}" for sentence in told)]) for about, told in studies.items()),
        claims_overview(claims, frame),
        "**By printed numbers** tells whether the paper's own tables support its text, and nothing about whether those "
        "numbers can be reproduced; **by our numbers** does.",
        f"All tests are one-sided, at {50 * LEVEL:g} %. A threshold *holds* if the difference is significantly "
        "beyond it, and *fails* if it is significantly short of it. A value, or a range without zero, *holds* if the "
        "difference has the claimed sign, significantly, and does not contradict the value; it *fails* if the sign is "
        "significantly the opposite, or the value is contradicted. *Little* holds only if the difference is "
        "significantly inside the stated range, never if its interval is wider than that. Everything else is *too "
        "close to tell*. *Untested* means that a number is missing. A claim holds if all its comparisons do, and fails "
        "if one fails after Holm's correction for their number.",
        f"± is the {STANDARD_ERROR}; that of a difference has two parts. *Seeds*: for an accuracy trained once, such "
        f"as each printed one, the standard deviation between seeds is taken to be {SEED_STD_PCT} points, as the "
        "differences of MMPretrain's three retrained T2T-ViTs from the authors' suggest ([reported elsewhere]("
        "table_3.md#reported-elsewhere)); for several seeds it is estimated from them, with t quantiles. A "
        "test against a printed value also includes the seeds behind that value. *Images*: paired where the "
        "predictions of both networks are kept; otherwise as if the two had been tested on independent images, which "
        "gives a larger error.",
        "*Detectable* is the smallest difference that a test would have found with a probability of "
        f"{100 * POWER:.0f} %. *Seeds needed* is the number of seeds of each network with which the printed difference "
        f"would be found as often ({DASH}: more than {MOST_SEEDS}, or no accuracies are compared); [another page]"
        "(cost.md) has their cost. Networks trained here are never compared with released weights.",
        "*In the study*, small networks, trained alike, stand in for those of the claim "
        "([protocol](../docs/study.md)). The direction of the difference *agrees* with the paper's, *disagrees*, or "
        f"the study *cannot tell*. *Not yet* means that some networks or seeds have not been trained, and {DASH} that "
        "none of the variants have that the claim is about. The study fills no cell of the tables.",
        "Dead channels are counted over all layers, on each of 256 evenly spaced test images; [Figure 2](figure_2.md) "
        "defines *dead*. The share is the mean over the images; ± covers the images, but not other seeds, of which "
        "nothing is known. Features of a ResNet follow a ReLU and can be exactly zero; those of a ViT are sums along "
        "skip connections and almost never are.",
        *_disagreements(contradictions, edition),
        *([history_section()] if edition == ICCV else []),
        "## Comparisons",
        pipe(shown, text=("Comparison", "Table", "quantity", "by printed numbers", "by our numbers")),
        "Differences are in points, or in M for params; ratios are in %. The same data as CSV: [claims.csv]("
        "claims.csv).",
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


def _interval(line: Mapping[Any, Any]) -> str:
    return DASH if pd.isna(line["ours_low"]) else f"{line['ours_low']:+.2f} to {line['ours_high']:+.2f}"


def _points(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:.2f}"


def _seeds(line: Mapping[Any, Any]) -> str:
    return DASH if pd.isna(line["seeds_needed"]) else str(line["seeds_needed"])


def figure_text(line: Mapping[Any, Any], whose: str, digits: int) -> str:
    """A comparison's value, with its standard error where it has one."""
    value, error = line[whose], line[f"{whose}_std_err"]
    if pd.isna(value):
        return DASH
    text = f"{value:.{digits}f} %" if line["of"] == "ratio" else f"{value:+.{digits}f}"
    text += "" if pd.isna(error) else f" ± {error:.2f}"
    return (
        f"{text} ({line['ours_from']})" if whose == "ours" and line["ours_from"] in ("evaluated", "recorded") else text
    )
