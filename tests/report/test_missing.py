"""The section on what is missing, by table, with what it would cost."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from bench.measure.cost import STATED_MACS_PER_S, Estimate, estimates
from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.paper.released import RELEASED
from bench.report.inputs import IndexInputs, table_inputs
from bench.report.pages.missing import missing_markdown, untrained
from tests.conftest import collected, complexity
from tests.report.test_frame import evaluation, over_seeds, trained

ROWS = {row.name: row for number in (3, 5, 6) for row in TABLES[number].rows_in(ICCV)}


def section(numbers, measurements, records=None, evaluations=None, known=None):
    tables = [TABLES[number] for number in (numbers if isinstance(numbers, tuple) else (numbers,))]
    found = collected(measurements, records, evaluations)
    inputs = [table_inputs(table, ICCV, found) for table in tables]
    left = [run for one in inputs for run in untrained(one)]
    return left, missing_of(inputs, known if known is not None else estimates(left, measurements, []))


def missing_of(inputs, known, *, features_tried=True):
    """The section, after claim 11 was checked on trained networks or before."""
    claims = pd.DataFrame({"cell": ["dead_pct"], "ours": [5.0 if features_tried else pd.NA]})
    rest = {"recipe_tables": (), "figures": {}, "apart": {}, "problems": ()}
    return missing_markdown(IndexInputs(tables=inputs, claims=claims, estimates=known, **rest))


def measured(number, found):
    """A table with a measurement in every row."""
    inputs = table_inputs(TABLES[number], ICCV, found)
    return replace(inputs, frame=inputs.frame.assign(macs_g=1.0))


def lines(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| .*", text, re.MULTILINE)]


def test_what_was_trained_is_not_missing_and_what_was_released_still_is(measurements):
    run, other = ROWS["T2T-ViT-14"].run, ROWS["T2T-ViT-19"].run
    left, _ = section(3, measurements)
    assert len(left) == 12
    records = {run.run_id: over_seeds(run.run_id, 81.4)}
    evaluations = {other.run_id: [evaluation(other, RELEASED[other])]}
    left, text = section(3, measurements, records, evaluations)
    assert run not in left
    assert other in left  # evaluating is no training
    assert lines(text)[1][0] == "Table 3: params and MACs of 1 row"
    assert lines(text)[2][0] == "Table 3: 11 runs"
    assert "released weights behind 7 accuracies" in text  # of 9, without the one trained and the one evaluated


def test_hours_are_those_of_all_runs_together_or_a_dash(measurements):
    left, _ = section(3, measurements)
    hours = {run.run_id: Estimate(gpu_hours=100.4, basis="measured on a GPU") for run in left}
    _, text = section(3, measurements, known=hours)
    assert lines(text)[2] == ["Table 3: 12 runs", "`python run_all.py --table 3 --run slurm --data DIR`", "~1,205"]
    assert "GPU hours are estimates: measured on a GPU." in text
    _, text = section(3, measurements, known=hours | {left[0].run_id: None})
    assert lines(text)[2][-1] == "-"


def test_evaluating_costs_a_forward_pass(measurements):
    seen = [run for run in (row.run for row in TABLES[3].rows) if run in RELEASED]
    _, text = section(3, measurements | {seen[-1].network: next(iter(measurements.values()))})
    hours = float(lines(text)[-1][-1].removeprefix("~"))
    macs = sum(measurements[run.network].macs for run in seen if run.network in measurements)
    assert hours == pytest.approx(50_000 * macs / STATED_MACS_PER_S / 3600, abs=0.06)


def test_evaluating_networks_that_are_not_measured_costs_nobody_knows_what(measurements):
    _, text = section(3, measurements)
    assert lines(text)[-1] == [
        "evaluation of the released weights behind 9 accuracies",
        "`python run_all.py evaluate WEIGHTS --all --data DIR`",
        "-",  # T2T-ViT_t-24 is not measured
    ]


def test_evaluating_one_network_costs_next_to_nothing(measurements):
    seen = [run for run in (row.run for row in TABLES[3].rows) if run in RELEASED]
    evaluations = {run.run_id: [evaluation(run, RELEASED[run])] for run in seen[1:]}
    _, text = section(3, measurements, evaluations=evaluations)
    assert lines(text)[-1][0] == "evaluation of the released weights behind 1 accuracy"
    assert lines(text)[-1][-1] == "<0.1"


def test_what_tables_share_is_missing_once():
    networks = {row.network for number in (3, 6) for row in TABLES[number].rows_in(ICCV)}
    alike = {network: replace(complexity("any", 10**7, 10**12), network=network) for network in networks}
    left, _ = section((3, 6), alike)
    of_each = [len({run for row in TABLES[number].rows_in(ICCV) for run in row.runs}) for number in (3, 6)]
    assert len(set(left)) < len(left) == sum(of_each)
    assert len(set(left)) > max(of_each)  # nor are they those of one table alone
    hours = {run.run_id: Estimate(gpu_hours=10, basis="measured on a GPU") for run in left}
    _, text = section((3, 6), alike, known=hours)
    by_what = {what: cost for what, _, cost in lines(text)[1:]}
    assert [by_what[f"Table {number}: {count} runs"] for number, count in zip((3, 6), of_each, strict=True)] == [
        f"~{10 * count}" for count in of_each
    ]
    count = len(set(left))
    assert by_what[f"all {count} runs (tables share some)"] == f"~{10 * count}"
    released = sum(run in RELEASED for run in set(left))
    evaluating = released * 50_000 * 10**12 / STATED_MACS_PER_S / 3600
    assert by_what[f"evaluation of the released weights behind {released} accuracies"] == f"~{evaluating:.0f}"


def test_the_runs_of_a_table_alone_are_all_that_there_are(measurements):
    text = missing_of([measured(3, collected(measurements))], {})
    assert [line[0] for line in lines(text)[1:]] == [
        "Table 3: 12 runs",
        "evaluation of the released weights behind 9 accuracies",
    ]


def test_fine_tunings_are_missing_until_they_start_from_what_counts(measurements):
    row = ROWS["T2T-ViT-14"]
    left, _ = section(5, measurements)
    assert len(left) == 9
    ten = next(row for row in TABLES[5].rows_in(ICCV) if row.name == "T2T-ViT-14").transfers[0]
    parent, child = trained(row.run.run_id), trained(ten.run_id)
    child.spec = {"seed": 42, "start_from": parent.run_id}
    left, _ = section(5, measurements, {row.run.run_id: [parent], ten.run_id: [child]})
    assert len(left) == 7
    assert ten not in left


def test_rows_without_a_recipe_are_named(measurements):
    _, text = section(6, measurements)
    assert "No recipe is known for the printed top-1 of Inception v3." in text


def test_where_nothing_is_missing_it_says_so(measurements):
    inputs = [measured(1, collected(measurements))]
    assert "Nothing" in missing_of(inputs, {})
    left = missing_of(inputs, {}, features_tried=False)
    assert lines(left)[1][1] == "`python run_all.py figure 2 --weights FILE FILE --data DIR`"
