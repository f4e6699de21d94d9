"""Published predictions in the tables: which cells they fill, and that no command loses them."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.paper.recorded import PUBLISHED_PREDICTIONS, VAL_LABELS_SHA256, names_of, weights_of
from bench.paper.released import RELEASED
from bench.report.frame import table_frame
from bench.report.pages.table import comparison, terminal_cells
from bench.results.recorded import RecordedNetwork, Recording
from bench.results.store import recording_path, save_recording
from tests.conftest import ROOT, collected
from tests.report.test_evidence import follow_table_csv, follow_table_page, rows_of
from tests.report.test_frame import evaluation, over_seeds

RECORDED = {
    "ResNet50": 76.130,
    "ResNet101": 77.374,
    "ResNet152": 78.312,
    "DeiT-small": 79.860,
    "AlexNet": 56.518,
    "VGG11": 69.020,
    "Inception v3": 77.212,
}
"""% by row: what is committed, and nothing more"""


def network(name, weights, top1_pct, **others):
    hits = round(top1_pct * 500)
    return RecordedNetwork(
        name=name,
        weights=weights,
        source="somebody/repository",
        source_sha256="a" * 64,
        sha256="b" * 64,
        predicted=1,
        images=50_000,
        top1_hits=hits,
        **others,
    )


def recording(*networks, at="2026-11-01T00:00:00+00:00", official=True):
    return Recording(
        file="made_up.npz",
        dataset="imagenet",
        images=50_000,
        labels_sha256=VAL_LABELS_SHA256 if official else "c" * 64,
        are_official_labels=official,
        networks=networks,
        pairs=(),
        recorded_at=at,
    )


def filled(*recordings, number=3, evaluations=None):
    found = dataclasses.replace(collected({}, {}, evaluations or {}), recordings=recordings)
    return table_frame(TABLES[number], ICCV, found).set_index("model")


def test_predictions_of_the_rows_own_weights_fill_its_cell_and_no_other():
    frame = filled(recording(network("a", "resnet50.tv_in1k", 76.5), network("b", "resnet101.a1_in1k", 81.0)))
    assert frame["top1_pct"].dropna().to_dict() == {"ResNet50": 76.5}  # and not ResNet50*, retrained by the authors
    row = frame.loc["ResNet50"]
    assert (row["source"], row["recorded_weights"]) == ("recorded", "resnet50.tv_in1k")
    assert row["recorded_std_err"] == pytest.approx((76.5 * 23.5 / 50_000) ** 0.5)


def test_the_accuracy_on_real_labels_stands_beside_that_of_the_same_weights_alone():
    real = recording(network("a", "resnet50.tv_in1k", 76.5, real_hits=39_000, real_images=46_837))
    run = next(row.run for row in TABLES[3].rows if row.name == "ResNet50")
    own = {run.run_id: [evaluation(run, RELEASED[run], hits=0.8)]}
    for frame in (filled(real), filled(real, evaluations=own)):
        shown = comparison(frame.reset_index()).set_index("Model")["ReaL %: ours"]
        assert shown["ResNet50"] == f"{100 * 39_000 / 46_837:.2f} (recorded)"
        assert set(shown.drop("ResNet50")) == {"-"}
    own = {run.run_id: [evaluation(run, RELEASED[run], hits=0.8, real_hits=40_000, real_images=46_837)]}
    frame = filled(real, evaluations=own)
    assert frame.loc["ResNet50", "recorded_real_pct"] == pytest.approx(100 * 39_000 / 46_837)
    shown = comparison(frame.reset_index()).set_index("Model")["ReaL %: ours"]
    assert shown["ResNet50"] == f"{100 * 40_000 / 46_837:.2f} (evaluated)"
    trained = dataclasses.replace(collected({}, {run.run_id: over_seeds(run.run_id, 76.0)}), recordings=[real])
    frame = table_frame(TABLES[3], ICCV, trained)
    assert frame["recorded_real_pct"].notna().any()
    assert "ReaL %: ours" not in comparison(frame)  # they are not of the weights that were trained here
    assert "ReaL %: ours" not in comparison(filled(recording(network("a", "resnet50.tv_in1k", 76.5))).reset_index())


def test_the_terminal_has_no_room_for_real_labels():
    one = network("a", "resnet50.tv_in1k", 76.5, real_hits=39_000, real_images=46_837)
    frame = filled(recording(one)).reset_index()
    cells = terminal_cells(frame, table=frame)
    assert "76.50 ± 0.19 (recorded)" in list(cells["Top-1 %: ours"])
    assert not any("ReaL" in name for name in cells)


def test_a_file_name_of_the_weights_names_them_too():
    assert filled(recording(network("a", "resnet50-19c8e357.pth", 76.0)))["top1_pct"].count() == 1


@pytest.mark.parametrize(
    "unfit",
    [
        recording(network("resnet50", "", 76.0)),
        recording(network("resnet50.tv_in1k", "resnet50", 76.0)),
        recording(network("a", "resnet50.tv_in1k", 76.0), official=False),
    ],
)
def test_predictions_of_other_or_unnamed_weights_or_on_other_labels_fill_nothing(unfit):
    assert filled(unfit)["top1_pct"].count() == 0


def test_the_newest_recording_counts_and_an_evaluation_here_goes_before_it():
    older = recording(network("a", "resnet50.tv_in1k", 76.0))
    newer = recording(network("z", "resnet50.tv_in1k", 77.0), at="2026-11-02T00:00:00+00:00")
    assert filled(newer, older).loc["ResNet50", "top1_pct"] == 77.0
    run = next(row.run for row in TABLES[3].rows if row.name == "ResNet50")
    own = {run.run_id: [evaluation(run, RELEASED[run], hits=0.8)]}
    frame = filled(newer, evaluations=own)
    assert (frame.loc["ResNet50", "top1_pct"], frame.loc["ResNet50", "source"]) == (80.0, "evaluated")
    assert frame.loc["ResNet50", "recorded_top1_pct"] == 77.0


def test_the_committed_recordings_are_those_of_seven_rows():
    found = {}
    for number in TABLES:
        lines = rows_of(ROOT / "reports" / f"table_{number}.csv")
        found |= {line["model"]: float(line["recorded_top1_pct"]) for line in lines if line["recorded_top1_pct"]}
    assert found == pytest.approx(RECORDED, abs=1e-9)


def test_reports_keep_recordings_that_only_their_evidence_holds(run_all, measured_once, tmp_path):
    """As in a fresh clone, whose folder of runs is empty."""
    one = network("a", "resnet50.tv_in1k", 76.5, real_hits=39_000, real_images=46_837)
    kept = recording(one, at="2099-01-01T00:00:00+00:00")  # newer than the committed ones
    save_recording(tmp_path / "evidence", kept)
    done = run_all("--table", 3, "--runs", measured_once[1], "--reports", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "76.50 ± 0.19 (recorded)" in (tmp_path / "table_3.md").read_text()
    assert follow_table_csv(tmp_path, 3) > 100
    follow_table_page(tmp_path, 3)


def test_a_damaged_recording_is_named_and_fills_nothing(run_all, measured_once, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(measured_once[1], runs)
    path = recording_path(runs, recording(network("a", "resnet50.tv_in1k", 76.5)))
    save_recording(runs, recording(network("a", "resnet50.tv_in1k", 76.5)))
    path.write_text(path.read_text().replace("38250", "48250"))
    done = run_all("--table", 3, "--runs", runs, "--reports", tmp_path / "reports")
    assert f"run_all.py: not used: {path}: its checksum does not hold" in done.stderr
    assert "76.50 ± " not in (tmp_path / "reports" / "table_3.md").read_text()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Predictions of made-up networks on labels that are not ImageNet's."""
    path = tmp_path_factory.mktemp("published") / "made_up.npz"
    random = np.random.default_rng(0)
    labels = random.integers(0, 1000, 50_000)
    np.savez(path, labels=labels, a=np.where(random.random(50_000) < 0.7, labels, 0), b=labels, c=np.sort(labels))
    path.with_suffix(".json").write_text(json.dumps({"a": {"weights": "resnet50.tv_in1k", "source": "somebody"}}))
    return path


def test_predictions_on_other_labels_are_counted_and_fill_nothing(run_all, published, tmp_path):
    command = ("evaluate", "--predictions", published, "--runs", tmp_path / "runs", "--reports", tmp_path / "reports")
    done = run_all(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the labels are not ImageNet's, so nothing here fills a cell\na: top-1 70.")
    assert (
        "b: top-1 100.000 ± 0.00 % of 50,000 images; fills nothing: the weights behind these predictions are not known"
        in done.stdout
    )
    (disordered,) = [line for line in done.stdout.splitlines() if line.endswith("?")]
    assert re.match(r"c: top-1 0\.\d+ .*; are its images in the order of their files, and its classes", disordered)
    assert len(list((tmp_path / "runs" / "recorded").glob("made_up-*.json"))) == 1
    assert json.loads(run_all(*command, "--json").stdout)["tables"] == []
    assert len(list((tmp_path / "runs" / "recorded").glob("made_up-*.json"))) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["WEIGHTS", "--predictions", "x.npz"], "--predictions evaluates no weights, so WEIGHTS does nothing"),
        (["--predictions", "x.npz", "--precision", "bfloat16"], "--predictions evaluates no weights, so --precision"),
        (["--predictions", "x.npz", "--data", "."], "--predictions evaluates no weights, so --data does nothing"),
        (["--labels", "x.npy", "W", "--all"], "--labels does nothing without --predictions FILE"),
        (["--table", "3"], "evaluate: no weights were given; name their folder, or use --predictions FILE"),
        (["--predictions", "x.npz"], "--predictions x.npz: No such file or directory; give a file of predictions"),
    ],
)
def test_requests_that_mean_two_things_or_nothing_are_refused(arguments, line, run_all, tmp_path):
    done = run_all("evaluate", *arguments, "--runs", tmp_path / "runs", "--reports", tmp_path / "reports")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"run_all.py: {line}")
    assert done.stderr.count("\n") == 1


def test_every_known_prediction_of_a_row_names_the_rows_own_weights():
    names = {name for table in TABLES.values() for row in table.rows if (w := weights_of(row)) for name in names_of(w)}
    assert set(PUBLISHED_PREDICTIONS.values()) - names == {
        "resnet18.tv_in1k",
        "densenet201.tv_in1k",
        "deit_tiny_patch16_224.fb_in1k",
    }
