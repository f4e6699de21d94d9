"""Rows and measurements joined."""

import dataclasses
import re

import pytest

from bench.experiments.recipes import override
from bench.experiments.suites import Entry
from bench.measure.collect import collect
from bench.paper import TABLES
from bench.paper.editions import ARXIV_V1, ICCV, README
from bench.paper.released import RELEASED
from bench.report.frame import COLUMNS, runs_frame, seeds_frame, table_frame, without_unused
from bench.report.inputs import table_inputs
from bench.report.pages.table import table_markdown
from bench.results.codec import sealed
from bench.results.evaluation import Evaluation, EvaluationSpec
from bench.results.record import RunRecord
from bench.results.run_folder import RunRecords
from bench.spec.contents import DATASETS
from bench.spec.run import Network, Weights
from bench.spec.table import STRUCTURE, networks
from tests.conftest import collected, complexity

PROMISED = (
    "model published_top1_pct top1_pct top1_std top1_std_err seeds published_params_m params_m trainable_params_m "
    "published_macs_g macs_g linear_macs_g source verdict"
).split()


def test_columns_are_those_that_programs_were_promised():
    assert set(PROMISED) <= set(COLUMNS)


def test_a_file_has_the_columns_of_the_kinds_of_results_that_its_table_has(measurements):
    """All of a kind together, or none: one more seed adds no column."""
    run_id = TABLES[3].rows[2].run.run_id
    kinds = {"trained": {"top1_std", "top1_std_err", "top1_last_pct", "seeds", "run_ids"}}
    for kind in ("evaluated", "recorded", "cifar10", "cifar100"):
        kinds[kind] = {name for name in COLUMNS if re.match(rf"(published_)?{kind}_", name)}

    def columns(number, records):
        frame = table_frame(TABLES[number], ICCV, collected(measurements, records))
        shown = without_unused(frame)
        assert list(shown) == [name for name in COLUMNS if name in shown]
        without_values = frame.columns.difference([*shown, *STRUCTURE, "baseline"])
        assert frame[without_values].isna().all(axis=None)
        return set(shown)

    untrained, trained_once = columns(3, {}), columns(3, {run_id: [trained(run_id)]})
    assert trained_once - untrained == kinds["trained"]
    assert set(PROMISED) - kinds["trained"] <= untrained
    for kind in ("evaluated", "recorded", "cifar10", "cifar100"):
        assert not kinds[kind] & untrained, kind
    transfers = columns(5, {})
    assert {"published_cifar10_pct", "cifar10_pct"} <= transfers
    assert "cifar10_seeds" not in transfers
    assert "published_macs_g" not in transfers  # Table 5 prints none
    assert "macs_g" in transfers


def test_a_file_has_the_structure_that_its_table_prints():
    for number, printed in ((1, {"tokens", "depth", "hidden", "mlp"}), (3, set()), (6, {"depth", "hidden"})):
        found = {
            network: complexity(network.model, 1, 1, network.img_size) for network in networks(TABLES[number].rows)
        }
        shown = without_unused(table_frame(TABLES[number], ICCV, collected(found)))
        assert {"tokens", "depth", "hidden", "mlp"} & set(shown) == printed, number


def test_a_measured_row(measurements):
    frame = table_frame(TABLES[3], ICCV, collected(measurements)).set_index("model")
    row = frame.loc["ResNet50*"]
    assert row["published_macs_g"] == 4.3
    assert row["macs_g"] == 4.111512576
    assert row["macs_difference_pct"] == pytest.approx(100 * -0.188487424 / 4.3)
    assert (row["macs_verdict"], row["params_verdict"], row["verdict"]) == ("differs", "equal", "differs")
    assert row["params_equal_by"] == "truncation"
    assert row["source"] == "measured"
    assert row["recipe"] == "cnn_t2t"


def test_what_is_missing_is_na_and_no_number(measurements):
    frame = table_frame(TABLES[3], ICCV, collected(measurements))
    assert len(frame) == 12
    assert frame[["top1_pct", "top1_std", "top1_std_err", "seeds"]].isna().all(axis=None)
    row = frame.set_index("model").loc["T2T-ViT_t-24"]  # nobody measured it
    for column in ("params_m", "trainable_params_m", "macs_g", "linear_macs_g", "macs_difference_pct", "verdict"):
        assert row.isna()[column], column
    assert row["published_macs_g"] == 15.0
    assert row["source"] == "published"


@pytest.mark.parametrize(("edition", "top1"), [(ICCV, 82.2), (ARXIV_V1, 81.4), (README, 82.4)])
def test_the_edition_chooses_the_printed_figures(measurements, edition, top1):
    frame = table_frame(TABLES[3], edition, collected(measurements)).set_index("model")
    assert frame.loc["T2T-ViT_t-19", "published_top1_pct"] == top1
    assert frame.loc["T2T-ViT_t-19", "edition"] == edition.name


def test_an_unprinted_figure_has_no_verdict(measurements):
    known = {Network("t2t_vit_t_24"): measurements[Network("t2t_vit_24")]}
    row = table_frame(TABLES[3], ARXIV_V1, collected(known)).set_index("model").loc["T2T-ViT_t-24"]
    assert row.isna()["published_macs_g"]
    assert row.isna()["macs_verdict"]
    assert row.isna()["macs_difference_pct"]
    assert row["verdict"] == row["params_verdict"] == "equal"


def trained(run_id, *, status="completed", complete=True):
    results = {
        "ema_best_top1_pct": 81.46,
        "ema_last_top1_pct": 81.4,
        "raw_best_top1_pct": 80.9,
        "raw_last_top1_pct": 80.8,
    }
    return RunRecord(
        run_id=run_id,
        spec={"seed": 42},
        status=status,
        history=[],
        git={"commit": "0123456789abcdef", "dirty": True},
        versions={"torch": "2.0"},
        data={"complete": complete, "train_images": 1_281_167 if complete else 5000, "val_images": 50_000},
        results=results,
        epoch=310,
        epochs=310,
        device="a GPU",
        precision="bfloat16",
    )


def accuracy(measurements, **kwargs):
    run_id = TABLES[3].rows[2].run.run_id
    frame = table_frame(TABLES[3], ICCV, collected(measurements, {run_id: [trained(run_id, **kwargs)]}))
    return frame.set_index("model").loc["T2T-ViT-14"]


def test_a_completed_run_fills_our_accuracy(measurements):
    row = accuracy(measurements)
    assert (row["top1_pct"], row["top1_last_pct"], row["seeds"], row["source"]) == (81.46, 81.4, 1, "trained")
    assert row["run_ids"] == TABLES[3].rows[2].run.run_id
    assert row.isna()[["top1_std", "top1_std_err"]].all()  # of one seed


def test_fine_tuned_weights_fill_their_data_sets_cells(measurements):
    row = TABLES[5].rows[1]
    ten, hundred = (run.run_id for run in row.transfers)
    parents = over_seeds(row.run.run_id, 81.4, 81.6)
    children = over_seeds(ten, 98.0, 98.4)
    for parent, child in zip(parents, children, strict=True):
        child.spec = {"seed": 42, "start_from": parent.run_id}
    records = {row.run.run_id: parents, ten: children, hundred: [trained(hundred, complete=False)]}
    frame = table_frame(TABLES[5], ICCV, collected(measurements, records)).set_index("model")
    line = frame.loc["T2T-ViT-14"]
    assert line["source"] == "trained"
    assert (line["cifar10_pct"], line["cifar10_seeds"]) == (pytest.approx(98.2), 2)
    assert line["cifar10_std"] == pytest.approx(0.2 * 2**0.5)
    assert line["cifar10_std_err"] == pytest.approx(0.2)
    assert line["cifar10_run_ids"].split() == [f"{ten}-0", f"{ten}-1"]
    assert line.isna()[["cifar100_pct", "cifar100_seeds"]].all()
    assert frame.loc["ViT-S/16"].isna()["cifar10_pct"]
    parents[0].data = {**parents[0].data, "complete": False}  # a part of ImageNet
    frame = table_frame(TABLES[5], ICCV, collected(measurements, records)).set_index("model")
    assert (frame.loc["T2T-ViT-14", "cifar10_pct"], frame.loc["T2T-ViT-14", "cifar10_seeds"]) == (98.4, 1)
    text = table_markdown(table_inputs(TABLES[5], ICCV, collected(measurements, records)))
    assert f"T2T-ViT-14, cifar10 (`{ten}-0`) was fine-tuned from weights that fill no cell" in text
    assert "5 of the accuracies after fine-tuning have not been reproduced here" in text


@pytest.mark.parametrize("kwargs", [{"status": "running"}, {"status": "failed"}, {"complete": False}])
def test_any_other_run_fills_nothing(measurements, kwargs):
    row = accuracy(measurements, **kwargs)
    assert row.isna()[["top1_pct", "top1_last_pct", "seeds", "run_ids"]].all()
    assert row["source"] == "measured"


def test_a_recipe_without_averaging_shows_its_raw_weights():
    record = trained("a")
    record.results = {"raw_best_top1_pct": 76.2, "raw_last_top1_pct": 76.1}
    assert (record.top1_pct("best"), record.top1_pct("last")) == (76.2, 76.1)


def test_runs_apart():
    entries = [Entry(row=row.name, spec=row.run) for row in TABLES[3].rows[:3]]
    run_id = TABLES[3].rows[2].run.run_id
    frame = runs_frame(entries, {run_id: [trained(run_id, complete=False)]}).set_index("model")
    assert frame.loc["ResNet50", "status"] == "not begun"
    assert frame.loc["ResNet50"].isna()[["ema_best_top1_pct", "epoch", "device", "error"]].all()
    row = frame.loc["T2T-ViT-14"]
    assert (row["status"], row["train_images"], row["ema_best_top1_pct"]) == ("completed", 5000, 81.46)
    assert (row["commit"], row["seed"]) == ("0123456789 (dirty)", 42)


def over_seeds(run_id, *top1, status="completed"):
    """A record a seed, with these accuracies."""
    records = [trained(f"{run_id}-{seed}", status=status) for seed in range(len(top1))]
    for record, value in zip(records, top1, strict=True):
        record.results = dict(record.results) | {"ema_best_top1_pct": value}
    return records


def test_seeds_give_mean_and_deviation_and_those_that_did_not_end_count_nowhere(measurements):
    run_id = TABLES[3].rows[2].run.run_id
    records = [*over_seeds(run_id, 81.0, 81.2, 81.7), *over_seeds(run_id, 99.0, status="running")]
    row = table_frame(TABLES[3], ICCV, collected(measurements, {run_id: records})).set_index("model").loc["T2T-ViT-14"]
    assert row["top1_pct"] == pytest.approx(81.3)
    assert row["top1_std"] == pytest.approx((0.3**2 + 0.1**2 + 0.4**2) ** 0.5 / 2**0.5)  # of the sample
    assert row["top1_std_err"] == pytest.approx(row["top1_std"] / 3**0.5)
    assert row["seeds"] == 3
    assert row["run_ids"].split() == [f"{run_id}-{seed}" for seed in range(3)]


def test_a_sweep_has_a_line_for_each_point_over_its_seeds():
    specs = [row.run for row in TABLES[3].rows[:2]]
    entries = [Entry(row="ResNet50", spec=spec, swept=(lr,)) for spec, lr in zip(specs, (0.1, 0.2), strict=True)]
    records = {specs[0].run_id: over_seeds("a", 70.0, 72.0)}
    runs = runs_frame(entries, records, ("lr",))
    assert list(runs["recipe_lr"]) == [0.1, 0.1, 0.2]
    by_entry = seeds_frame(runs, ("lr",)).set_index("recipe_lr")
    assert list(by_entry["seeds"]) == [2, 0]
    assert list(by_entry["runs"]) == [2, 1]
    assert by_entry.loc[0.1, "ema_best_top1_pct"] == 71
    assert by_entry.loc[0.1, "ema_best_top1_std"] == pytest.approx(2**0.5)
    assert by_entry.loc[0.1, "ema_best_top1_std_err"] == pytest.approx(1)
    assert by_entry.loc[0.2].isna()[["ema_best_top1_pct", "ema_best_top1_std"]].all()


def evaluation(run, released, *, images=None, hits=0.815, **kwargs):
    """An evaluation of released weights, of the whole validation set unless told otherwise."""
    images = images or DATASETS[run.dataset].val_images
    spec = EvaluationSpec(
        released=released.name,
        sha256="0123456789ab" + "c" * 52,
        network=run.network,
        dataset=run.dataset,
        crop_pct=run.recipe.crop_pct,
        eval_interpolation=run.recipe.eval_interpolation,
        precision=kwargs.pop("precision", "float32"),
        images=images,
        classes=kwargs.pop("classes", DATASETS[run.dataset].num_classes),
        images_sha256="d" * 64,
    )
    found = {
        "spec": spec,
        "file": released.files[0],
        "found_by": "name",
        "key": "state_dict_ema",
        "resized": (),
        "images": images,
        "top1_hits": round(hits * images),
        "top5_hits": round(max(0.95, hits) * images),
        "unreadable": (),
        "device": "cpu",
        "world_size": 1,
        "versions": {"torch": "2.0"},
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "evaluated_at": "2026-01-02T03:04:05+00:00",
        "wall_time_s": 1.0,
    }
    return Evaluation(**found | kwargs)


FOURTEEN = TABLES[3].rows[2].run


def evaluated(measurements, *found, records=None, table=3):
    frame = table_frame(TABLES[table], ICCV, collected(measurements, records or {}, {FOURTEEN.run_id: found}))
    return frame.set_index("model").loc["T2T-ViT-14"]


def test_a_whole_evaluation_fills_a_cell_that_no_run_fills(measurements):
    found = evaluation(FOURTEEN, RELEASED[FOURTEEN])
    row = evaluated(measurements, found)
    assert (row["top1_pct"], row["evaluated_top1_pct"], row["source"]) == (81.5, 81.5, "evaluated")
    assert row["evaluated_std_err"] == pytest.approx(0.17366, abs=1e-5)  # (81.5 * 18.5 / 50,000) ** 0.5
    assert (row["evaluated_images"], row["evaluated_file"]) == (50_000, "81.5_T2T_ViT_14.pth.tar")
    assert row["evaluated_sha256"] == found.spec.sha256
    assert row.isna()[["seeds", "top1_std", "run_ids", "top1_last_pct"]].all()
    row = evaluated(measurements, found, records={FOURTEEN.run_id: [trained(FOURTEEN.run_id)]})
    assert (row["top1_pct"], row["evaluated_top1_pct"], row["source"]) == (81.46, 81.5, "trained")


@pytest.mark.parametrize("kwargs", [{"images": 150}, {"images": 49_999}, {"resized": ("pos_embed",)}, {"classes": 999}])
def test_any_other_evaluation_fills_nothing(measurements, kwargs):
    row = evaluated(measurements, evaluation(FOURTEEN, RELEASED[FOURTEEN], **kwargs))
    assert row.isna()[["top1_pct", "evaluated_top1_pct", "evaluated_images", "evaluated_file"]].all()
    assert row["source"] == "measured"


def test_of_several_evaluations_the_newest_in_float32_counts(measurements):
    released = RELEASED[FOURTEEN]
    half = evaluation(FOURTEEN, released, hits=0.8, precision="float16", evaluated_at="2026-03-01T00:00:00+00:00")
    new = evaluation(FOURTEEN, released, hits=0.82, evaluated_at="2026-02-01T00:00:00+00:00")
    assert evaluated(measurements, half, new, evaluation(FOURTEEN, released))["top1_pct"] == 82


def test_an_official_name_outranks_what_was_found_by_its_content(measurements):
    released = RELEASED[FOURTEEN]
    mine = evaluation(FOURTEEN, released, hits=0.78, found_by="content", evaluated_at="2026-02-01T00:00:00+00:00")
    row = evaluated(measurements, evaluation(FOURTEEN, released), mine)
    assert (row["top1_pct"], row["evaluated_found_by"]) == (81.5, "name")
    text = table_markdown(table_inputs(TABLES[3], ICCV, collected(measurements, {}, {FOURTEEN.run_id: [mine]})))
    assert "| 78.00 ± 0.19 (evaluated, found by content) |" in re.sub(" +", " ", text)


def test_what_was_trained_is_not_subtracted_from_what_was_released(measurements):
    rows = {row.name: row.run for row in TABLES[6].rows}
    base, changed = rows["T2T-ViT-14"], rows["T2T-ViT-SE"]
    released = {base.run_id: [evaluation(base, RELEASED[base])]}
    runs = {changed.run_id: [trained(changed.run_id)]}
    frame = table_frame(TABLES[6], ICCV, collected(measurements, runs, released)).set_index("model")
    assert frame.loc["T2T-ViT-SE", "top1_pct"] == 81.46
    assert frame.isna().loc["T2T-ViT-SE", "change_pct"]
    frame = table_frame(
        TABLES[6], ICCV, collected(measurements, runs | {base.run_id: over_seeds(base.run_id, 81.0)}, released)
    )
    assert frame.set_index("model").loc["T2T-ViT-SE", "change_pct"] == pytest.approx(0.46)


def test_an_evaluation_on_cifar_fills_its_own_cells(measurements):
    run = TABLES[5].rows[1].transfers[0]
    found = {run.run_id: [evaluation(run, RELEASED[run], hits=0.983)]}
    frame = table_frame(TABLES[5], ICCV, collected(measurements, {}, found)).set_index("model")
    row = frame.loc["T2T-ViT-14"]
    assert (row["cifar10_pct"], row["cifar10_evaluated_pct"], row["source"]) == (98.3, 98.3, "evaluated")
    assert row["cifar10_evaluated_std_err"] == pytest.approx(0.12927, abs=1e-5)
    assert row["cifar10_evaluated_images"] == 10_000
    assert row.isna()[["top1_pct", "cifar100_pct", "cifar10_seeds"]].all()


def test_an_evaluation_is_of_the_protocol_that_it_was_made_by():
    spec = evaluation(FOURTEEN, RELEASED[FOURTEEN]).spec
    assert spec.is_of(FOURTEEN)
    assert not spec.is_of(dataclasses.replace(FOURTEEN, img_size=384))
    assert not spec.is_of(override_run(FOURTEEN, "crop_pct=0.875"))
    assert spec.is_of(override_run(FOURTEEN, "weight_decay=0.1"))  # however its weights were trained


def override_run(run, setting):
    return dataclasses.replace(run, recipe=override(run.recipe, [setting]))


@pytest.mark.parametrize("damage", [{"top1_hits": 50_001}, {"top5_hits": 3}, {"images": 50_001}])
def test_counts_that_contradict_each_other_are_no_evaluation(damage):
    with pytest.raises(ValueError, match="contradict"):
        dataclasses.replace(evaluation(FOURTEEN, RELEASED[FOURTEEN]), **damage)


def test_a_fine_tuned_file_fills_its_cell_once_it_is_known_what_it_reaches_on_imagenet(measurements, tmp_path):
    row = TABLES[5].rows[1]
    known = evaluation(row.run, RELEASED[row.run])
    ten = row.transfers[0]
    spec = ten.starting_from(Weights(sha256=known.spec.sha256, file="mine.pth"))
    other = ten.starting_from(Weights(sha256="e" * 64, file="other.pth"))
    others_recipe = override_run(spec, "lr=0.1")
    for run in (spec, spec.with_seed(7), other, others_recipe):
        record = trained(run.run_id)
        record.spec = run.identity()
        (tmp_path / run.run_id).mkdir()
        (tmp_path / run.run_id / "record.json").write_text(sealed(record))
    found = collect([row], RunRecords(tmp_path)).records
    assert {record.run_id for record in found[ten.run_id]} == {spec.run_id, spec.with_seed(7).run_id, other.run_id}
    assert not found[row.transfers[1].run_id]
    records = {ten.run_id: found[ten.run_id]}

    def line(records, *evaluations):
        frame = table_frame(TABLES[5], ICCV, collected(measurements, records, {row.run.run_id: evaluations}))
        text = table_markdown(
            table_inputs(TABLES[5], ICCV, collected(measurements, records, {row.run.run_id: evaluations}))
        )
        return frame.set_index("model").loc["T2T-ViT-14"], text

    cells, text = line(records)
    assert cells.isna()["cifar10_pct"]
    assert text.count("was fine-tuned from weights that fill no cell, so it fills none either. Evaluating") == 3
    assert f"`sha256 {known.spec.sha256}`" in text
    cells, text = line(records, known)
    assert (cells["cifar10_pct"], cells["cifar10_seeds"]) == (81.46, 2)
    assert set(cells["cifar10_run_ids"].split()) == {spec.run_id, spec.with_seed(7).run_id}
    assert text.count("from weights that fill no cell") == 1
    parent, child = trained(row.run.run_id), trained(ten.run_id)
    child.spec = {"seed": 42, "start_from": parent.run_id}
    records = {row.run.run_id: [parent], ten.run_id: [*found[ten.run_id], child]}
    cells, _ = line(records, known)
    assert cells["cifar10_run_ids"] == child.run_id  # what this suite trained itself is never mixed with a file's
