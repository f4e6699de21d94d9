"""The sections of a table's page on accuracies: trained, evaluated or recorded here, and reported elsewhere."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bench.experiments.suites import Entry
from bench.paper.recorded import WHY_THESE_WEIGHTS
from bench.report.evidence import LISTED_SEEDS, link
from bench.report.frame import evaluations_frame, reported_for, runs_frame, that_start_whole
from bench.report.inputs import TableInputs
from bench.report.pages.runs import PROTOCOLS, list_of_runs
from bench.report.text import DASH, code, escape, percent, pipe_rows, printed, with_error
from bench.results.record import RunRecord
from bench.spec.table import ACCURACY_CELLS, Reported

_SHOWN = (
    " The table shows *best EMA*, or *best raw* where a recipe averages no weights: the mean over the n seeds that "
    "were completed on the whole data set."
)


def trained(inputs: TableInputs) -> list[str]:
    """The runs behind our accuracies, and why some fill no cell."""
    records = inputs.found.records
    entries = [
        Entry(row=row.name if spec is row.run else f"{row.name}, {spec.dataset}", spec=spec)
        for row in inputs.table.rows
        for spec in row.runs
        if records.get(spec.run_id)
    ]
    if not entries:
        return []
    partial = [
        f"{escape(entry.row)} ({code(record.run_id)}) {why}, so it fills no cell."
        for entry in entries
        for record in records[entry.spec.run_id][:LISTED_SEEDS]
        if (why := _why_not_whole(record))
    ]
    frame = runs_frame(entries, records)
    notes = [PROTOCOLS + _SHOWN + _deviations(inputs.frame), *partial, *_unfounded(inputs)]
    return ["\n\n".join(["## Trained here", *list_of_runs(frame), *notes])]


def _deviations(frame: pd.DataFrame) -> str:
    """A sentence on the standard deviation over the seeds of each accuracy that has several."""
    found = [
        f"{escape(line['model'])}{f' on {cell.dataset}' if cell.dataset else ''} {line[cell.trained('top1_std')]:.2f}"
        for cell in ACCURACY_CELLS
        for line in frame.to_dict("records")
        if not pd.isna(line[cell.trained("top1_std")])
    ]
    return f" Sample standard deviations over the seeds: {', '.join(found)}." if found else ""


def _why_not_whole(record: RunRecord) -> str:
    """The reason why a completed run's accuracy is not the row's; empty if it is."""
    if record.status != "completed" or record.is_whole:
        return ""
    return f"was trained on {record.data.get('train_images'):,} images, not on the complete data set"


def _unfounded(inputs: TableInputs) -> list[str]:
    """A line on each completed fine-tuning whose starting weights fill no cell."""
    found = inputs.found
    lines = []
    for row in inputs.table.rows:
        for spec in row.transfers:
            whole = {record.run_id for record in that_start_whole(row, spec, found)}
            for record in found.records.get(spec.run_id, ())[:LISTED_SEEDS]:
                if record.is_whole and record.run_id not in whole:
                    remedy = " Evaluating them on all of ImageNet with `evaluate` may change that."
                    lines.append(
                        f"{escape(row.name)}, {spec.dataset} ({code(record.run_id)}) was fine-tuned from weights that "
                        f"fill no cell, so it fills none either.{remedy if 'weights' in record.spec else ''}"
                    )
    return lines


EVALUATED = (
    "These are released weights: they were evaluated here, not trained here. If the same network was also trained "
    "here, its own accuracy fills the cell instead."
)


def evaluated(inputs: TableInputs) -> list[str]:
    """The evaluations of released weights, and why some fill no cell."""
    frame = evaluations_frame(inputs.table, inputs.edition, inputs.found.evaluations)
    if frame.empty:
        return []
    lines = frame.to_dict("records")
    shown = pd.DataFrame(
        {
            "Model": frame["model"],
            "data set": frame["dataset"],
            "file": [link(code(line["file"]), line["evidence"]) for line in lines],
            "sha256": [code(line["sha256"][:12]) for line in lines],
            "key": [DASH if pd.isna(key) else code(key) for key in frame["key"]],
            "images": [f"{line['images']:,} of {line['expected_images']:,}" for line in lines],
            "top-1 %": [with_error(line["top1_pct"], line["top1_std_err"]) for line in lines],
            "printed": frame["published_top1_pct"].map(printed),
            "difference": [DASH if pd.isna(d) else f"{d:+z.2f}" for d in frame["difference_pct"]],
            "top-5 %": frame["top5_pct"].map(percent),
            **({"ReaL %": frame["real_pct"].map(percent)} if frame["real_pct"].notna().any() else {}),
            "protocol": [
                f"{line['img_size']} px, crop {line['crop_pct']:g}, {line['eval_interpolation']}, {line['precision']}"
                for line in lines
            ],
        }
    )
    notes = [
        f"{escape(line['model'])}, {escape(line['dataset'])} ({code(line['file'])}): {escape(note)}."
        for line in lines
        for note in _notes(line)
    ]
    text = f"{EVALUATED} {REAL_LABELS}" if "ReaL %" in shown else EVALUATED
    return ["\n\n".join(["## Evaluated here", pipe_rows(shown), text, *notes])]


def _notes(line: Mapping[Any, Any]) -> Iterator[str]:
    if line["found_by"] == "content":
        yield f"recognized as {line['released']} by its content, not by its name"
    if not pd.isna(line["published_elsewhere"]):
        yield f"printed as {line['published_elsewhere']}"
    if not pd.isna(line["resized"]):
        yield f"fills no cell: {line['resized']} resized to {line['img_size']} px, unlike the weights as released"
    if line["images"] < line["expected_images"]:
        failed = f"; {line['unreadable']} failed to load" if line["unreadable"] else ""
        yield f"fills no cell: it covers {line['images']:,} of {line['expected_images']:,} images{failed}"


REAL_LABELS = "*ReaL* is the accuracy on reassessed labels (Beyer et al., arXiv 2006.07159) of images that have any."

RECORDED = (
    "Others published the class that these weights predict for each of the 50,000 validation images; the accuracies "
    f"were computed here from their files. {REAL_LABELS} The sha256 of the source is the one stated for the published "
    "file; the other was computed here over the predictions (int16, little-endian, in the order of the image files)."
)


def recorded(inputs: TableInputs) -> list[str]:
    """Accuracies worked out from predictions that others published."""
    frame = inputs.frame[inputs.frame["recorded_top1_pct"].notna()]
    if frame.empty:
        return []
    lines = frame.to_dict("records")
    difference = frame["recorded_top1_pct"] - frame["published_top1_pct"]
    shown = pd.DataFrame(
        {
            "Model": frame["model"],
            "weights": [code(line["recorded_weights"]) for line in lines],
            "top-1 %": [with_error(line["recorded_top1_pct"], line["recorded_std_err"]) for line in lines],
            "printed": frame["published_top1_pct"].map(printed),
            "difference": [DASH if pd.isna(d) else f"{d:+z.2f}" for d in difference],
            "top-5 %": frame["recorded_top5_pct"].map(percent),
            "ReaL %": frame["recorded_real_pct"].map(percent),
            "source": [DASH if pd.isna(line["recorded_source"]) else escape(line["recorded_source"]) for line in lines],
            "sha256 of the source": [_sha256(line["recorded_source_sha256"]) for line in lines],
            "sha256 here": [_sha256(line["recorded_sha256"]) for line in lines],
            "evidence": [link("counts", line["recorded_evidence"]) for line in lines],
        }
    )
    rows = inputs.table.rows_in(inputs.edition)
    reasons = [(rows[i], WHY_THESE_WEIGHTS.get(rows[i].network)) for i in frame.index]
    notes = [f"{escape(row.name)}: {reason}." for row, reason in reasons if reason]
    return ["\n\n".join(["## Recorded predictions", pipe_rows(shown), RECORDED, *notes])]


def _sha256(value: str) -> str:
    return DASH if pd.isna(value) else code(value[:12])


def reported(inputs: TableInputs) -> list[str]:
    """Accuracies that others reported, with their sources."""
    rows = {row.name: cited for row in inputs.table.rows_in(inputs.edition) if (cited := reported_for(row))}
    if not rows or inputs.frame["published_top1_pct"].isna().all():
        return []
    lines = [f"- {escape(name)}: {', '.join(map(_cited, cited))}" for name, cited in rows.items()]
    text = (
        "Top-1 in % as others report it, of the row's released weights or of networks that they *retrained* "
        "themselves. These are citations: none was measured here, and none fills a cell."
    )
    return ["\n\n".join(["## Reported elsewhere", text, "\n".join(lines)])]


def _cited(one: Reported) -> str:
    digits = 2 if round(one.top1_pct, 2) == one.top1_pct else 3
    return f"{one.top1_pct:.{digits}f}{' retrained' if one.retrained else ''} ([{one.by}]({one.source}))"
