"""The page on what deciding the claims would cost: its runs, its seeds, and what it says where nothing decides."""

import dataclasses

import pytest

from bench.cli.cost_report import write_cost
from bench.cli.parser import Output
from bench.cli.speed_report import known_speeds
from bench.experiments.scales import IMAGENET, SMALL
from bench.experiments.speeds import IMAGES_PER_S
from bench.measure.study_cost import whole_cost
from bench.paper import TABLES
from bench.paper.claims import CLAIMS
from bench.paper.editions import ICCV
from bench.report.claim_runs import claim_runs
from bench.report.pages.claims import claims_frame
from bench.results.run_folder import RunRecords
from bench.results.store import save_speed, speed_path
from bench.spec.claim import Claim, Comparison, Pair
from tests.conftest import collected, complexity
from tests.measure.test_cost import steps
from tests.report.test_claims import frames
from tests.report.test_evidence import rows_of, shows, tables_of

RUNS = {run.run_id: run for table in TABLES.values() for row in table.rows_in(ICCV) for run in row.runs}
MACS = 4_000_000_000
"""of every network here"""


def costs(claims=CLAIMS):
    return {one.claim: one for one in claim_runs(claims_frame(claims, frames()), ICCV)}


@pytest.fixture
def page(tmp_path):
    """Writes the page from networks of ``MACS``; returns its tables, the lines of its CSV, and its text."""

    def written(claims, found=None):
        output = Output(runs=tmp_path / "runs", reports=tmp_path, as_json=True)
        if found is None:
            networks = {run.network for run in RUNS.values()}
            measured = {one: dataclasses.replace(complexity("any", 20_000_000, MACS), network=one) for one in networks}
            found = collected(measured)
        speeds, _ = known_speeds(output)
        write_cost(list(claims), found, RunRecords(tmp_path / "runs"), speeds, output)
        return tables_of(tmp_path / "cost.md"), rows_of(tmp_path / "cost.csv"), (tmp_path / "cost.md").read_text()

    return written


def test_hours_of_a_claim_worked_out_by_hand(page):
    """Claim 3: T2T-ViT-12 and MobileNetV2 1.4x, each of 310 epochs and two seeds, by DeiT-B's stated speed."""
    (by_claim, *_), lines, _ = page(costs().values())
    third = next(cells for cells in by_claim if cells[""] == "3")
    deit_images_per_s = 1_281_167 * 300 / (53 * 3600 * 8)  # of one V100: 53 hours on 8 GPUs for 300 epochs
    hours = 310 * 1_281_167 / (deit_images_per_s * 17.58e9 / MACS) / 3600
    own = [float(line["gpu_hours"]) for line in lines if line["claim"] == "3"]
    assert own == [pytest.approx(2 * hours, rel=2e-3)] * 2
    assert shows(third["GPU hours"], sum(own))
    assert float(third["GPU hours"].strip("~")) == pytest.approx(4 * hours, rel=5e-3)


def test_a_claim_needs_the_runs_that_it_compares_and_those_that_they_start_from():
    found = costs()
    assert [run.model for run in found[1].runs] == ["t2t_vit_14", "vit_s_16"]
    of_ten = [(run.model, run.dataset) for run in found[10].runs]
    assert sorted(of_ten) == [
        (model, dataset)
        for model in ("t2t_vit_14", "t2t_vit_19", "vit_s_16")
        for dataset in ("cifar10", "cifar100", "imagenet")
    ]
    assert of_ten.index(("vit_s_16", "imagenet")) < of_ten.index(("vit_s_16", "cifar10"))
    assert sum(len(one.runs) for one in found.values()) > len({run for one in found.values() for run in one.runs}) == 34


def test_a_difference_of_two_gains_needs_the_runs_of_both():
    gain, other = (
        Pair(table=6, row=f"{name}-Ghost", against=base)
        for name, base in (("ViT", "ViT-S/16"), ("T2T-ViT", "T2T-ViT-14"))
    )
    claim = Claim(number=1, text="", comparisons=(Comparison(**dataclasses.asdict(gain), less=other, high=0.0),))
    models = ["vit_s_16_ghost", "vit_s_16", "t2t_vit_16_ghost", "t2t_vit_14"]
    assert [run.model for run in costs([claim])[1].runs] == models


def test_a_run_has_the_most_seeds_of_the_comparisons_that_it_is_in():
    seeds = {run.model: count for run, count in costs()[4].runs.items()}
    assert seeds == {"t2t_vit_14": 24, "t2t_vit_c_14": 24, "t2t_vit_t_14": 2, "t2t_vit_14_no_t2t": 2}
    seeds = {(run.model, run.dataset): count for run, count in costs()[10].runs.items()}
    assert seeds["vit_s_16", "cifar10"] == seeds["vit_s_16", "imagenet"] == 2
    assert seeds["t2t_vit_14", "cifar10"] is None


def test_claims_that_no_number_of_seeds_decides_say_so(page):
    found = costs()
    assert [number for number, one in found.items() if one.is_decided] == [2, 3, 4, 5, 7]
    (by_claim, *_), _, text = page(found.values())
    assert {cells[""] for cells in by_claim if cells["GPU hours"] == "-"} == {"1", "6", "8", "9", "10", "11"}
    assert "- Claim 1: T2T-ViT-14 against ViT-S/16.\n" in text
    assert "- Claim 10: T2T-ViT-14 against ViT-S/16 on CIFAR-10; T2T-ViT-14 against ViT-S/16 on CIFAR-100.\n" in text
    assert "\nClaim 11 compares no accuracies" in text


def test_a_row_without_a_recipe_leaves_its_claim_without_a_price(page):
    made_up = Claim(
        number=1,
        text="V3 is best",
        comparisons=(Comparison(table=4, row="MobileNetV3 (Searched)", against="MobileNetV1 1.0x*", low=0.0),),
    )
    (one,) = costs([made_up]).values()
    assert one.without_recipe == ("MobileNetV3 (Searched)",)
    assert list(one.comparisons.values()) == [2]
    assert not one.is_decided
    (by_claim, *_), _, text = page([one])
    assert [cells["GPU hours"] for cells in by_claim] == ["-", "-"]
    assert "\nClaim 1: no recipe is known for the printed top-1 of MobileNetV3 (Searched)." in text


def test_what_was_not_measured_has_no_price(page):
    (by_claim, by_gpu, runs, studies), lines, text = page(costs().values(), collected())
    priced = [cells[name] for cells in (*by_claim, *by_gpu, *runs, *studies) for name in cells if "GPU hours" in name]
    assert set(priced) == {"-"}
    assert not any(line["gpu_hours_per_run"] or line["speed_from"] or line["measured_in"] for line in lines)
    assert "No hours are known" in text


def test_the_speed_of_a_step_prices_a_run(page, tmp_path):
    (speed,) = steps((0.064, {}))
    save_speed(tmp_path / "runs", speed)
    (_, _, runs, _), lines, text = page(costs().values())
    fourteen = next(line for line in lines if (line["claim"], line["network"]) == ("1", "t2t_vit_14"))
    assert float(fourteen["gpu_hours_per_run"]) == pytest.approx(310 * 1_281_167 / 1000 / 3600)
    assert {cells["speed"] for cells in runs} == {line["speed_from"] for line in lines}
    assert "measured on an H100, [training steps alone](speed.md)" in text
    assert "Sums add up hours of different GPUs." in text


def test_of_speeds_in_two_folders_the_newer_count(tmp_path):
    of_days = zip(("20", "21"), steps((2.0, {}), (1.0, {})), strict=True)
    older, newer = (dataclasses.replace(one, measured_at=f"2026-11-{day}T00:00:00+00:00") for day, one in of_days)
    output = Output(runs=tmp_path / "runs", reports=tmp_path, as_json=True)
    save_speed(tmp_path / "runs", older)
    save_speed(tmp_path / "evidence", newer)
    assert known_speeds(output) == ([newer], [])
    save_speed(tmp_path / "runs", newer)
    save_speed(tmp_path / "evidence", older)
    assert known_speeds(output) == ([newer], [])
    speed_path(tmp_path / "evidence", older).write_text("{}")
    found, (problem,) = known_speeds(output)
    assert found == [newer]
    assert "its checksum is missing" in problem


def test_the_study_is_priced_whole():
    images = 45_000 * (9 * 3 * 6 + 4 * 6 * 2 / 2)
    found = whole_cost(SMALL, SMALL.core)
    assert (found.runs, found.images) == (9 * 3 + 4 * 6, images)
    seconds = 0.0
    for arm in SMALL.core:
        trained, evaluated = 45_000 * 6, 5_000 * 6 + 10_000
        seconds += 3 * (trained + evaluated / 3) / IMAGES_PER_S[arm.key]
    for key in SMALL.tuned_on.values():
        trained, evaluated = 45_000 / 2 * 2, 5_000 * 2 + 10_000
        seconds += 6 * (trained + evaluated / 3) / IMAGES_PER_S[key]
    assert found.hours == pytest.approx(seconds / 3600)
    assert whole_cost(IMAGENET, IMAGENET.arms).runs == len(IMAGENET.arms) * 3
    assert whole_cost(IMAGENET, IMAGENET.arms).hours is None
