"""Results as DataFrames: each value followed to its file, read as plain JSON; names are stable and documented."""

import dataclasses
import json
import re
import shutil

import pandas as pd
import pytest

import bench
from bench.paper import TABLES
from bench.paper.editions import ARXIV_V1, ICCV
from bench.paper.released import RELEASED
from bench.report.data import LOADED_RUN_COLUMNS
from bench.report.facts import FACT_COLUMNS, KINDS, METRICS
from bench.results.dead_channels import LayerCounts
from bench.results.store import load_all_dead_channels, save_dead_channels, save_evaluation
from bench.spec.errors import RequestError
from tests.conftest import ROOT
from tests.report.test_frame import evaluation

EVIDENCE = ROOT / "reports/evidence"
GOLDEN = ROOT / "tests/golden/result_names.json"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The committed evidence, an evaluation of released weights, and channels some of which are dead."""
    folder = tmp_path_factory.mktemp("data") / "runs"
    shutil.copytree(EVIDENCE, folder)
    run = next(row.run for row in TABLES[3].rows if row.name == "T2T-ViT-19")
    made = evaluation(run, RELEASED[run], hits=0.8193)
    save_evaluation(folder, dataclasses.replace(made, real_hits=40_000, real_images=46_837))
    counted = load_all_dead_channels(folder)[0][0]
    layer = LayerCounts(name="blocks.0", channels=64, dead=(2, 5) * 128, always_dead=1)
    save_dead_channels(folder, dataclasses.replace(counted, layers=(layer, *counted.layers[1:])))
    return folder


@pytest.fixture(scope="module")
def facts(runs):
    return bench.load_facts(runs)


def test_names_are_stable(request):
    names = {"facts": FACT_COLUMNS, "runs": LOADED_RUN_COLUMNS, "metrics": list(METRICS), "kinds": list(KINDS)}
    text = json.dumps(names, indent=2) + "\n"
    if request.config.getoption("--update-golden"):
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text, "programs read these names: if one must change, say so in CHANGELOG.md"


def test_every_name_is_documented():
    page = (ROOT / "docs/results.md").read_text()
    named = set(re.findall(r"`(\w+)`", page))
    of_recipes = {name for name in LOADED_RUN_COLUMNS if name.startswith("recipe_")}
    assert {*FACT_COLUMNS, *LOADED_RUN_COLUMNS, *METRICS, *KINDS} - of_recipes <= named
    told = re.sub(r"\s+", " ", bench.load_runs.__doc__)
    protocols = {name for name in LOADED_RUN_COLUMNS if re.match("(ema|raw)_", name)}
    assert set(LOADED_RUN_COLUMNS) - of_recipes - protocols <= set(re.findall(r"``(\w+)``", told))


def test_facts_have_the_documented_kinds_and_metrics(facts):
    assert facts.dtypes.astype(str).to_dict() == FACT_COLUMNS
    assert list(facts["kind"].unique()) == list(KINDS)
    assert set(facts["metric"]) == set(METRICS)
    assert facts["value"].notna().all()
    assert set(facts["weights"].dropna()) == {"raw", "ema", "released"}
    assert set(facts["split"].dropna()) == {"train", "val", "held_out"}
    of_a_run = ["id", "metric", "weights", "split", "epoch"]
    assert not facts[facts["kind"] == "run"].duplicated(of_a_run).any()


def test_every_value_of_a_run_is_a_fact(facts, runs):
    """Once each: those by epoch, and those of the record."""
    of_runs = facts[facts["kind"] == "run"]
    followed = 0
    for path in sorted(runs.glob("*/record.json")):
        record = json.loads(path.read_text())
        own = of_runs[of_runs["id"] == record["run_id"]]
        lines = [json.loads(line) for line in path.with_name("metrics.jsonl").read_text().splitlines()]
        held_out = record["spec"]["recipe"].get("held_out", 0) > 0
        by_epoch = own[own["evidence"] == f"{record['run_id']}/metrics.jsonl"]
        values = {
            (line["epoch"], name): value
            for line in lines
            for name, value in line.items()
            if name != "epoch" and not name.endswith("_val_images")
        }
        found = {
            (row.epoch, row.metric if pd.isna(row.weights) else f"{row.weights}_{row.metric}"): row.value
            for row in by_epoch.itertuples()
        }
        assert found == values
        validated = by_epoch[by_epoch["metric"] == "top1_pct"]
        assert set(validated["split"]) == {"held_out" if held_out else "val"}
        assert set(validated["images"]) == {lines[-1]["raw_val_images"]}
        whole = own[own["epoch"].isna() & own["weights"].notna()]
        results = {
            f"{'held_out_' if row.split == 'held_out' else ''}{row.weights}_{row.metric}": row.value
            for row in whole.itertuples()
        }
        assert results == record["results"]
        one = own.set_index("metric")["value"]
        assert one["wall_time_s"] == record["wall_time_s"]
        assert one["val_images"] == record["data"]["val_images"]
        assert own["images"].max() <= record["data"]["val_images"]
        assert set(own["seed"]) == {record["spec"]["seed"]}
        speeds = own[own["metric"] == "images_per_s"].set_index("epoch")["value"]
        assert speeds[record["epochs"] - 1] == record["images_per_s"]
        followed += len(found) + len(results)
    assert followed > 1000


def test_values_of_other_kinds_are_those_of_their_files(facts, runs):
    counted = len(list((EVIDENCE / "dead_channels").glob("*.json")))
    for kind, count in (("evaluation", 1), ("recorded", 15), ("measurement", 57), ("dead_channels", counted)):
        own = facts[facts["kind"] == kind]
        assert len(own.groupby(["id", "model"])) == count
        for (_, model), rows in own.groupby(["id", "model"]):
            found = json.loads((runs / rows["evidence"].iloc[0]).read_text())
            values = rows.set_index("metric")["value"]
            if kind == "measurement":
                assert values["macs_g"] == found["macs"] / 1e9
                assert values["trainable_params_m"] == found["trainable_params"] / 1e6
                assert rows["img_size"].iloc[0] == found["network"]["img_size"]
            elif kind == "dead_channels":
                layers, images = found["layers"], len(found["images"])
                dead, channels = (sum(layer[name] for layer in layers) for name in ("always_dead", "channels"))
                assert values["always_dead_pct"] == pytest.approx(100 * dead / channels)
                of_all = sum(sum(layer["dead"]) for layer in layers)
                assert values["dead_pct"] == pytest.approx(100 * of_all / channels / images)
                assert set(rows["images"]) == {images}
            else:
                counts = found
                if kind == "recorded":
                    (counts,) = (one for one in found["networks"] if one["name"] == model)
                images = rows.set_index("metric")["images"]
                of_labels = [("top1", counts["images"], "images"), ("real", counts["real_images"], "real_images")]
                for name, total, key in of_labels:
                    assert values[f"{name}_pct"] == 100 * counts[f"{name}_hits"] / total
                    assert images[f"{name}_pct"] == counts[key]


def test_runs_are_a_row_each_with_their_recipes(runs):
    frame = bench.load_runs(runs).set_index("run_id")
    records = {path.parent.name: json.loads(path.read_text()) for path in runs.glob("*/record.json")}
    assert set(frame.index) == set(records)
    for run_id, record in records.items():
        row, spec = frame.loc[run_id], record["spec"]
        assert (row["model"], row["dataset"], row["status"]) == (spec["model"], spec["dataset"], record["status"])
        assert row["complete"] == record["data"]["complete"]
        for field, value in spec["recipe"].items():
            name = "recipe" if field == "name" else f"recipe_{field}"
            assert row[name] is pd.NA if value == "" else row[name] == value, name
    assert frame.loc["t2t_vit_7-cifar10-pilot-s1-ca1477ae", "recipe_held_out"] == 0  # younger than the run
    assert frame.dtypes.astype(str).to_dict() == {k: v for k, v in LOADED_RUN_COLUMNS.items() if k != "run_id"}


def test_tables_have_every_row(runs):
    frame = bench.load_tables(runs)
    for number, table in TABLES.items():
        assert list(frame.loc[frame["table"] == number, "model"]) == [row.name for row in table.rows_in(ICCV)]
    assert "evaluated" in set(frame["source"])
    older = bench.load_tables(runs, "arxiv-v1")
    assert set(older["edition"]) <= {ARXIV_V1.name, ICCV.name}
    assert len(older) == sum(len(table.rows_in(ARXIV_V1)) for table in TABLES.values())
    with pytest.raises(RequestError, match="unknown edition 'iccv21'; did you mean 'iccv'"):
        bench.load_tables(runs, "iccv21")


def test_a_corrupt_file_is_named_and_left_out(tmp_path, capsys):
    name = "t2t_vit_7-cifar10-pilot-s1-ca1477ae"
    shutil.copytree(EVIDENCE / name, tmp_path / name)
    metrics = tmp_path / name / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"epoch": 0, "lr"', '"epoch": 0, "LR"'))
    facts = bench.load_facts(tmp_path)
    assert "wall_time_s" in set(facts["metric"])
    assert "train_loss" not in set(facts["metric"])
    assert f"not used: {metrics}: its checksum in record.json does not hold" in capsys.readouterr().err


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(RequestError, match=r"no folder of runs '.*/nowhere'; choose one that holds runs"):
        bench.load_runs(tmp_path / "nowhere")
    assert len(bench.load_runs(tmp_path)) == 0


def test_importing_the_package_is_cheap(run_all):
    code = "import sys, bench; before = {'pandas', 'torch'} & set(sys.modules); bench.load_runs('reports/evidence'); "
    code += "print(sorted(before), sorted({'pandas', 'torch'} & set(sys.modules)))"
    assert run_all(code=code).stdout == "[] ['pandas']\n"
