"""The benchmark of a step: what it counts, how it takes turns, and what it writes."""

import csv
import json
import statistics
import time

import pytest
import torch
from torch import nn

from bench.cli import main
from bench.experiments.recipes import T2T_MEDIUM
from bench.measure.complexity import count_macs
from bench.measure.speed import CLOCKS, LEAST_ROUNDS, WARM_UP, matrix_gflops, measure, saved_bytes, time_in_turn
from bench.results.codec import sealed, unsealed
from bench.results.step_speeds import Case, Measured, Side
from bench.spec.errors import RequestError
from bench.spec.run import imagenet
from bench.training.build import build_network
from tests.conftest import ROOT
from tests.report.test_evidence import shows, tables_of

CPU = torch.device("cpu")
LITERAL = "tests.literal_t2t:create"
TINY = ("--img-size", "32", "--batch", "2", "--rounds", "2")


def case(**values):
    return Case(**{"model": "t2t_vit_7", "img_size": 32, "batch": 2, "precision": "float32", "mode": "train"} | values)


def test_saved_bytes_are_each_storage_once_without_parameters():
    network = nn.Sequential(nn.Linear(4, 5), nn.Sigmoid())
    x = torch.randn(3, 4)
    assert saved_bytes(lambda: network(x), network) == x.nbytes + 3 * 5 * 4  # the input, and what the sigmoid gave
    assert saved_bytes(lambda: network(x) + network(x), network) == x.nbytes + 2 * 3 * 5 * 4
    rows = torch.randn(6, 4)
    assert saved_bytes(lambda: network[0](rows[:3]), network) == rows.nbytes  # a view keeps all that it is of
    with torch.no_grad():
        assert saved_bytes(lambda: network(x), network) == 0


def test_calls_take_turns_and_every_other_round_begins_with_the_last():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    seconds = time_in_turn(calls, rounds=3, device=CPU)
    assert "".join(order) == "a" * WARM_UP + "b" * WARM_UP + "ab" + "ba" + "ab"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_a_slow_network_that_is_alone_gets_the_least_rounds():
    rounds = {"rounds": 9, "device": CPU, "clock": iter(range(1000)).__next__}
    assert len(time_in_turn({"a": list}, **rounds)["a"]) == 9
    assert len(time_in_turn({"a": list}, patience_s=5.0, **rounds)["a"]) == 5
    assert len(time_in_turn({"a": list}, patience_s=1.0, **rounds)["a"]) == LEAST_ROUNDS


def test_cpu_time_leaves_out_what_others_take():
    calls = {"waits": lambda: time.sleep(0.05)}
    (wall,), (cpu,) = (time_in_turn(calls, rounds=1, device=CPU, clock=clock)["waits"] for clock in CLOCKS.values())
    assert cpu < 0.05 <= wall


def test_rates_follow_from_seconds():
    sides = {
        "ours": Side(seconds=(1.0, 2.0, 4.0), saved_bytes=5),
        "theirs": Side(seconds=(3.0, 3.0, 3.0), saved_bytes=9),
    }
    found = Measured(case=case(batch=10), formulation="fused", macs=10**9, matrix_gflops=100, load=0, **sides)
    assert found.ratios == (3, 1.5, 0.75)
    assert found.images_per_s(found.ours) == 5
    assert found.gflops(found.ours) == 2 * 3 * 5  # operations a multiply-add, passes, images a second
    inference = Measured(case=case(mode="infer"), formulation="", macs=10**9, matrix_gflops=1, load=0, **sides)
    assert inference.gflops(inference.theirs) == pytest.approx(2 * 2 / 3)


def test_both_implementations_are_measured():
    found = measure(case(), LITERAL, rounds=2)
    network = build_network(imagenet("t2t_vit_7", T2T_MEDIUM, img_size=32), 1000).eval()
    assert found.formulation == "fused"
    assert found.macs == count_macs(network, torch.zeros(1, 3, 32, 32)).macs
    assert 0 < found.ours.saved_bytes < found.theirs.saved_bytes
    assert len(found.ratios) == 2
    assert found.matrix_gflops > 0
    assert found.ours.peak_bytes is found.theirs.peak_bytes is None  # of both together
    inference = measure(case(mode="infer", precision="bfloat16"), LITERAL, rounds=1)
    assert inference.ours.saved_bytes is inference.theirs.saved_bytes is None


def test_a_network_alone_has_no_ratio():
    found = measure(case(model="test_resnet"), None, rounds=1)
    assert found.formulation == "channels_last"
    assert found.theirs is None
    assert found.ratios == ()
    assert found.ours.peak_bytes > 1e8
    assert measure(case(model="test_resnet", mode="infer"), rounds=1, macs=17).macs == 17


def test_a_network_without_stochastic_depth_is_trained_without_it():
    assert measure(case(model="dla34"), rounds=1, macs=1).ours.saved_bytes


def test_the_matrix_rate_is_that_of_large_products():
    assert matrix_gflops(CPU, "float32", seconds=0.01) > 0.1


@pytest.mark.parametrize(
    ("against", "model", "message"),
    [
        ("nowhere:create", "t2t_vit_7", "No module named 'nowhere'; choose MODULE:FUNCTION"),
        ("tests.literal_t2t", "t2t_vit_7", "choose MODULE:FUNCTION"),
        (LITERAL, "t2t_vit_14_se", "'t2t_vit_14_se' has no literal counterpart"),
        ("tests.measure.test_speed:other", "t2t_vit_7", "does not implement t2t_vit_7.*Missing key"),
    ],
)
def test_what_cannot_be_compared_is_one_line(against, model, message):
    with pytest.raises(RequestError, match=message):
        measure(case(model=model), against, rounds=1)


def other(model, **arguments):
    return nn.Linear(1, 1)


def speed(*arguments):
    return main.main(["speed", *map(str, arguments)])


def folders(path):
    return "--runs", path / "runs", "--reports", path


def test_the_page_follows_from_its_evidence(tmp_path, capsys):
    precisions = ("float32", "bfloat16")
    asked = ["--models", "t2t_vit_7", "--precision", *precisions, *TINY, "--against", LITERAL]
    assert speed(*asked, *folders(tmp_path)) == 0
    assert capsys.readouterr().out == (tmp_path / "step.md").read_text()
    lines = follow_step(tmp_path)
    modes = (("train", "2"), ("infer", "2"), ("infer", "1"))
    expected = [(precision, *mode) for precision in precisions for mode in modes]
    assert [(line["precision"], line["mode"], line["batch"]) for line in lines] == expected


def test_the_committed_page_follows_from_its_evidence():
    follow_step(ROOT / "reports")


def test_cases_are_added_to_a_page_of_the_same_setting(tmp_path, capsys):
    path = tmp_path / "evidence/step.json"
    of = ["--models", "t2t_vit_7", "--precision", "float32", "--mode", "infer", *folders(tmp_path)]
    infer, beside = [*of, *TINY], ["--against", LITERAL]
    assert speed(*infer, *beside) == 0
    assert speed(*of, *beside, "--img-size", "32", "--batch", "3", "--rounds", "3", "--add") == 0
    assert speed(*infer, *beside, "--add") == 0  # the first case again
    assert [line["batch"] for line in follow_step(tmp_path)] == ["3", "2"]
    page, whole = (tmp_path / "step.md").read_text(), path.read_text()
    assert "medians of 2 to 3 rounds" in page
    assert "CPU time" not in page
    for text, message in (
        (sealed(unsealed(whole) | {"against": None}), "measured with different against; leave out --add"),
        (sealed(unsealed(whole) | {"threads": 99}), "measured with different threads; leave out --add"),
        (whole.replace('"infer"', '"train"'), "step.json: its checksum does not hold: it was edited; leave out --add"),
        (sealed(unsealed(whole) | {"gpu": "another"}), "measured with different gpu; leave out --add"),
        (sealed(unsealed(whole) | {"clock": "cpu"}), "measured with different clock; leave out --add"),
        ("", "step.json: not JSON: Expecting value"),
    ):
        path.write_text(text)
        assert speed(*infer, *beside, "--add") == 2
        assert message in capsys.readouterr().err
    assert (tmp_path / "step.md").read_text() == page


def follow_step(reports):
    """From the page and its CSV to the rounds."""
    page = (reports / "step.md").read_text()
    evidence = json.loads((reports / "evidence/step.json").read_text())
    with (reports / "step.csv").open() as file:
        lines = list(csv.DictReader(file))
    (table,) = tables_of(reports / "step.md")
    for cells, line, one in zip(table, lines, evidence["measured"], strict=True):
        ours, theirs = one["ours"]["seconds"], one["theirs"]["seconds"]
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        low, ratio, high = statistics.quantiles(ratios, method="inclusive")
        batch = one["case"]["batch"]
        assert float(line["ratio"]) == pytest.approx(ratio)
        assert shows(cells["Ratio"], ratio, low, high)
        assert shows(cells["Images/s"], batch / statistics.median(ours))
        assert shows(cells["Other images/s"], batch / statistics.median(theirs))
        assert cells["Formulation"].startswith(line["formulation"])
        assert (cells["Saved MB"] == "-") == (line["mode"] == "infer")
    assert evidence["machine"] in page
    assert f"beside `{evidence['against']}`" in page
    assert f"torch {evidence['versions']['torch']}" in page
    return lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "t2t_vit_77"], "'t2t_vit_77'"),
        (["--models", "resnet50", "--only", "t2t*"], "--models names networks and --only chooses those of rows"),
        (["--only", "t2t_vit_77"], "'t2t_vit_77'"),
        (["--table", "8"], "--table 8: experiment settings, which have no networks; choose from --table 1 2 3"),
        (["--add"], "--add does nothing without --against"),
        (["--again", "--against", LITERAL], "--again does nothing with --against"),
        (["--rounds", "0"], "argument --rounds: '0' is not a whole number from 1"),
        (["--batch", "1"], "argument --batch: '1' is not a whole number from 2"),
        (["--img-size", "33"], "divisible by 16"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, message, capsys, tmp_path):
    assert speed(*arguments, "--reports", tmp_path) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(capsys, tmp_path):
    assert speed("--device", "cuda", "--reports", tmp_path / "reports") == 2
    assert "--device cuda: torch sees no GPU on this machine; choose --device cpu" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
