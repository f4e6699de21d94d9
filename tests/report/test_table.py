"""The Markdown report: pinned whole, and the parts that vary."""

import re

import pandas as pd
import pytest

from bench.experiments.suites import Entry, Suite
from bench.paper import TABLES
from bench.paper.claims import CLAIMS
from bench.paper.editions import ARXIV_V1, ICCV, README
from bench.paper.released import RELEASED
from bench.paper.reported import REPORTED
from bench.report.frame import table_frame
from bench.report.inputs import IndexInputs, SuiteInputs, table_inputs
from bench.report.pages.claims import claims_frame
from bench.report.pages.index import index_markdown
from bench.report.pages.runs import suite_markdown
from bench.report.pages.table import comparison, table_markdown
from bench.report.text import DASH
from bench.spec.run import Network
from tests.conftest import collected, complexity
from tests.report.test_frame import evaluation, over_seeds, trained


def report(edition, measurements):
    return table_markdown(table_inputs(TABLES[3], edition, collected(measurements)))


def cells(text, name):
    """The row's cells in the first table."""
    (line,) = [line for line in text.partition("## ")[0].splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_missing_figures_are_dashes(measurements):
    text = report(ICCV, measurements)
    assert cells(text, "T2T-ViT_t-24") == ["T2T-ViT_t-24", "82.6", "-", "82.55", "64.1", *"---", "15.0", *"---"]
    expected = "T2T-ViT-24|82.3|-|82.28|64.1|64.106|+0.01 %|equal|13.8|13.692|-0.78 %|within 1 %"
    assert cells(text, "T2T-ViT-24") == expected.split("|")
    assert cells(text, r"ResNet50\*")[1:4] == ["79.1", "-", "-"]
    assert not re.search(r"nan|None|<NA>", text)


def test_rows_of_a_table_have_its_columns_though_nothing_is_printed_of_them(measurements):
    frame = table_frame(TABLES[3], ICCV, collected(measurements))
    alone = frame.iloc[[0]].assign(
        **{name: pd.NA for name in frame if name.startswith("published_")}, baseline=False, group=pd.NA
    )
    shown = comparison(alone, table=frame)
    assert list(shown) == list(comparison(frame))
    assert shown["Params M: paper"].tolist() == [DASH]


def test_what_is_missing_comes_with_its_command(measurements):
    text = report(ICCV, measurements)
    missing = text.partition("| T2T-ViT_t-24")[2].partition("##")[0]  # directly under the table
    assert "Params and MACs of T2T-ViT_t-24 have not been measured" in missing
    assert "\npython run_all.py --table 3\n" in missing
    assert "Top-1 has not been reproduced by training for any of the 12 rows." in missing
    assert "\npython run_all.py --table 3 --run local --data DIR\n" in missing


def test_differing_cells_carry_their_reason(measurements):
    text = report(ICCV, measurements)
    assert r"- ResNet50, ResNet50\*, MACs: 4.3 G printed, 4.112 G here; plain ResNet50 is used here, as named" in text
    assert "- T2T-ViT-24, MACs: 13.8 G printed, 13.692 G here; not explained:" in text
    assert "no reason known" not in text
    assert "no reason known" not in report(ARXIV_V1, measurements)


def test_the_readme_edition_says_whose_figures_the_cnn_rows_are(measurements):
    text = report(README, measurements)
    assert r"The README edition does not print ResNet50, ResNet50\*, ResNet101" in text
    assert "does not print" not in report(ICCV, measurements)


def test_no_negative_zero(measurements):
    known = {**measurements, Network("t2t_vit_t_24"): complexity("t2t_vit_t_24", 64_101_454, 14_999_999_000)}
    assert cells(report(ICCV, known), "T2T-ViT_t-24")[-3:] == ["15.000", "+0.00 %", "equal"]


def test_links_name_files_of_the_report_and_the_measurements_behind_it(measurements):
    links = set(re.findall(r"\]\(([^)]*)\)", report(ICCV, measurements)))
    measured = {f"evidence/complexity/{network}-224px.json" for network in measurements}
    cited = {one.source for each in REPORTED.values() for one in each}
    assert links == {"table_3.csv", "table_3.png"} | measured | cited


def test_every_table_row_has_as_many_cells_as_its_header(measurements):
    for block in re.findall(r"(?:^\|.*\n)+", report(ICCV, measurements), re.MULTILINE):
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


@pytest.mark.parametrize("word", ["2026-01-02", "a processor, 2 cores", "torch 2.0", "fvcore 0.1", "`add`, `gelu`"])
def test_when_where_and_with_what(measurements, word):
    assert word in report(ICCV, measurements).partition("## Evidence")[2]


def test_trained_runs_show_all_accuracies_and_partial_data(measurements):
    whole, partial = TABLES[3].rows[2].run.run_id, TABLES[3].rows[0].run.run_id
    records = {whole: [trained(whole)], partial: [trained(partial, complete=False)]}
    text = table_markdown(table_inputs(TABLES[3], ICCV, collected(measurements, records)))
    assert cells(text, "T2T-ViT-14")[2] == "81.46 (n=1)"
    assert cells(text, "ResNet50")[2] == "-"
    section = text.partition("## Trained here")[2].partition("## ")[0]
    assert re.search(r"\| T2T-ViT-14 .*1,281,167 .*81\.46 .*81\.40 .*80\.90 .*80\.80 .*a GPU, bfloat16", section)
    assert "best epoch of the averaged weights" in section
    assert f"ResNet50 (`{partial}`) was trained on 5,000 images" in section
    assert "Top-1 has not been reproduced by training for 11 of the 12 rows." in text


def test_evaluations_are_listed_and_only_whole_ones_stand_in_the_table(measurements):
    runs = {name: TABLES[3].rows[i].run for i, name in ((2, "T2T-ViT-14"), (0, "ResNet50"))}
    whole = evaluation(runs["T2T-ViT-14"], RELEASED[runs["T2T-ViT-14"]])
    part = evaluation(runs["ResNet50"], RELEASED[runs["ResNet50"]], images=150, found_by="hub")
    found = {run.run_id: [one] for run, one in zip(runs.values(), (whole, part), strict=True)}
    text = table_markdown(table_inputs(TABLES[3], ICCV, collected(measurements, {}, found)))
    assert cells(text, "T2T-ViT-14")[2] == "81.50 ± 0.17 (evaluated)"
    assert cells(text, "ResNet50")[2] == "-"
    section = text.partition("## Evaluated here")[2].partition("## ")[0]
    line = re.search(r"\| T2T-ViT-14 .*", section)[0]
    assert [cell.strip() for cell in line.strip("|").split("|")] == [
        "T2T-ViT-14",
        "imagenet",
        f"[`81.5_T2T_ViT_14.pth.tar`](evidence/evaluations/{whole.spec.evaluation_id}.json)",
        "`0123456789ab`",
        "`state_dict_ema`",
        "50,000 of 50,000",
        "81.50 ± 0.17",
        "81.5",
        "+0.00",
        "95.00",
        "224 px, crop 0.9, bicubic, float32",
    ]
    assert "T2T-ViT-14, imagenet (`81.5_T2T_ViT_14.pth.tar`): printed as 80.6 in the arXiv v1 edition." in section
    assert "ResNet50, imagenet (`resnet50-0676ba61.pth`): fills no cell: it covers 150 of 50,000 images." in section
    assert "any of the 12 rows. For 1 of them, the table shows the accuracy of released weights instead." in text
    assert "Released weights exist for ResNet50, T2T-ViT_t-14, ResNet101" in text
    assert "\npython run_all.py evaluate WEIGHTS --table 3 --data DIR\n" in text

    def index_of(apart):
        parts = {
            "recipe_tables": (),
            "figures": {},
            "estimates": {},
            "problems": ["resnet50-224px.json: it was edited"],
        }
        frames = {number: table_frame(table, ICCV, collected()) for number, table in TABLES.items()}
        inputs = table_inputs(TABLES[3], ICCV, collected(measurements, {}, found))
        return index_markdown(IndexInputs(tables=[inputs], claims=claims_frame(CLAIMS, frames), apart=apart, **parts))

    index = index_of({})
    assert "\n- not used: `resnet50-224px.json: it was edited`" in index
    held = (
        "By the printed numbers, 6 hold, 1 fails, 3 are too close to tell and 1 is untested; by ours, 11 are untested"
    )
    assert f"- **Claims.** The text makes 11. {held}.\n" in index
    assert (
        "12 are printed. 0 can be compared with networks trained here, 1 with released weights evaluated here" in index
    )
    assert "true? **In part:** of its 12 accuracies, 1 can be compared with our own. Of its 11 claims, 1 fails" in index
    assert "and 0, of 0 networks, with published predictions of the same weights" in index
    assert "For 17 released files of weights, 10 of them the authors' own, others report accuracies" in index
    assert "Beyond the paper" not in index
    beside = index_of({"transfer.md": "Transfer"})
    assert "## Beyond the paper\n\n- [Transfer](transfer.md)\n" in beside
    run_id = runs["T2T-ViT-14"].run_id
    records = {run_id: [trained(run_id)]}
    text = table_markdown(table_inputs(TABLES[3], ICCV, collected(measurements, records, found)))
    assert cells(text, "T2T-ViT-14")[2] == "81.46 (n=1)"
    assert "81.50 ± 0.17" in text


def apart(entries, **kwargs):
    return Suite(**{"name": "pilot", "about": "About.", "entries": entries} | kwargs)


def test_several_seeds_stand_as_mean_and_error_above_their_runs(measurements):
    spec = TABLES[3].rows[2].run
    entries = (Entry(row="T2T-ViT-14", spec=spec), Entry(row="ResNet50", spec=TABLES[3].rows[0].run))
    records = {spec.run_id: over_seeds(spec.run_id, 81.0, 81.2)}
    text = suite_markdown(SuiteInputs(suite=apart(entries), records=records))
    above, _, below = text.partition("## Runs")
    assert re.search(r"\| T2T-ViT-14 +\| +2 \| +81\.10 ± 0\.10 \|", above)
    assert re.search(r"\| ResNet50 +\| +0 of 1 \| +- \|", above)
    assert below.count("| T2T-ViT-14") == 2
    table = table_markdown(table_inputs(TABLES[3], ICCV, collected(measurements, records)))
    assert cells(table, "T2T-ViT-14")[2] == "81.10 ± 0.10 (n=2)"
    assert "Sample standard deviations over the seeds: T2T-ViT-14 0.14.\n" in table


def test_of_many_seeds_ten_of_each_are_listed_and_the_mean_is_over_all():
    spec, other = TABLES[3].rows[2].run, TABLES[3].rows[0].run
    entries = (Entry(row="T2T-ViT-14", spec=spec), Entry(row="ResNet50", spec=other))
    few = {other.run_id: over_seeds(other.run_id, *[79.0] * 10)}
    records = {spec.run_id: over_seeds(spec.run_id, *[80.0] * 10, 92.0, 92.0)} | few
    above, _, below = suite_markdown(SuiteInputs(suite=apart(entries), records=records)).partition("## Runs")
    assert re.search(r"\| T2T-ViT-14 +\| +12 \| +82\.00 ± ", above)
    listed = re.findall(r"evidence/([^/)]+)/record\.json", below)
    assert listed == [f"{run.run_id}-{seed}" for run in (spec, other) for seed in range(10)]
    assert "2 more: only 10 seeds of each are listed, with their records in `evidence/`." in below
    assert " more: " not in suite_markdown(SuiteInputs(suite=apart(entries), records=few))


def test_a_sweep_shows_its_fields_and_its_picture():
    spec = TABLES[3].rows[2].run
    entries = tuple(
        Entry(row="T2T-ViT-14", spec=s, swept=(lr,)) for s, lr in ((spec, 5e-4), (TABLES[3].rows[0].run, 1e-3))
    )
    text = suite_markdown(
        SuiteInputs(suite=apart(entries, name="sweep", sweep=("lr",)), records={spec.run_id: over_seeds("a", 80.0)})
    )
    assert "![Top-1 accuracy over lr](sweep.png)" in text
    assert re.search(r"\| T2T-ViT-14 +\| +0\.0005 \| +1 \| +80\.00 \|", text)
    assert re.search(r"\| T2T-ViT-14 +\| +0\.001 \| +0 of 1 \| +- \|", text)
    nothing = suite_markdown(SuiteInputs(suite=apart(entries, name="sweep", sweep=("lr",)), records={}))
    assert "sweep.png" not in nothing
    assert "best point" not in nothing
    assert "No best point is named: these accuracies are those of the test set" in text


def test_the_best_point_of_a_sweep_is_chosen_on_held_out_images():
    first, second, third = (TABLES[3].rows[i].run for i in range(3))
    points = (("ResNet50", first, 1e-3), ("ResNet50", second, 5e-4), ("T2T-ViT-14", third, 1e-3))
    entries = tuple(Entry(row=row, spec=spec, swept=(lr, 0.05)) for row, spec, lr in points)
    records = {entry.spec.run_id: over_seeds(entry.spec.run_id, 0.0) for entry in entries}
    for (test, held_out), found in zip(((70.0, 60.0), (65.0, 61.5), (80.0, 79.0)), records.values(), strict=True):
        found[0].results = {"raw_last_top1_pct": test, "held_out_raw_last_top1_pct": held_out}
    suite = apart(entries, name="sweep", sweep=("lr", "weight_decay"))
    text = suite_markdown(SuiteInputs(suite=suite, records=records))
    chosen = "chosen on held-out images: ResNet50: `lr=0.0005 weight_decay=0.05`; T2T-ViT-14: `lr=0.001 "
    assert f"The best point, {chosen}" in text
    del records[third.run_id]
    text = suite_markdown(SuiteInputs(suite=suite, records=records))
    assert "The best point so far, chosen on held-out images: ResNet50: `lr=0.0005 weight_decay=0.05`.\n" in text


def test_runs_apart_say_so(measurements):
    spec = TABLES[3].rows[2].run
    suite = apart((Entry(row="T2T-ViT-14", spec=spec), Entry(row="ResNet50", spec=TABLES[3].rows[0].run)))
    failed = trained(spec.run_id, status="diverged")
    failed.error = "loss is nan in epoch 3, step 4"
    text = suite_markdown(
        SuiteInputs(suite=suite, records={spec.run_id: [failed]}, command=("python", "run_all.py", "--budget", "pilot"))
    )
    assert re.search(r"\| T2T-ViT-14 +\| +42 \| diverged, epoch 310 of 310", text)
    assert re.search(r"\| ResNet50 +\| +42 \| not begun +\| +- \|", text)
    assert "- T2T-ViT-14: loss is nan in epoch 3, step 4" in text
    assert "```\npython run_all.py --budget pilot\n```" in text
    assert "torch 2.0" in text
    assert "The standard error of an accuracy on 50,000 images is at most 0.2 points" in text
