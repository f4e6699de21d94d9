"""Each number of a report, followed to its evidence: by its page's links and CSV to the files, and worked out again.

What follows here reads the files of ``reports/evidence/`` as plain JSON and knows nothing of the code that wrote the
pages. A column that nobody follows fails.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import statistics
from pathlib import Path
from urllib.parse import unquote

import pytest

import bench.cli.index_report
from bench.cli import loading, main
from bench.cli.index_report import report_index
from bench.cli.output import read_reports, write_report
from bench.cli.parser import Output
from bench.cli.selection import Selection
from bench.cli.suite_report import report_budgets
from bench.experiments.budgets import SUITES
from bench.measure.collect import collect
from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.paper.recorded import weights_of
from bench.paper.released import RELEASED
from bench.paper.reported import REPORTED
from bench.report import evidence_files
from bench.report.counting import SHOWN
from bench.report.html.page import html_page
from bench.report.inputs import table_inputs
from bench.report.remembered import MEMORY
from bench.results.codec import sealed, unsealed
from bench.results.run_folder import RunRecords
from bench.results.store import complexity_path, save_complexity, save_evaluation, save_speed
from bench.spec.errors import RequestError
from bench.spec.gpus import PEAK_TFLOPS
from bench.spec.table import STRUCTURE
from tests.conftest import ROOT, collected, complexity, lines_of, made_up_speeds
from tests.report.test_frame import evaluation, over_seeds, trained

NUMBER = re.compile(r"(?<![\w.-])[-+]?\d[\d,]*(?:\.\d+)?(?!\w)")


def read(path):
    """A file of evidence, whose checksum holds."""
    return unsealed(path.read_text())


def tables_of(page):
    """The pipe tables of a page: for each a list of rows, by column."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", page.read_text(), re.MULTILINE):
        lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        found.append([dict(zip(lines[0], line, strict=True)) for line in lines[2:]])
    return found


def rows_of(path):
    return lines_of(path, empty=None)


def shows(cell, *values):
    """Whether a cell holds these values and no other number, each at the digits that it is shown with."""
    plain = re.sub(r"\]\([^)]*\)", "]", cell).replace("n=", "")
    numbers = NUMBER.findall(plain)
    expected = [value for value in values if value is not None]
    return len(numbers) == len(expected) and all(
        abs(float(text.replace(",", "")) - float(value)) <= 0.5000001 * 10 ** -len(text.partition(".")[2])
        for text, value in zip(numbers, expected, strict=True)
    )


def test_a_cell_that_shows_something_else_would_be_noticed():
    assert shows("81.46 ± 0.12 (n=3)", 81.461, 0.119, 3)
    assert not shows("81.46 ± 0.12 (n=3)", 81.47, 0.119, 3)
    assert not shows("81.46", 81.46, 3)
    assert shows("[2026](evidence/a-1.json)", 2026)
    assert shows("-")
    assert shows("T2T-ViT-14, -0.188", -0.1875)


# What each number of a table's CSV is made of.


def accuracy(reports, run_ids):
    """The paper's protocol over the runs: each one's best epoch, of the averaged weights where there are any."""
    paths = [reports / "evidence" / run_id / "record.json" for run_id in run_ids.split()]
    records = [read(path) for path in paths]
    assert all(record["status"] == "completed" and record["data"]["complete"] for record in records)
    best = [r["results"].get("ema_best_top1_pct", r["results"].get("raw_best_top1_pct")) for r in records]
    last = [r["results"].get("ema_last_top1_pct", r["results"].get("raw_last_top1_pct")) for r in records]
    return {
        "pct": statistics.fmean(best),
        "std": statistics.stdev(best) if len(best) > 1 else None,
        "std_err": statistics.stdev(best) / len(best) ** 0.5 if len(best) > 1 else None,
        "last": statistics.fmean(last),
        "seeds": len(records),
    }


def expected_line(reports, row, line):
    """Every number that the CSV should hold of a row."""
    printed = row.printed(ICCV)[0]
    values = {f"published_{cell}": getattr(printed, cell) for cell in _PRINTED} | {"img_size": row.network.img_size}
    values |= expected_of_others(reports, row, line)
    if line["measured_in"]:
        found = read(reports / line["measured_in"])
        assert found["network"]["model"] == row.network.model
        assert line["measured_on"] == found["measured_at"][:10]
        assert {column: printed.structure.get(column) for column in STRUCTURE} == {
            column: line[f"published_{column}"] for column in STRUCTURE
        }
        shown = [column for column in STRUCTURE if column in line]
        assert {column: found["structure"].get(column) for column in shown} == {c: line[c] for c in shown}
        assert {column for column, text in printed.structure.items() if text} <= set(shown)
        values |= {"params_m": found["params"] / 1e6, "trainable_params_m": found["trainable_params"] / 1e6}
        values |= {f"{name}_g": found[name] / 1e9 for name in ("macs", "linear_macs", "torch_macs")}
        for name, unit in (("params", "m"), ("macs", "g")):
            if (figure := values[f"published_{name}_{unit}"]) is not None:
                values[f"{name}_difference_pct"] = 100 * (values[f"{name}_{unit}"] - figure) / figure
    for name, pct, std, count in (
        ("", "top1_pct", "top1_std", "seeds"),
        ("cifar10_", "cifar10_pct", "cifar10_std", "cifar10_seeds"),
        ("cifar100_", "cifar100_pct", "cifar100_std", "cifar100_seeds"),
    ):
        own = f"{name}evaluated_top1_pct" if not name else f"{name}evaluated_pct"
        if file := line[f"{name}evaluated_evidence"]:
            found = read(reports / file)
            assert found["spec"]["sha256"] == line[f"{name}evaluated_sha256"]
            images, share = found["images"], found["top1_hits"] / found["images"]
            values |= {own: 100 * share, f"{name}evaluated_std_err": 100 * (share * (1 - share) / images) ** 0.5}
            values |= {f"{name}evaluated_images": images, pct: 100 * share}
            if not name and found.get("real_hits") is not None:
                real = 100 * found["real_hits"] / found["real_images"]
                values |= {"evaluated_real_pct": real, "real_pct": None if line["run_ids"] else real}
        if line[f"{name}run_ids"]:
            found = accuracy(reports, line[f"{name}run_ids"])
            values |= {pct: found["pct"], std: found["std"], count: found["seeds"]}
            values |= {f"{std}_err": found["std_err"]}
            values |= {} if name else {"top1_last_pct": found["last"]}
    return values


def expected_of_others(reports, row, line):
    """Every number that the CSV should hold of predictions and accuracies that others published."""
    values = {}
    weights = weights_of(row)
    if file := line["recorded_evidence"]:
        (one,) = (one for one in read(reports / file)["networks"] if one["sha256"] == line["recorded_sha256"])
        assert one["weights"] == line["recorded_weights"] in (weights.tag, *weights.files)
        assert (one["source"], one["source_sha256"]) == (line["recorded_source"], line["recorded_source_sha256"])
        share = one["top1_hits"] / one["images"]
        values |= {"recorded_top1_pct": 100 * share, "recorded_images": 50_000, "top1_pct": 100 * share}
        values |= {"recorded_std_err": 100 * (share * (1 - share) / 50_000) ** 0.5}
        top5, real = one.get("top5_hits"), one.get("real_hits")
        values |= {"recorded_top5_pct": None if top5 is None else top5 / 500}
        values |= {"recorded_real_pct": None if real is None else 100 * real / one["real_images"]}
        if not line["evaluated_real_pct"]:
            values |= {"real_pct": None if line["run_ids"] else values["recorded_real_pct"]}
    if cited := weights and REPORTED.get(weights.name):
        of_released = [one.top1_pct for one in cited if not one.retrained]
        values |= {"reported_low_pct": min(of_released), "reported_high_pct": max(of_released)}
    return values


_PRINTED = ("top1_pct", "cifar10_pct", "cifar100_pct", "params_m", "macs_g")
_CHANGES = ("published_change_pct", "change_pct")  # made of other rows: followed on their own
_FILES = ("measured_in", "evaluated_evidence", "cifar10_evaluated_evidence", "cifar100_evaluated_evidence")


def is_number(text):
    try:
        float(text)
        return True
    except (TypeError, ValueError):
        return False


def follow_table_csv(reports, number):
    rows, lines = TABLES[number].rows_in(ICCV), rows_of(reports / f"table_{number}.csv")
    followed = 0
    for row, line in zip(rows, lines, strict=True):
        assert line["model"] == row.name
        expected = expected_line(reports, row, line)
        texts = {f"{whose}{column}" for whose in ("published_", "") for column in STRUCTURE}
        for column, text in line.items():
            if is_number(text) and column not in (*texts, *_CHANGES):
                assert float(text) == pytest.approx(expected[column], abs=1e-9), (row.name, column)
                followed += 1
        missing = [name for name, value in expected.items() if value is not None and line[name] is None]
        assert not missing, (row.name, missing)
    for own, top1 in (("change_pct", "top1_pct"), ("published_change_pct", "published_top1_pct")):
        baselines = {line["group"]: line for line in lines if line["baseline"] == "True"}
        for row, line in zip(rows, lines, strict=True):
            if line[own] is not None:
                against = baselines[line["group"]]
                printed = row.printed(ICCV)[0].change_pct if own.startswith("published") else None
                one, other = line[top1], against[top1]
                if own == "change_pct" and not (line["seeds"] and against["seeds"]):
                    one, other = line["evaluated_top1_pct"], against["evaluated_top1_pct"]
                change = printed if printed is not None else float(one) - float(other)
                assert float(line[own]) == pytest.approx(change, abs=1e-9)
    return followed


# Which columns of the CSV a column of a page shows, and in which unit.

_ACCURACY = {
    f"{label}: ours": (pct, of_seeds, seeds, of_images)
    for label, pct, of_seeds, seeds, of_images in (
        ("Top-1 %", "top1_pct", "top1_std_err", "seeds", "evaluated_std_err"),
        ("CIFAR-10 %", "cifar10_pct", "cifar10_std_err", "cifar10_seeds", "cifar10_evaluated_std_err"),
        ("CIFAR-100 %", "cifar100_pct", "cifar100_std_err", "cifar100_seeds", "cifar100_evaluated_std_err"),
    )
}
_COLUMNS = {
    "Top-1 %: paper": ("published_top1_pct", 1),
    "CIFAR-10 %: paper": ("published_cifar10_pct", 1),
    "CIFAR-100 %: paper": ("published_cifar100_pct", 1),
    "ReaL %: ours": ("real_pct", 1),
    "Change: paper": ("published_change_pct", 1),
    "Change: ours": ("change_pct", 1),
    "Params M: paper": ("published_params_m", 1),
    "Params M: ours": ("params_m", 1),
    "Params: difference": ("params_difference_pct", 1),
    "MACs G: paper": ("published_macs_g", 1),
    "MACs G: ours": ("macs_g", 1),
    "MACs: difference": ("macs_difference_pct", 1),
    "px": ("img_size", 1),
    "params": ("params_m", 1e6),
    "trainable": ("trainable_params_m", 1e6),
    "MACs": ("macs_g", 1e9),
    "linear and convolution only": ("linear_macs_g", 1e9),
    "torch's counter": ("torch_macs_g", 1e9),
}
_REPORTED = ("reported_low_pct", "reported_high_pct")
_STRUCTURE = {"T2T layer": "tokens", "Depth": "depth", "Hidden": "hidden", "MLP": "mlp"}
_TEXT = ("Group", "Model", "network", "recipe of the printed top-1", "Params: verdict", "MACs: verdict")


def follow_row(cells, line):
    """One row of a page's table, on the line of the CSV."""
    for column, cell in cells.items():
        label, _, whose = column.partition(": ")
        if column in _ACCURACY:
            pct, of_seeds, seeds, of_images = (line[name] for name in _ACCURACY[column])
            of_images = of_images or (line["recorded_std_err"] if column.startswith("Top-1") else None)
            assert shows(cell, pct, *((of_seeds, seeds) if seeds else (of_images,))), (line["model"], column, cell)
        elif column == "Top-1 %: reported elsewhere":
            ends = dict.fromkeys(f"{float(line[name]):.2f}" for name in _REPORTED if line[name])
            assert cell == (" to ".join(ends) or "-"), (line["model"], cell)
        elif column in _COLUMNS:
            name, unit = _COLUMNS[column]
            value = None if line[name] is None else float(line[name]) * unit
            assert cell == "baseline" or shows(cell, value), (line["model"], column, cell)
        elif label in _STRUCTURE:
            prefix = "published_" if whose == "paper" else ""
            assert cell in (line[prefix + _STRUCTURE[label]], "-"), (line["model"], column)
        elif column == "evidence":
            assert cell == f"[{line['measured_on']}]({line['measured_in']})", (line["model"], cell)
        else:
            assert column in _TEXT, f"nobody follows {column!r}"


def follow_run(reports, cells):
    """One run of a page, to its record."""
    run_id, file = re.fullmatch(r"\[`(.+)`\]\((.+)\)", cells["run"]).groups()
    path = reports / file
    record = read(path)
    assert (record["run_id"], path.parent.name) == (run_id, run_id)
    results, data = record["results"], record["data"]
    expected = {
        "seed": record["spec"]["seed"],
        "images, train": data.get("train_images"),
        "val": data.get("val_images"),
        "best EMA top-1 %": results.get("ema_best_top1_pct"),
        "last EMA": results.get("ema_last_top1_pct"),
        "best raw": results.get("raw_best_top1_pct"),
        "last raw": results.get("raw_last_top1_pct"),
        "held out": results.get("held_out_ema_last_top1_pct", results.get("held_out_raw_last_top1_pct")),
        "images/s, last epoch": record["images_per_s"],
        "minutes": record["wall_time_s"] / 60,
    }
    for column, cell in cells.items():
        if column in expected:
            assert shows(cell, expected[column]), (run_id, column, cell)
        elif column == "starts from":
            weights = record["spec"].get("weights")
            assert cell.strip("`") == record["spec"].get("start_from", f"sha256 {weights}" if weights else "-")
        else:
            assert column in ("Model", "status", "where", "teacher", "run", "data set"), f"nobody follows {column!r}"


def follow_evaluation(reports, number, cells):
    """One evaluation of a table's page, to its file."""
    name, file = re.fullmatch(r"\[`(.+)`\]\((.+)\)", cells["file"]).groups()
    found = read(reports / file)
    spec, share = found["spec"], found["top1_hits"] / found["images"]
    whole = {"imagenet": 50_000, "cifar10": 10_000, "cifar100": 10_000}[spec["dataset"]]
    assert (found["file"], cells["sha256"]) == (name, f"`{spec['sha256'][:12]}`")
    assert shows(cells["images"], found["images"], whole)
    assert shows(cells["top-1 %"], 100 * share, 100 * (share * (1 - share) / found["images"]) ** 0.5)
    assert shows(cells["top-5 %"], 100 * found["top5_hits"] / found["images"])
    printed = next(
        getattr(row.printed(ICCV)[0], "top1_pct" if run is row.run else f"{run.dataset}_pct")
        for row in TABLES[number].rows_in(ICCV)
        for run in row.runs
        if run in RELEASED and RELEASED[run].name == spec["released"]
    )
    assert shows(cells["printed"], printed)
    assert shows(cells["difference"], None if printed is None else 100 * share - printed)
    assert shows(cells["protocol"], spec["network"]["img_size"], spec["crop_pct"])
    if "ReaL %" in cells:
        real = found.get("real_hits")
        assert shows(cells["ReaL %"], None if real is None else 100 * real / found["real_images"])
    known = ("Model", "data set", "file", "sha256", "key", "images", "top-1 %", "printed", "difference", "top-5 %")
    assert set(cells) - {"ReaL %"} == {*known, "protocol"}


def follow_recorded(cells, line):
    """One network with recorded predictions, on the line of the CSV."""
    recorded = {name.removeprefix("recorded_"): value for name, value in line.items() if name.startswith("recorded_")}
    printed, top1 = line["published_top1_pct"], recorded["top1_pct"]
    assert shows(cells["top-1 %"], top1, recorded["std_err"])
    assert shows(cells["printed"], printed)
    assert shows(cells["difference"], float(top1) - float(printed))
    assert shows(cells["top-5 %"], recorded["top5_pct"])
    assert shows(cells["ReaL %"], recorded["real_pct"])
    assert cells["weights"] == f"`{recorded['weights']}`"
    assert cells["source"] == recorded["source"]
    assert cells["sha256 of the source"] == f"`{recorded['source_sha256'][:12]}`"
    assert cells["sha256 here"] == f"`{recorded['sha256'][:12]}`"
    assert cells["evidence"] == f"[counts]({recorded['evidence']})"


def follow_table_page(reports, number):
    lines = rows_of(reports / f"table_{number}.csv")
    for table in tables_of(reports / f"table_{number}.md"):
        if "run" in table[0]:
            for cells in table:
                follow_run(reports, cells)
        elif "file" in table[0]:
            for cells in table:
                follow_evaluation(reports, number, cells)
        elif "weights" in table[0]:
            recorded = [line for line in lines if line["recorded_evidence"]]
            for cells, line in zip(table, recorded, strict=True):
                assert cells["Model"].replace("\\", "") == line["model"]
                follow_recorded(cells, line)
        else:
            for cells, line in zip(table, lines, strict=True):
                assert cells["Model"].replace("\\", "") == line["model"]
                follow_row(cells, line)


def compared(line, cells, cell):
    """Difference of two rows, ours from the same source on both sides."""
    one, other = cells
    if cell.endswith("_pct"):
        name = cell.removesuffix("_pct")
        seeds = "seeds" if name == "top1" else f"{name}_seeds"
        if not (one[seeds] and other[seeds]):
            own = "evaluated_top1_pct" if name == "top1" else f"{name}_evaluated_pct"
            one, other = ({cell: each[own]} for each in cells)
    if one[cell] is None or other[cell] is None:
        return None
    a, b = float(one[cell]), float(other[cell])
    return 100 * a / b if line.get("of") == "ratio" else a - b


def follow_comparisons(reports, name, columns):
    """A page of comparisons: each value from the two rows that it is of."""
    tables = {number: {line["model"]: line for line in rows_of(reports / f"table_{number}.csv")} for number in TABLES}
    lines = rows_of(reports / f"{name}.csv")
    shown = next(table for table in tables_of(reports / f"{name}.md") if "Table" in table[0])
    followed = 0
    for line, cells in zip(lines, shown, strict=True):
        if line["table"] is None:
            assert [cells[column] for column in ("printed", "ours")] == ["-", "-"]
            continue
        cell = line.get("cell") or "top1_pct"
        rows = [tables[int(line["table"])][line[column]] for column in columns]
        printed, ours = both_compared(line, rows, cell)
        if line.get("less"):
            rows = [tables[int(line["table"])][line[column]] for column in ("less", "less_against")]
            off = both_compared(line, rows, cell)
            printed, ours = (None if None in two else two[0] - two[1] for two in zip((printed, ours), off, strict=True))
        for whose, value in (("published", printed), ("ours", ours)):
            assert (line[whose] is None) == (value is None)
            if value is not None:
                assert float(line[whose]) == pytest.approx(value, abs=1e-8)
                followed += 1
            page = "printed" if whose == "published" else "ours"
            assert shows(cells[page], line[whose], line[f"{whose}_std_err"]), (line, cells[page])
        assert cells["Table"] == f"[{line['table']}](table_{line['table']}.md)"
    return followed


def both_compared(line, rows, cell):
    """Two rows, by what is printed and by ours."""
    printed = compared(line, [{"seeds": 1, cell: row[f"published_{cell}"], **_COUNTED} for row in rows], cell)
    return printed, compared(line, rows, cell)


_COUNTED = {"cifar10_seeds": 1, "cifar100_seeds": 1}


def follow_counting(reports):
    page = reports / "counting.md"
    (table,) = tables_of(page)
    for name, network in SHOWN.items():
        file = complexity_path(Path("evidence"), network).as_posix()
        assert f"[{name}]({file})" in page.read_text()
        found = read(reports / file)
        by_operator = found["macs_by_operator"]
        expected = [
            found["macs"],
            found["macs"] - by_operator.get("scaled_dot_product_attention", 0),
            found["linear_macs"],
            found["torch_macs"],
            found["macs"] + by_operator.get("batch_norm", 0) * 3 / 2,
        ]
        for cells, value in zip(table, expected, strict=True):
            assert shows(cells[name], value / 1e9), (name, cells)


def gpu_speed(reports, model, img_size):
    """Images per second and GPU of the run of a network at a resolution that was trained on one; None without any."""
    records = [read(path) for path in sorted((reports / "evidence").glob("*/record.json"))]
    found = {
        one["images_per_s"] / max(1, one["world_size"])
        for one in records
        if (one["spec"]["model"], one["spec"]["img_size"], one["spec"].get("teacher")) == (model, img_size, None)
        and one["device"] not in ("", "cpu")
        and one["images_per_s"]
    }
    assert len(found) < 2
    return found.pop() if found else None


def follow_cost(reports):
    """The cost of the claims: each run from a GPU's speed or its network's MACs, each sum from the runs."""
    lines, claims = rows_of(reports / "cost.csv"), rows_of(reports / "claims.csv")
    by_claim, by_gpu, runs, studies = tables_of(reports / "cost.md")
    specs = {run.run_id: run for table in TABLES.values() for row in table.rows_in(ICCV) for run in row.runs}
    hours, seeds, measured_speeds = {}, {}, {}
    for line, cells in zip(lines, runs, strict=True):
        spec, run_id = specs[line["run_id"]], line["run_id"]
        images = {"imagenet": 1_281_167, "cifar10": 50_000, "cifar100": 50_000}[line["dataset"]]
        epochs = spec.recipe.epochs + spec.recipe.cooldown_epochs
        macs = read(reports / line["measured_in"])["macs"]
        measured = gpu_speed(reports, line["network"], int(line["img_size"]))
        measured_speeds |= {run_id: measured} if measured else {}
        assert line["speed_from"].startswith("measured on" if measured else "scaled by MACs")
        hours[run_id] = epochs * images / (measured or 13.3e12 / (3 * macs)) / 3600
        assert float(line["gpu_hours_per_run"]) == pytest.approx(hours[run_id])
        assert shows(cells["GPU hours a run"], hours[run_id])
        count = line["seeds_needed"]
        assert shows(cells["seeds needed"], count)
        own = seeds.setdefault(line["claim"], {})
        own[run_id] = int(count or 0)
        assert (line["gpu_hours"] is None) == (count is None)
        assert shows(cells["GPU hours"], own[run_id] * hours[run_id] or None)
        assert cells["Network"] == f"[`{line['network']}`]({line['measured_in']})"
        assert [cells[name].strip("`") for name in ("Claim", "px", "data set", "recipe")] == [
            line[name] for name in ("claim", "img_size", "dataset", "recipe")
        ]
    decided, rest = {}, dict.fromkeys(hours, 1)
    *each, total = by_claim
    for cells in each:
        own = seeds[cells[""]]
        accuracies = [
            line["seeds_needed"]
            for line in claims
            if line["claim"] == cells[""] and line["cell"].endswith("_pct") and line["cell"] != "dead_pct"
        ]
        counts = sorted({int(count) for count in accuracies if count})
        assert cells["decidable comparisons"] in (f"{len(list(filter(None, accuracies)))} of {len(accuracies)}", "-")
        assert shows(cells["seeds needed"], *counts)
        assert cells["runs"] == str(len(own))
        assert shows(cells["GPU hours, one seed"], sum(hours[run_id] for run_id in own))
        is_decided = bool(accuracies) and all(accuracies)
        assert shows(cells["GPU hours"], sum(hours[r] * own[r] for r in own) if is_decided else None)
        if is_decided:
            decided |= {run_id: max(decided.get(run_id, 0), count) for run_id, count in own.items()}
    sums = [sum(hours[run_id] * many[run_id] for run_id in many) for many in (rest, decided)]
    assert shows(total["GPU hours, one seed"], sums[0])
    assert shows(total["GPU hours"], sums[1])
    assert total["runs"] == str(len(hours))
    for cells in by_gpu:
        faster = PEAK_TFLOPS[cells["GPU"].lower()] / 125
        for name, many in (("GPU hours, one seed", rest), ("GPU hours", decided)):
            priced = {run_id: hours[run_id] / (1 if run_id in measured_speeds else faster) for run_id in many}
            assert shows(cells[name], sum(priced[run_id] * many[run_id] for run_id in many))
    core = studies[0]  # small: 9 arms and 3 seeds, after a grid of 6 points of half the images for each of 4 families
    assert shows(core["runs"], 9 * 3 + 6 * 4)
    assert shows(core["images"], 45_000 * (9 * 3 * 6 + 6 * 4 * 2 / 2))
    return len(lines)


def follow_figure_1(reports):
    lines = rows_of(reports / "figure_1.csv")
    (table,) = tables_of(reports / "figure_1.md")
    by_number = {number: rows_of(reports / f"table_{number}.csv") for number in (2, 3, 4)}
    for line, cells in zip(lines, table, strict=True):
        (origin,) = [one for one in by_number[int(line["table"])] if one["model"] == line["model"]]
        assert all(origin[name] == value for name, value in line.items() if name not in ("table", "curve"))
        for column in ("Top-1 %: paper", "Params M: ours", "MACs G: ours"):
            assert shows(cells[column], line[_COLUMNS[column][0]])
        assert line["measured_in"] in cells["evidence"]
    assert len(lines) == 26


def follow_loading(reports):
    found = read(reports / "evidence/loading.json")
    page = (reports / "loading.md").read_text()
    photographs, steps, cifar = tables_of(reports / "loading.md")
    first, second = found["photographs"], found["cifar"]
    ratios = _follow_rounds(photographs, first["rounds"], ("timm", "Ours"), "Ratio")
    of_bytes = _follow_rounds(photographs, first["rounds"], ("timm, bytes", "Ours, bytes"), "Ratio, bytes")
    text = re.search(r"Decoding and augmenting .*", page)[0]
    assert shows(text, *_spread(ratios), *_spread(of_bytes)), text
    text = re.search(r"These are .* JPEGs.*", page)[0]
    sizes = (first["files"], first["median_width"], first["median_height"])
    assert shows(text, *sizes, loading.IMG_SIZE, loading.BATCH, first["images"]), text
    compared = first["compared"]
    names = ("decode", "crop", "augment", "finish")
    for cells, name in zip(steps[:-1], names, strict=True):
        assert shows(cells["timm (ms an image)"], compared["timm"][name])
        assert shows(cells["Ours (ms an image)"], compared["ours"][name])
    theirs, ours = (sum(compared[whose][name] for name in names) for whose in ("timm", "ours"))
    assert shows(steps[-1]["timm (ms an image)"], theirs)
    assert shows(steps[-1]["Ours (ms an image)"], ours)
    text = re.search(r"Decoding and RandAugment .*", page)[0]
    alike = 100 * (compared["ours"]["decode"] + compared["ours"]["augment"]) / ours
    differences = (compared["mean_difference"], 255, compared["largest_difference"])
    reduced = (100 * compared["reducible"], loading.IMG_SIZE, compared["reduced_decode"], compared["timm"]["decode"])
    assert shows(text, alike, *differences, *reduced), text
    follow_cifar(cifar, second, page)
    assert all(one["circumstances"]["machine"] in page for one in (first, second))


def follow_cifar(table, found, page):
    ratios = _follow_rounds(table, found["rounds"], ("Image by image", "From memory"), "Ratio")
    assert shows(re.search(r"Loading from memory is .*", page)[0], *_spread(ratios))


def _follow_rounds(table, rounds, columns, ratio):
    """Speeds of each round and their ratio; returns the ratios."""
    keys = {"Ours": "ours", "Ours, bytes": "ours_bytes", "timm, bytes": "timm_bytes", "timm": "timm"} | {
        "Image by image": "one_by_one",
        "From memory": "in_memory",
    }
    ratios = []
    for cells, one in zip(table, rounds, strict=True):
        slow, fast = (one[keys[column]] for column in columns)
        assert shows(cells[columns[0]], slow)
        assert shows(cells[columns[1]], fast)
        assert shows(cells[ratio], fast / slow)
        ratios.append(fast / slow)
    return ratios


def _spread(ratios):
    first, _, third = statistics.quantiles(ratios, n=4, method="inclusive")
    return statistics.median(ratios), len(ratios), first, third


def expected_speeds(reports, line):
    """Every number that the CSV of the speed page should hold of a network's speeds and size."""
    values = {"img_size": int(line["img_size"]), "threads": int(line["threads"]), "batch": line["batch"]}
    if line["measured_in"]:
        counts = read(reports / line["measured_in"])
        values |= {"params_m": counts["params"] / 1e6, "macs_g": counts["macs"] / 1e9}
    for mode in ("train", "infer", "latency"):
        if not (file := line[f"{mode}_measured_in"]):
            continue
        found = read(reports / file)
        setting, one = found["setting"], found["measured"]
        case, ours, seconds = one["case"], one["ours"], one["ours"]["seconds"]
        arguments = ",".join(f"{name}={value}" for name, value in case["model_args"])
        assert line["network"] == case["model"] + (f"({arguments})" if arguments else "")
        assert (case["mode"], str(case["batch"])) == (("infer", "1") if mode == "latency" else (mode, line["batch"]))
        for name in ("img_size", "precision", "device", "compile"):
            assert line[name] == str(case[name])
        for name in ("machine", "threads", "clock", "gpu"):
            assert (line[name] or "") == str(setting[name])
        assert all(f"{name} {number}" in line["versions"] for name, number in setting["versions"].items())
        values |= {f"{mode}_load": one["load"], f"{mode}_rounds": len(seconds)}
        values |= {f"{mode}_peak_mb": ours["peak_bytes"] / 1e6}
        if mode == "latency":
            low, middle, high = quartiles([1000 * s for s in seconds])
            values |= {"latency_ms": middle, "latency_ms_low": low, "latency_ms_high": high}
            continue
        low, _, high = quartiles([case["batch"] / s for s in seconds])
        rate = case["batch"] / statistics.median(seconds)
        gflops = rate * one["macs"] * 2 * (3 if mode == "train" else 1) / 1e9
        values |= {f"{mode}_images_per_s": rate, f"{mode}_images_per_s_low": low, f"{mode}_images_per_s_high": high}
        values |= {f"{mode}_gflops": gflops, f"{mode}_share_pct": 100 * gflops / one["matrix_gflops"]}
        values |= {"train_saved_mb": ours["saved_bytes"] / 1e6} if mode == "train" else {}
    return values


def quartiles(values):
    return statistics.quantiles(values if len(values) > 1 else values * 2, method="inclusive")


def unbeaten_rows(lines, mode):
    """The rows that no other one beats, the fastest first; and how many there are to compare."""
    best = {}
    for line in lines:
        if line["published_top1_pct"] and line[f"{mode}_images_per_s"]:
            speed, top1 = float(line[f"{mode}_images_per_s"]), float(line["published_top1_pct"])
            key = line["model"], line["network"]
            best[key] = max(best.get(key, (0, 0)), (speed, top1))
    every = list(best.values())
    front = [key for key, (s, t) in best.items() if not any(a >= s and b >= t and (a, b) != (s, t) for a, b in every)]
    return sorted((model for model, _ in front), key=lambda m: -max(best[k][0] for k in front if k[0] == m)), len(best)


def follow_speed(reports):
    """The speed page: speeds to the files of their rounds, accuracies to the tables, sentences to the speeds."""
    lines, page = rows_of(reports / "speed.csv"), (reports / "speed.md").read_text()
    printed = {
        (row.name, str(row.network), row.network.img_size): row.printed(ICCV)[0].top1_pct
        for table in TABLES.values()
        for row in table.rows_in(ICCV)
    }
    for line in lines:
        expected = expected_speeds(reports, line)
        if line["model"]:
            number = line["tables"].split()[-1]
            if (reports / f"table_{number}.csv").exists():  # of a page that was not written alone
                origins = [
                    [one[name] for name in _OF_ORIGIN]
                    for one in rows_of(reports / f"table_{number}.csv")
                    if (one["model"], one["network"]) == (line["model"], line["network"])
                ]
                assert [line[name] for name in _OF_ORIGIN] in origins
            top1 = printed[line["model"], line["network"], int(line["img_size"])]
            assert line["published_top1_pct"] == (None if top1 is None else str(top1))
        for column, text in line.items():
            if is_number(text) and column not in _OF_ROWS:
                assert float(text) == pytest.approx(float(expected[column])), (line["network"], column)
    cases = {}
    for line in lines:
        cases.setdefault(tuple(line[name] for name in (*_CASE, "machine", "gpu", "threads", "clock")), line)
    tables = tables_of(reports / "speed.md")
    for kind in ("Training images/s", "Saved MB"):
        shown = [cells for table in tables if kind in table[0] for cells in table]
        for cells, line in zip(shown, cases.values(), strict=True):
            follow_speed_row(cells, line)
    (accuracies,) = [table for table in tables if "Tables" in table[0]] or [[]]
    rows = {(line["model"], line["network"], line["img_size"]): line for line in lines if line["model"]}
    for cells, line in zip(accuracies, rows.values(), strict=True):
        assert cells["Model"].replace("\\", "") == line["model"]
        assert shows(cells["Top-1 %: paper"], line["published_top1_pct"])
        table = reports / f"table_{line['tables'].split()[-1]}.csv"
        if line["top1_pct"]:
            ours = [one for one in rows_of(table) if one["model"] == line["model"]] if table.exists() else []
            (seeds,) = {one["seeds"] for one in ours if one["network"] == line["network"]} or {None}
            assert shows(cells["Top-1 %: ours"], line["top1_pct"], line["top1_std_err"], seeds)
        else:
            assert shows(cells["Top-1 %: ours"])
        assert cells["Tables"] == ", ".join(f"[{n}](table_{n}.md)" for n in line["tables"].split())
    for where in dict.fromkeys((line["machine"], line["gpu"], line["threads"], line["clock"]) for line in lines):
        own = [line for line in lines if (line["machine"], line["gpu"], line["threads"], line["clock"]) == where]
        for mode, words in (("train", "In training"), ("infer", "In inference")):
            front, count = unbeaten_rows(own, mode)
            if count > 1:
                said = re.search(
                    rf"{words}, {len(front)} of {count} rows (?:is|are) unbeaten[^:]*: ([^\n]*?)\.(?: In|\n)", page
                )
                assert said, (words, len(front), count)
                assert re.split(r", | and ", said[1].replace("\\", "")) == front
                index = (reports / "README.md").read_text() if (reports / "README.md").exists() else None
                if index and where == (lines[0]["machine"], lines[0]["gpu"], lines[0]["threads"], lines[0]["clock"]):
                    counted = re.search(rf"{words}, {len(front)} of {count} rows [^:]*: ([^\n]*?)\.", index)
                    assert counted, (words, len(front), count)
                    by_family = dict(part.split(" of ")[::-1] for part in re.split(r", | and (?=\d)", counted[1]))
                    assert sum(map(int, by_family.values())) == len(front)
                    for name in ("T2T-ViT", "MobileNet", "DeiT"):
                        assert int(by_family.get(name, 0)) == sum(model.startswith(name) for model in front)
    return len(lines)


_CASE = ("network", "img_size", "device", "precision", "compile", "batch")
_OF_ORIGIN = ("published_top1_pct", "top1_pct", *_REPORTED)
_OF_ROWS = ("tables", "top1_std_err", *_OF_ORIGIN)


def follow_speed_row(cells, line):
    """A row of the page's tables of speeds and of memory, on its line of the CSV."""
    files = {mode: line[f"{mode}_measured_in"] for mode in ("train", "infer", "latency")}
    rates = {"Training images/s": "train_images_per_s", "Inference images/s": "infer_images_per_s"}
    single = {"Saved MB": "train_saved_mb", "Params M": "params_m", "MACs G": "macs_g"}
    single |= {"Training: peak MB": "train_peak_mb", "Inference: peak MB": "infer_peak_mb"}
    single |= {"One image: peak MB": "latency_peak_mb", "px": "img_size", "Batch": "batch"}
    for column, cell in cells.items():
        if column in rates or column == "Latency ms":
            name = rates.get(column, "latency_ms")
            assert shows(cell, line[name], line[f"{name}_low"], line[f"{name}_high"]), (line["network"], column, cell)
        elif column.endswith("GFLOP/s"):
            mode = {"Training GFLOP/s": "train", "Inference GFLOP/s": "infer"}[column]
            assert shows(cell, line[f"{mode}_gflops"], line[f"{mode}_share_pct"]), (line["network"], column, cell)
        elif column in single:
            assert shows(cell, line[single[column]]), (line["network"], column, cell)
        elif column == "evidence":
            speeds = ", ".join(f"[{mode}]({file})" for mode, file in files.items() if file)
            assert cell in (speeds, f"[counts]({line['measured_in']})", "-")
        else:
            text = {"Network": f"`{line['network']}`", "Formulation": line["formulation"]}
            text["Precision"] = line["precision"] + (", compiled" if line["compile"] == "True" else "")
            assert cell == text[column], f"nobody follows {column!r}"


def follow_suite(reports, name):
    """A budget's report: runs to their records, means to the runs."""
    lines = rows_of(reports / f"{name}.csv")
    for table in tables_of(reports / f"{name}.md"):
        for cells in table:
            if "run" in cells:
                if cells["run"].startswith("["):
                    follow_run(reports, cells)
                continue
            own = [line for line in lines if line["model"] == cells["Model"]]
            counted = [line for line in own if line["status"] == "completed"]
            for column, figure in _MEANS.items():
                if column not in cells:
                    continue
                values = [float(line[figure]) for line in counted if line[figure]]
                mean = statistics.fmean(values) if values else None
                std_err = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
                assert shows(cells[column], mean, std_err)
            assert set(cells) <= {"Model", "n", *_MEANS}
            assert cells["n"].partition(" ")[0] == str(len(counted))
    for line in lines:
        if line["evidence"]:
            record = read(reports / line["evidence"])
            for name_, value in record["results"].items():
                assert name_ not in line or float(line[name_]) == value


_MEANS = {
    "best EMA top-1 %": "ema_best_top1_pct",
    "last EMA": "ema_last_top1_pct",
    "best raw": "raw_best_top1_pct",
    "last raw": "raw_last_top1_pct",
    "held out": "held_out_last_top1_pct",
}


def follow_all(reports):
    """Every page that ``--all`` writes."""
    followed = 0
    for number in TABLES:
        followed += follow_table_csv(reports, number)
        follow_table_page(reports, number)
    followed += follow_comparisons(reports, "claims", ("row", "against"))
    followed += follow_comparisons(reports, "ideas", ("model", "against"))
    followed += follow_cost(reports)
    follow_counting(reports)
    follow_figure_1(reports)
    if (reports / "speed.csv").exists():  # once somebody measured speeds
        followed += follow_speed(reports)
    return followed


def test_every_number_of_the_committed_reports():
    assert follow_all(ROOT / "reports") > 800


def test_what_an_error_is_stands_in_one_place():
    pages = {path.name: path.read_text() for path in (ROOT / "reports").glob("*.md")}
    with_errors = {name for name, text in pages.items() if "±" in text}
    assert {"claims.md", "ideas.md", "study.md", "table_3.md", "transfer.md"} <= with_errors
    assert [name for name, text in pages.items() if "√n" in text] == ["README.md"]
    assert [name for name in with_errors if "[standard error](README.md#standard-errors)" not in pages[name]] == [
        "README.md"
    ]


def test_every_number_of_the_committed_runs():
    follow_suite(ROOT / "reports", "transfer")
    listed = {spec.run_id for spec in SUITES["transfer"].values()}
    assert listed <= {line["run_id"] for line in rows_of(ROOT / "reports" / "transfer.csv")}


def test_the_committed_evidence_makes_the_budgets_pages(tmp_path):
    runs = ROOT / "reports" / "evidence"
    report_budgets(RunRecords(runs), Output(runs=runs, reports=tmp_path, as_json=True))
    assert {path.stem for path in tmp_path.glob("*.md")} == {"transfer"}
    for name in ("transfer.md", "transfer.csv"):
        assert (tmp_path / name).read_bytes() == (ROOT / "reports" / name).read_bytes(), name


def begin(runs, run):
    made = trained(run.run_id)
    made.spec = run.identity()
    (runs / run.run_id).mkdir()
    (runs / run.run_id / "record.json").write_text(sealed(dataclasses.asdict(made)))


def test_a_budget_has_a_page_once_a_run_of_its_own_has_begun(tmp_path):
    """A run that a table of the paper or another budget's page shows is not enough."""
    shared, *_, own = SUITES["trained_alike"].values()
    pilot, _, transferred, *_ = SUITES["transfer"].values()
    of_pilot = SUITES["pilot"]["ResNet50"]
    assert pilot in SUITES["pilot"].values()
    for run, there in (
        (shared, set()),
        (own, {"trained_alike"}),
        (transferred, {"trained_alike", "transfer"}),
        (pilot, {"trained_alike", "transfer"}),
        (of_pilot, {"trained_alike", "transfer", "pilot"}),
    ):
        begin(tmp_path, run)
        report_budgets(RunRecords(tmp_path), Output(runs=tmp_path, reports=tmp_path / "reports", as_json=True))
        assert {path.stem for path in (tmp_path / "reports").glob("*.md")} == there
    page = (tmp_path / "reports" / "trained_alike.md").read_text()
    assert all(f"[`{run.run_id}`]" in page for run in (shared, own))


def test_a_budgets_page_that_is_there_is_kept_up_to_date(tmp_path):
    """Though another one shows its runs by now."""
    pilot, _, transferred, *_ = SUITES["transfer"].values()
    output = Output(runs=tmp_path, reports=tmp_path / "reports", as_json=True)
    page = tmp_path / "reports" / "pilot.md"
    begin(tmp_path, pilot)
    report_budgets(RunRecords(tmp_path), output)
    written = page.read_text()
    begin(tmp_path, transferred)
    page.write_text("old")
    report_budgets(RunRecords(tmp_path), output)
    assert page.read_text() == written


def test_every_number_of_the_committed_loading_page():
    follow_loading(ROOT / "reports")


def test_a_command_that_finds_the_same_leaves_committed_files_as_they_were(measured_once, run_all, tmp_path):
    """As in a fresh clone, whose folder of runs is empty and whose machine is another."""
    reports = tmp_path / "reports"
    shutil.copytree(ROOT / "reports", reports, ignore=shutil.ignore_patterns(MEMORY))
    for command in (["--table", 3], ["figure", 3]):
        done = run_all(*command, "--runs", measured_once[1], "--reports", reports)
        assert done.returncode == 0, done.stderr
    for path in reports.rglob("*.*"):
        if path.is_file() and not path.name.startswith("."):  # what the program remembers, which git ignores
            assert path.read_bytes() == (ROOT / "reports" / path.relative_to(reports)).read_bytes(), path


@pytest.mark.parametrize(("change", "is_kept"), [({"machine": "another"}, True), ({"params": 25_557_033}, False)])
def test_evidence_is_written_anew_for_another_result_alone(tmp_path, change, is_kept):
    older = complexity("resnet50", 25_557_032, 4_143_000_000)
    newer = dataclasses.replace(older, measured_at="2026-11-25T00:00:00+00:00", **change)
    runs, reports = tmp_path / "runs", tmp_path / "reports"
    save_complexity(reports / "evidence", older)
    save_complexity(runs, newer)
    file = complexity_path(Path(), older.network)
    before = (reports / "evidence" / file).read_bytes()
    assert evidence_files.settled(newer, reports) == (older if is_kept else newer)
    evidence_files.keep(runs, reports, [file])
    assert ((reports / "evidence" / file).read_bytes() == before) == is_kept


def test_nothing_lies_in_the_evidence_that_no_page_names():
    reports = ROOT / "reports"
    named = unquote("\n".join(path.read_text() for path in [*reports.glob("*.md"), *reports.glob("*.csv")]))
    for path in (reports / "evidence").rglob("*.json"):
        page_names = path.with_name("record.json") if path.name == "spec.json" else path  # a record's lies beside it
        assert page_names.relative_to(reports).as_posix() in named, path
        assert path.name == "spec.json" or read(path)


def test_no_evidence_tells_how_a_machine_is_laid_out():
    for path in (ROOT / "reports" / "evidence").rglob("*.json*"):
        assert not re.search(r"(?<![\w.])/(tmp|home|root|work|mnt)/", path.read_text()), path


@pytest.fixture(scope="module")
def filled(tmp_path_factory, measured_once):
    """Runs of every kind that fills a cell, or does not: a folder for --runs."""
    runs = tmp_path_factory.mktemp("filled")
    for name in ("complexity", "feature_maps"):
        shutil.copytree(measured_once[1] / name, runs / name)
    rows = {row.name: row for number in (3, 5, 6) for row in TABLES[number].rows_in(ICCV)}

    def record(run, top1, **changes):
        made = trained(run.run_id)
        made.spec = run.identity()
        made.results = dict(made.results) | {"ema_best_top1_pct": top1}
        made = dataclasses.replace(made, wall_time_s=3600.0, images_per_s=900.0, **changes)
        lines = "".join(f'{{"epoch": {epoch}}}\n' for epoch in range(made.epoch))
        made.metrics_sha256 = hashlib.sha256(lines.encode()).hexdigest()
        folder = runs / run.run_id
        folder.mkdir()
        (folder / "record.json").write_text(sealed(dataclasses.asdict(made)))
        (folder / "metrics.jsonl").write_text(lines)

    fourteen = rows["T2T-ViT-14"].run
    for seed, top1 in enumerate((81.4, 81.61, 81.55)):
        record(fourteen.with_seed(seed), top1)
        for spec in rows["T2T-ViT-14"].transfers:
            record(spec.with_seed(seed), 98.0 + seed / 10)
    record(fourteen.with_seed(7), 99.0, status="running", epoch=3)
    record(rows["T2T-ViT-SE"].run, 81.7)
    record(rows["ResNet50*"].run, 79.2, data={"complete": False, "train_images": 5000, "val_images": 50_000})
    for run, kwargs in (
        (rows["T2T-ViT-19"].run, {"hits": 0.8193}),
        (rows["ResNet50"].run, {"hits": 0.76134}),
        (rows["T2T-ViT-24"].run, {"images": 49_000}),
        (rows["T2T-ViT-19"].transfers[0], {"hits": 0.984}),
    ):
        save_evaluation(runs, evaluation(run, RELEASED[run], **kwargs))
    for speed in made_up_speeds(rows["T2T-ViT-14"].network, rows["ResNet50"].network, rows["T2T-ViT-SE"].network):
        save_speed(runs, speed)
    return runs


@pytest.mark.extended
def test_every_number_of_reports_with_all_kinds_of_evidence(filled, run_all, tmp_path):
    done = run_all("--all", "--runs", filled, "--reports", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    follow_all(tmp_path)
    assert "speed.md" in (tmp_path / "README.md").read_text()
    lines = {line["model"]: line for line in rows_of(tmp_path / "table_3.csv")}
    assert {name: lines[name]["source"] for name in ("T2T-ViT-14", "T2T-ViT-19", "ResNet50*")} == {
        "T2T-ViT-14": "trained",
        "T2T-ViT-19": "evaluated",
        "ResNet50*": "measured",
    }
    again = tmp_path / "again"
    done = run_all("--all", "--runs", tmp_path / "evidence", "--reports", again)
    assert (done.returncode, done.stderr) == (0, "")
    pages = [path for path in tmp_path.glob("*.*") if path.suffix in (".md", ".csv", ".svg", ".png", ".html")]
    assert len(pages) > 30
    for page in pages:
        assert (again / page.name).read_bytes() == page.read_bytes(), page.name


def test_what_was_edited_counts_as_none_and_is_listed(filled, run_all, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(filled, runs)
    run = next(row.run for row in TABLES[3].rows if row.name == "T2T-ViT-14").with_seed(1)
    nineteen = next((runs / "evaluations").glob("t2t_vit_19-imagenet-*.json"))
    edited = (
        (runs / run.run_id / "record.json", "81.61", "89.61"),
        (nineteen, '"top1_hits": 40965', '"top1_hits": 44965'),
    )
    for path, old, new in edited:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    done = run_all("--table", 3, "--runs", runs, "--reports", tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "table_3.md").read_text()
    lines = {line["model"]: line for line in rows_of(tmp_path / "table_3.csv")}
    assert lines["T2T-ViT-14"]["seeds"] == "2"
    assert run.run_id not in lines["T2T-ViT-14"]["run_ids"]
    assert lines["T2T-ViT-19"]["top1_pct"] is None
    for path, _, _ in edited:
        problem = f"{path.relative_to(runs)}: its checksum does not hold: it was edited; restore it, or "
        assert f"\n- not used: `{problem}" in page
        assert f"run_all.py: not used: {runs}/{problem}" in done.stderr
    assert "89.61" not in page
    follow_table_page(tmp_path, 3)


def test_a_corrupt_record_is_named_in_the_index(tmp_path, monkeypatch, capsys):
    runs, reports = tmp_path / "runs", tmp_path / "reports"
    damaged = runs / TABLES[3].rows[2].run.run_id / "record.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"status": ')
    tables, known = list(TABLES.values()), RunRecords(runs)
    found = collect([row for table in tables for row in table.rows_in(ICCV)], known)
    inputs = [table_inputs(table, ICCV, collected(records=found.records, problems=found.problems)) for table in tables]
    monkeypatch.setattr(bench.cli.index_report, "FIGURES", {})  # what they need is not measured here
    every = Selection(tables=tuple(tables), recipe_tables=(), rows=(), edition=ICCV, is_all=True)
    report_index(every, inputs, known, Output(runs=runs, reports=reports, as_json=True))
    name = damaged.relative_to(runs).as_posix()
    assert f"run_all.py: not used: {damaged}: " in capsys.readouterr().err
    assert (reports / "README.md").read_text().count(f"\n- not used: `{name}: ") == 1


NASTY = "<b>|`*[x](y)\n# heading\x1b[31m \u202e"


def test_text_of_records_is_text_on_their_page(tmp_path, capsys):
    entry = next(iter(SUITES["smoke"].values()))
    runs, reports = tmp_path / "runs", tmp_path / "reports"
    made = trained(entry.run_id, status="failed")
    made.device, made.versions = f"a GPU {NASTY}", {"torch": NASTY}
    made.error = f"OSError: {runs}/{entry.run_id}/checkpoints: {NASTY} (see /home/someone/secret/traceback.txt)"
    made.history = [{"what": "failed", "when": "2026-01-01T00:00:00+00:00", "note": made.error}]
    made.unreadable = ["/home/someone/secret/a.jpg: OSError"]
    (runs / entry.run_id).mkdir(parents=True)
    (runs / entry.run_id / "record.json").write_text(sealed(dataclasses.asdict(made)))
    os.mkfifo(runs / entry.run_id / "metrics.jsonl")  # is not waited for
    assert main.main(["--budget", "smoke", "--runs", str(runs), "--reports", str(reports)]) == 0
    out = capsys.readouterr()
    page, data = (reports / "smoke.md").read_text(), (reports / "smoke.csv").read_text()
    record = read(reports / "evidence" / entry.run_id / "record.json")
    for shown in (page, data, json.dumps(record)):
        assert "secret" not in shown
        assert str(tmp_path) not in shown
    for shown in (page, *out):
        assert not re.search("[\x1b\u202e]", shown)
    assert "\n# heading" not in page
    rendered = html_page({"README.md": page.encode()})
    assert "<b>" not in rendered.partition("<main>")[2]
    assert "(see traceback.txt)" in page
    before = (reports / "evidence" / entry.run_id / "record.json").read_bytes()
    again = ["--budget", "smoke", "--runs", str(reports / "evidence"), "--reports", str(tmp_path / "again")]
    assert main.main(again) == 0  # from the evidence alone
    assert (tmp_path / "again" / "smoke.md").read_text() == page
    assert (tmp_path / "again" / "evidence" / entry.run_id / "record.json").read_bytes() == before


def test_links_out_of_the_reports_are_not_followed(tmp_path, capsys):
    secret, reports = tmp_path / "secret", tmp_path / "reports"
    (secret / "curves").mkdir(parents=True)
    (secret / "notes.md").write_text("# private")
    (reports / "curves").mkdir(parents=True)
    (reports / "table_3.md").symlink_to(secret / "notes.md")
    (reports / "own.md").write_text("# own")
    assert list(read_reports(reports)) == ["own.md"]
    write_report(reports, "table_3", {"md": "new"})  # in place of the link
    assert (secret / "notes.md").read_text() == "# private"
    (reports / "evidence").symlink_to(secret)
    save_complexity(tmp_path / "runs", complexity("resnet50", 1, 1))
    with pytest.raises(RequestError, match=r"evidence/complexity is a link that leads out of .*reports; remove it"):
        evidence_files.keep(tmp_path / "runs", reports, [complexity_path(Path(), complexity("resnet50", 1, 1).network)])
    (reports / "curves").rmdir()
    (reports / "curves").symlink_to(secret / "curves")
    with pytest.raises(RequestError, match=r"curves is a link"):
        write_report(reports, "curves/run", {"md": "new"})
    assert sorted(path.name for path in secret.rglob("*")) == ["curves", "notes.md"]


def test_of_many_seeds_the_first_are_copied_and_those_of_every_run(tmp_path):
    many, few = over_seeds("many", *range(12)), over_seeds("few", 1.0, 2.0)
    files = evidence_files.of_runs([many, few])
    assert len(files) == len(set(files))
    kept = [f"many-{seed}" for seed in range(10)] + ["few-0", "few-1"]
    assert list(dict.fromkeys(file.parent.name for file in files)) == kept
    assert {file.name for file in files if file.parent.name == "many-9"} == {
        *("spec.json", "record.json", "metrics.jsonl")
    }


def test_copies_follow_their_originals_and_leave_what_is_the_same(tmp_path):
    runs, reports = tmp_path / "runs", tmp_path / "reports"
    one, other = complexity("resnet50", 25_557_032, 4_111_512_576), complexity("resnet101", 44_549_160, 7_833_969_664)
    for measured in (one, other):
        save_complexity(runs, measured)
    found = collect([row for row in TABLES[3].rows if row.network == one.network], RunRecords(runs))
    assert not found.measurements  # made up, and so not of this suite's code
    files = [complexity_path(Path(), measured.network) for measured in (one, other)]
    evidence_files.keep(runs, reports, files)
    first, second = (complexity_path(reports / "evidence", measured.network) for measured in (one, other))
    before = first.stat().st_mtime_ns
    save_complexity(runs, dataclasses.replace(other, macs=other.macs + 1))
    evidence_files.keep(runs, reports, files)
    assert first.stat().st_mtime_ns == before
    assert json.loads(second.read_text())["macs"] == other.macs + 1
    evidence_files.keep(reports / "evidence", reports, files)  # onto itself
    assert json.loads(second.read_text())["macs"] == other.macs + 1
    assert not list((reports / "evidence").rglob("*.tmp"))
