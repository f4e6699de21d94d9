"""Speeds of networks and the rows that show these networks, joined into one DataFrame."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report.evidence import measurement_file, speed_file
from bench.report.inputs import SpeedInputs
from bench.report.pages.claims import accuracy
from bench.results.step_speeds import NetworkSpeed

_OF_A_ROW = {
    "model": "string",
    "tables": "string",
    "curve": "string",
    **dict.fromkeys(("published_top1_pct", "top1_pct", "top1_std_err"), "Float64"),
    "top1_kind": "string",
    **dict.fromkeys(("reported_low_pct", "reported_high_pct"), "Float64"),
}
"""of the tables; missing for a network that no row shows"""

_RATE = ("images_per_s", "images_per_s_low", "images_per_s_high", "gflops", "share_pct", "peak_mb", "load")

SPEED_COLUMNS = {
    **_OF_A_ROW,
    "network": "string",
    "img_size": "Int64",
    **dict.fromkeys(("params_m", "macs_g"), "Float64"),
    "measured_in": "string",
    **dict.fromkeys(("machine", "gpu"), "string"),
    "threads": "Int64",
    **dict.fromkeys(("clock", "versions", "device", "precision"), "string"),
    "compile": "boolean",
    "formulation": "string",
    "batch": "Int64",
    **{
        f"{mode}_{name}": kind
        for mode in ("train", "infer")
        for name, kind in {**dict.fromkeys(_RATE, "Float64"), "rounds": "Int64", "measured_in": "string"}.items()
    },
    "train_saved_mb": "Float64",
    **dict.fromkeys(("latency_ms", "latency_ms_low", "latency_ms_high", "latency_peak_mb", "latency_load"), "Float64"),
    "latency_rounds": "Int64",
    "latency_measured_in": "string",
}
"""of the CSV: a line for each row of the tables, machine, precision and batch. Medians over the rounds, with quartiles
in ``low`` and ``high``; shares are of the machine's own matrix product; files are relative to the report"""


def speed_frame(inputs: SpeedInputs) -> pd.DataFrame:
    """A line for each measured network, once for each row that shows it, by machine and then in the tables' order."""
    rows = _rows(inputs)
    place = {network: i for i, network in enumerate(dict.fromkeys(network for network, _ in rows))}
    lines = list(_lines(inputs))
    lines.sort(
        key=lambda line: (
            _where(line),
            place.get((line["network"], line["img_size"]), len(place)),
            *(line[name] for name in ("network", "img_size", "precision", "compile")),
            line["batch"] or 0,
        )
    )
    joined = [
        {**row, **line}
        for line in lines
        for row in [row for network, row in rows if network == (line["network"], line["img_size"])] or [{}]
    ]
    return pd.DataFrame(joined, columns=list(SPEED_COLUMNS)).astype(SPEED_COLUMNS)


def _rows(inputs: SpeedInputs) -> list[tuple[tuple[str, int], dict[str, object]]]:
    """The rows that tables show, each once, by network and resolution."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, frame in inputs.frames.items():
        for line in frame.to_dict("records"):
            key = (line["network"], line["img_size"], line["model"])
            row = found.setdefault(key, {"model": line["model"], "tables": []})
            row["tables"].append(str(number))
            if pd.isna(row.get("published_top1_pct")):
                top1_pct, std_err, kind = accuracy("top1_pct", line)
                row |= {"top1_pct": top1_pct, "top1_std_err": std_err, "top1_kind": kind or None}
                row |= {n: line[n] for n in ("published_top1_pct", "reported_low_pct", "reported_high_pct")}
    return [
        ((network, size), {**row, "tables": " ".join(dict.fromkeys(row["tables"]))})
        for (network, size, _), row in found.items()
    ]


_Speeds = Mapping[str, NetworkSpeed]
"""of one network on one machine, by mode"""


def _lines(inputs: SpeedInputs) -> Iterator[dict[str, Any]]:
    """The numbers of each network, machine, precision and batch."""
    alike: dict[object, list[NetworkSpeed]] = {}
    for one in inputs.speeds:
        case = one.measured.case
        alike.setdefault((case.network, one.setting.where, case.precision, case.compile), []).append(one)
    for speeds in alike.values():
        latency: dict[str, NetworkSpeed] = {}
        by_batch: dict[int | None, dict[str, NetworkSpeed]] = {}
        for one in speeds:
            case = one.measured.case
            if case.is_latency:
                latency["latency"] = one
            else:
                by_batch.setdefault(case.batch, {})[case.mode] = one
        for batch, modes in (by_batch or {None: {}}).items():
            yield {**_line(inputs, modes | latency), "batch": batch}


def _line(inputs: SpeedInputs, speeds: _Speeds) -> dict[str, Any]:
    any_one = next(iter(speeds.values()))
    case, setting = any_one.measured.case, any_one.setting
    counts = inputs.measurements.get(case.network)
    versions = dict.fromkeys(", ".join(map(" ".join, one.setting.versions.items())) for one in speeds.values())
    line: dict[str, Any] = {
        "network": str(case.network),
        "img_size": case.img_size,
        "params_m": counts.params / 1e6 if counts else None,
        "macs_g": counts.macs / 1e9 if counts else None,
        "measured_in": measurement_file(case.network) if counts else None,
        "machine": setting.machine,
        "gpu": setting.gpu or None,
        "threads": setting.threads,
        "clock": setting.clock,
        "versions": "; ".join(versions),
        "device": case.device,
        "precision": case.precision,
        "compile": case.compile,
        "formulation": any_one.measured.formulation,
    }
    for mode, one in speeds.items():
        line |= {f"{mode}_{name}": value for name, value in (_latency if mode == "latency" else _rate)(one).items()}
    if "train" in speeds:
        line["train_saved_mb"] = _mega(speeds["train"].measured.ours.saved_bytes)
    return line


def _rate(one: NetworkSpeed) -> dict[str, object]:
    found = one.measured
    rate, (low, _, high) = (
        found.images_per_s(found.ours),
        _quartiles([found.case.batch / s for s in found.ours.seconds]),
    )
    gflops = found.gflops(found.ours)
    return {
        "images_per_s": rate,
        "images_per_s_low": low,
        "images_per_s_high": high,
        "gflops": gflops,
        "share_pct": 100 * gflops / found.matrix_gflops,
        **_around(one),
    }


def _latency(one: NetworkSpeed) -> dict[str, object]:
    low, median, high = _quartiles([1000 * s for s in one.measured.ours.seconds])
    return {"ms": median, "ms_low": low, "ms_high": high, **_around(one)}


def _around(one: NetworkSpeed) -> dict[str, object]:
    found = one.measured
    return {
        "peak_mb": _mega(found.ours.peak_bytes),
        "load": found.load,
        "rounds": len(found.ours.seconds),
        "measured_in": speed_file(one),
    }


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, median, high = statistics.quantiles(values if len(values) > 1 else [*values] * 2, method="inclusive")
    return low, median, high


def _mega(count: int | None) -> float | None:
    return None if count is None else count / 1e6


def _where(line: Mapping[str, Any]) -> tuple[str, ...]:
    """Sort key of a machine: its CPU comes before its GPU."""
    return (line["gpu"] or "", line["machine"], str(line["threads"]), line["clock"])
