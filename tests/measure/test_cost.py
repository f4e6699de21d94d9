"""What a run will cost: estimates, and time limits that follow from them."""

import dataclasses
import math

import pytest

from bench.experiments.budgets import SUITES
from bench.experiments.recipes import override
from bench.experiments.scales import STUDIES
from bench.launch.dispatch import Launch, estimated
from bench.launch.planner import Action, Decision
from bench.measure.cost import STATED_MACS_PER_S, estimate, estimates, speeds, time_limit
from bench.measure.study_cost import Prices
from bench.paper import TABLES
from bench.results.run_folder import RunRecords
from bench.results.step_speeds import Case, Measured, NetworkSpeed, Setting, Side
from bench.results.store import load_speeds, save_speed, speed_path
from bench.spec.gpus import PEAK_TFLOPS
from bench.spec.run import Resources
from tests.conftest import complexity
from tests.report.test_frame import trained

SPEC = TABLES[3].rows[2].run
IMAGES = 310 * 1_281_167


def measured(**kwargs):
    record = trained(SPEC.run_id)
    record.spec = SPEC.identity()
    record.images_per_s, record.world_size = 8000.0, 8
    for name, value in kwargs.items():
        setattr(record, name, value)
    return record


def test_the_stated_speed_is_what_the_deit_paper_says():
    assert pytest.approx(1_281_167 * 300 / (53 * 3600 * 8) * 17.58e9 * 3, rel=2e-3) == STATED_MACS_PER_S


def test_an_earlier_run_of_the_network_counts_before_the_stated_speed():
    counted = complexity(SPEC.model, 21_545_550, 4_800_254_784)
    by_macs = estimate(SPEC, 0, {SPEC.network: counted}, {})
    assert by_macs.gpu_hours == pytest.approx(IMAGES * 3 * 4_800_254_784 / STATED_MACS_PER_S / 3600)
    assert "stated" in by_macs.basis
    found = estimate(SPEC, 0, {SPEC.network: counted}, speeds([measured()]))
    assert found.gpu_hours == pytest.approx(IMAGES / 1000 / 3600)
    assert found.basis == "measured on a GPU"
    assert estimate(SPEC, 155, {SPEC.network: counted}, speeds([measured()])).gpu_hours == pytest.approx(
        found.gpu_hours / 2
    )


def test_the_stated_speed_is_scaled_to_another_gpu_by_their_peaks():
    counted = complexity(SPEC.model, 21_545_550, 4_800_254_784)
    by_macs, on_a100 = (estimate(SPEC, 0, {SPEC.network: counted}, {}, gpu) for gpu in ("v100", "a100"))
    assert on_a100.gpu_hours == pytest.approx(by_macs.gpu_hours * 125 / 312)
    assert on_a100.basis == f"{by_macs.basis}, and by peak speed on A100"
    measured_speed = estimate(SPEC, 0, {SPEC.network: counted}, speeds([measured()]), "a100")
    assert measured_speed.basis == "measured on a GPU"


def steps(*cases, gpu="an H100"):
    """Speeds of training steps of SPEC's network in batches of 64: for each case, its seconds and what it changes."""
    usual = Case(model=SPEC.model, img_size=224, batch=64, precision="bfloat16", mode="train", device="cuda")
    setting = Setting(machine="a machine", threads=1, clock="wall", versions={}, gpu=gpu)
    rest = {"formulation": "fused", "macs": 1, "theirs": None, "matrix_gflops": 1.0, "load": 0.0}
    found = [
        Measured(case=dataclasses.replace(usual, **changes), ours=Side(seconds=(s,), saved_bytes=1), **rest)
        for s, changes in cases
    ]
    return [NetworkSpeed(setting=setting, measured=one, measured_at="2026-11-26T00:00:00+00:00") for one in found]


def test_the_speed_of_a_training_step_counts_where_no_run_has_one():
    of_steps = steps((0.1, {}), (0.064, {"precision": "float16"}), (0.01, {"img_size": 384}))
    found = estimate(SPEC, 0, {}, speeds([], of_steps))
    assert found.gpu_hours == pytest.approx(IMAGES / 1000 / 3600)
    assert found.basis == "measured on an H100, training steps alone"
    assert estimate(SPEC, 0, {}, speeds([measured(images_per_s=4000.0)], of_steps)).basis == "measured on a GPU"
    larger = dataclasses.replace(SPEC, img_size=384)
    assert estimate(larger, 0, {}, speeds([], of_steps)).gpu_hours == pytest.approx(IMAGES / 6400 / 3600)
    priced = estimates([SPEC], {}, [], steps=of_steps)
    assert priced == {SPEC.run_id: found}


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "cpu"},
        {"mode": "infer"},
        {"precision": "float32"},
        {"compile": True},
        {"model": "vit_s_16"},
        {"model_args": (("depth", 2),)},
    ],
)
def test_a_step_unlike_those_of_runs_says_nothing_of_their_speed(changes):
    assert estimate(SPEC, 0, {}, speeds([], steps((0.1, changes)))) is None


def test_plans_read_the_speeds_that_were_kept(tmp_path):
    (speed,) = steps((0.064, {}))
    save_speed(tmp_path, speed)
    launch = Launch(runs=tmp_path, resources=Resources(data=""))
    decisions = [Decision(spec=SPEC, action=Action.SUBMIT, reason="")]
    assert estimated(decisions, launch)[SPEC.run_id].gpu_hours == pytest.approx(IMAGES / 1000 / 3600)
    speed_path(tmp_path, speed).write_text("")
    found, (problem,) = load_speeds(tmp_path)
    assert found == []
    assert f"{speed.speed_id}.json: not JSON" in problem
    assert estimated(decisions, launch)[SPEC.run_id] is None


@pytest.mark.parametrize(
    "kwargs", [{"device": "cpu"}, {"images_per_s": None}, {"spec": SUITES["smoke"]["tiny ResNet"].identity()}]
)
def test_other_runs_say_nothing_of_it(kwargs):
    assert estimate(SPEC, 0, {}, speeds([measured(**kwargs)])) is None


def test_the_speed_without_a_teacher_says_nothing_of_that_with_one():
    distilled = next(row.run for row in TABLES[4].rows if row.run and row.run.teacher)
    alone = dataclasses.replace(distilled, teacher=None)
    counted = complexity(distilled.model, 4_568_000, 1_162_000_000)
    assert estimate(distilled, 0, {}, speeds([measured(spec=alone.identity())])) is None
    assert estimate(distilled, 0, {}, speeds([measured(spec=distilled.identity())])).basis == "measured on a GPU"
    assert estimate(alone, 0, {}, speeds([measured(spec=distilled.identity())])) is None
    without = estimate(distilled, 0, {distilled.network: counted}, {})
    assert "its teacher not counted" in without.basis
    teacher = complexity("regnety_160", 83_590_140, 15_960_000_000)
    assert distilled.teacher_network == teacher.network
    both = estimate(distilled, 0, {distilled.network: counted, teacher.network: teacher}, {})
    assert "teacher" not in both.basis
    assert both.gpu_hours / without.gpu_hours == pytest.approx((3 * counted.macs + teacher.macs) / (3 * counted.macs))


def test_what_is_trained_already_costs_nothing_more():
    other = TABLES[3].rows[0].run
    for epoch, left in ((0, 1), (155, 0.5), (310, 0)):
        found = estimates([SPEC, other], {}, [measured(epoch=epoch)])
        assert found[SPEC.run_id].gpu_hours == pytest.approx(left * IMAGES / 1000 / 3600)
        assert found[other.run_id] is None


def test_the_speed_of_a_changed_network_says_nothing_of_it():
    deeper = dataclasses.replace(SPEC, model_args=(("depth", 28),))
    assert estimate(deeper, 0, {}, speeds([measured()])) is None
    assert estimate(SPEC, 0, {}, speeds([measured(spec=deeper.identity())])) is None
    assert estimate(deeper, 0, {}, speeds([measured(spec=deeper.identity())])).basis == "measured on a GPU"


def test_images_that_are_not_trained_on_cost_nothing():
    counted = {SPEC.network: complexity(SPEC.model, 21_545_550, 4_800_254_784)}
    fewer = dataclasses.replace(SPEC, recipe=override(SPEC.recipe, ["held_out=0.1", "train_fraction=0.3"]))
    for known in ({}, speeds([measured()])):
        all_images = estimate(SPEC, 0, counted, known).gpu_hours
        assert estimate(fewer, 0, counted, known).gpu_hours == pytest.approx(0.9 * 0.3 * all_images)


def test_what_is_not_known_is_no_number():
    counted = complexity(SPEC.model, 21_545_550, 4_800_254_784)
    assert estimate(dataclasses.replace(SPEC, dataset="hfds/some"), 0, {SPEC.network: counted}, {}) is None
    assert estimate(SPEC, 0, {}, {}) is None


@pytest.mark.parametrize(
    ("hours", "most", "minutes"),
    [
        (0.1, math.inf, 60),
        (1, math.inf, 120),
        (20, math.inf, 2880),
        (500, math.inf, 4320),
        (500, 1440, 1440),
        (None, math.inf, 1440),
        (None, 30, 30),
    ],
)
def test_time_limits_make_sense(hours, most, minutes):
    assert time_limit(hours, most) == minutes


def test_the_study_is_priced_in_hours_of_the_chosen_gpu(tmp_path):
    study = STUDIES["smoke"]
    spec = study.grid_run("T2T-ViT", study.grid.points()[0])
    measured = {spec.network: dataclasses.replace(complexity("any", 1_000_000, 100_000_000), network=spec.network)}
    hours = {
        gpu: Prices(study=study, records=RunRecords(tmp_path), measured=measured, threads=None, gpu=gpu).left([spec])
        for gpu in ("v100", "h100")
    }
    ratio = PEAK_TFLOPS["h100"] / PEAK_TFLOPS["v100"]
    assert hours["v100"].hours == pytest.approx(ratio * hours["h100"].hours)
    assert "on H100" in hours["h100"].bases[0]
