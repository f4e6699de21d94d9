"""The study's page and its column among the claims, from made-up records: ``--all`` makes them from what is there."""

import dataclasses
import hashlib
import json
import re
import statistics

import numpy as np
import pytest

import bench.cli.index_report
from bench.cli.index_report import report_index
from bench.cli.parser import Output
from bench.cli.selection import Selection
from bench.cli.study_report import read_begun, read_study
from bench.experiments.grid import Point
from bench.experiments.scales import STUDIES
from bench.measure.collect import collect
from bench.paper import TABLES
from bench.paper.claims import CLAIMS
from bench.paper.editions import ICCV
from bench.report.figures.study import curves_figure
from bench.report.frame import table_frame
from bench.report.inputs import table_inputs
from bench.report.pages.claims import claims_frame, claims_markdown
from bench.report.pages.study import study_markdown
from bench.report.study_frames import study_verdicts
from bench.results.codec import sealed
from bench.results.predictions import packed, save_images
from bench.results.record import Fingerprint
from bench.results.run_folder import RunRecords
from bench.results.spec_file import save_spec
from tests.conftest import collected
from tests.report.test_evidence import rows_of, tables_of
from tests.report.test_frame import trained

SMALL, FULL = STUDIES["small"], STUDIES["full"]
IMAGES = 500
LABELS = np.arange(IMAGES) % 100
IMAGES_SHA256 = "0" * 64
CHOICE = Point(lr=1e-3, weight_decay=0.05)
TOP1 = {
    "t2t_vit_7": 40,
    "t2t_vit_t_7": 39,
    "t2t_vit_c_7": 33,
    "t2t_vit_7_patches": 30,
    "t2t_vit_wide": 35,
    "vit_s": 31,
    "resnet10t": 48,
    "mobilenetv2_140": 40,
    "mobilenetv2_100": 38,
}
"""% of the images that are right, by arm of the core"""


def save(runs, spec, predicted=None, **results):
    """A completed run: record, spec, metrics, and what was predicted of each image."""
    folder = runs / spec.run_id
    folder.mkdir(parents=True)
    epochs = spec.recipe.epochs
    last = max(results.values())
    speed = 300 - 4 * last
    lines = [
        {
            "epoch": epoch,
            "train_loss": 4 - last / 20 * (epoch + 1) / epochs,
            "raw_top1_pct": last * (epoch + 1) / epochs,
        }
        for epoch in range(epochs)
    ]
    metrics = "".join(f"{json.dumps(line)}\n" for line in lines)
    content = packed(IMAGES_SHA256, {"raw": predicted}) if predicted is not None else b""
    record = dataclasses.replace(
        trained(spec.run_id),
        spec=spec.identity(),
        history=[],
        epoch=epochs,
        epochs=epochs,
        device="a CPU",
        images_per_s=speed,
        epoch_images_per_s=[speed] * epochs,
        results=results,
        metrics_sha256=hashlib.sha256(metrics.encode()).hexdigest(),
        predictions_sha256=hashlib.sha256(content).hexdigest() if content else "",
        fingerprint=Fingerprint(
            basis="pixels",
            classes=100,
            class_names=(),
            train_images=50_000,
            val_images=IMAGES,
            train_sha256="1" * 64,
            val_sha256=IMAGES_SHA256,
        ),
    )
    save_spec(folder, spec)
    (folder / "record.json").write_text(sealed(dataclasses.asdict(record)))
    (folder / "metrics.jsonl").write_text(metrics)
    if content:
        (folder / "predictions.npz").write_bytes(content)


def save_grid(runs, study=SMALL):
    for family in study.tuned_on:
        for each in study.grid.points():
            save(runs, study.grid_run(family, each), held_out_raw_last_top1_pct=20.0 + (each == CHOICE))


def save_seeds(runs, *seeds, study=SMALL, keys=tuple(TOP1)):
    """Final runs whose hits scatter a little about ``TOP1``."""
    save_images(runs, IMAGES_SHA256, map(str, range(IMAGES)), LABELS)
    choice = dict.fromkeys(study.tuned_on, CHOICE)
    for key in keys:
        for seed in seeds:
            random = np.random.default_rng([seed, len(key)])
            is_hit = np.arange(IMAGES) * 7 % IMAGES < IMAGES * TOP1[key] / 100 + random.integers(-3, 4)
            predicted = np.where(is_hit, LABELS, (LABELS + 1) % 100)
            top1 = {"raw_last_top1_pct": 100 * is_hit.mean(), "held_out_raw_last_top1_pct": TOP1[key] - 1.0}
            save(runs, study.final_run(study.arm(key), choice, seed), predicted, **top1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A whole core of the small scale."""
    folder = tmp_path_factory.mktemp("core") / "runs"
    save_grid(folder)
    save_seeds(folder, *SMALL.seeds)
    return folder


def report(runs, reports):
    """The pages beside the tables, as ``--all`` writes them; returns what it says in JSON."""
    tables, known = list(TABLES.values()), RunRecords(runs)
    found = collect([row for table in tables for row in table.rows_in(ICCV)], known)
    inputs = [table_inputs(table, ICCV, collected(records=found.records)) for table in tables]
    every = Selection(tables=tuple(tables), recipe_tables=(), rows=(), edition=ICCV, is_all=True)
    output = Output(runs=runs, reports=reports, as_json=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.cli.index_report, "FIGURES", {})  # what they need is not measured here
        return report_index(every, inputs, known, output)[0]


@pytest.fixture(scope="module")
def reports(runs):
    folder = runs.with_name("reports")
    document = report(runs, folder)
    assert document["study"]["md"] == str(folder / "study.md")
    return folder


def in_study(page):
    """What the page of claims, or the index, says of each claim."""
    (table,) = [table for table in tables_of(page) if "in the study" in table[0]]
    return [cells["in the study"] for cells in table]


def test_all_writes_the_page_and_what_it_says_of_the_claims(reports):
    assert {path.name for path in reports.glob("study*")} == {
        *("study.md", "study.csv", "study.png", "study.svg", "study_contests.csv"),
        *(f"study_{name}.{suffix}" for name in ("curves", "speed") for suffix in ("png", "svg")),
    }
    index = (reports / "README.md").read_text()
    assert f"- [The study: {SMALL.title}](study.md)" in index
    expected = ["[agrees](study.md)", "[disagrees](study.md)", "[cannot tell](study.md)", *["[agrees](study.md)"] * 2]
    expected += [*["-"] * 5, "[not yet](study.md)"]  # dead channels are not counted
    assert in_study(reports / "claims.md") == in_study(reports / "README.md") == expected
    lines = {int(line["claim"]): line for line in rows_of(reports / "claims.csv")}
    assert [lines[claim]["study_verdict"] for claim in (1, 2, 10)] == ["agrees", "disagrees", None]


def test_curves_show_each_seed_beside_the_mean_of_its_arm(runs):
    results = read_study(SMALL, runs)
    figure = curves_figure(results)
    for axes in figure.axes:
        assert len(axes.lines) == 4 * len(TOP1)
        for at in range(0, len(axes.lines), 4):
            mean, *seeds = axes.lines[at : at + 4]
            assert mean.get_ydata() == pytest.approx(np.mean([seed.get_ydata() for seed in seeds], axis=0))
            assert all(seed.get_linewidth() < mean.get_linewidth() for seed in seeds)
            assert {seed.get_color() for seed in seeds} == {mean.get_color()}
    *arms, seed = [text.get_text() for text in figure.legends[0].get_texts()]
    assert seed == "a seed"
    assert all(arm.endswith(", mean of 3 seeds") for arm in arms)


def test_an_arm_has_its_mean_with_the_standard_error_of_its_seeds(runs, reports):
    (line,) = (line for line in rows_of(reports / "study.csv") if line["arm"] == "resnet10t")
    top1 = [json.loads((runs / run_id / "record.json").read_text())["results"] for run_id in line["run_ids"].split()]
    values = [results["raw_last_top1_pct"] for results in top1]
    assert len(values) == 3
    error = statistics.stdev(values) / 3**0.5
    assert float(line["top1_std_err"]) == pytest.approx(error)
    assert float(line["top1_std"]) == pytest.approx(3**0.5 * error)
    (cells,) = (
        cells for table in tables_of(reports / "study.md") for cells in table if cells.get("key") == "`resnet10t`"
    )
    assert (cells["top-1 %"], cells["n"]) == (f"{statistics.fmean(values):.2f} ± {error:.2f}", "3")


def test_all_writes_the_same_from_the_evidence_alone(reports, tmp_path):
    report(reports / "evidence", tmp_path)
    for path in [*reports.glob("study*"), reports / "claims.md", reports / "claims.csv", reports / "README.md"]:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_grid_is_evidence_that_the_page_links(runs, reports):
    (table,) = [table for table in tables_of(reports / "study.md") if "held-out top-1 %" in table[0]]
    grid = [SMALL.grid_run(family, point).run_id for family in SMALL.tuned_on for point in SMALL.grid.points()]
    assert [cells["run"] for cells in table] == [f"[record](evidence/{run_id}/record.json)" for run_id in grid]
    assert [cells["Family"] for cells in table if cells[""] == "chosen"] == list(SMALL.tuned_on)
    for run_id in grid:
        for name in ("spec.json", "record.json", "metrics.jsonl"):
            assert (reports / "evidence" / run_id / name).read_bytes() == (runs / run_id / name).read_bytes()


def test_without_a_run_there_is_no_page(tmp_path):
    assert read_begun(tmp_path) == []
    page = tmp_path / "claims.md"
    page.write_text(claims_page({}))
    assert in_study(page) == ["-"] * len(CLAIMS)


def claims_page(found):
    frames = {number: table_frame(table, ICCV, collected()) for number, table in TABLES.items()}
    return claims_markdown(CLAIMS, ICCV, claims_frame(CLAIMS, frames, None, found))


def test_a_claim_has_no_verdict_yet_while_seeds_or_arms_are_missing(tmp_path):
    save_grid(tmp_path)
    grid_alone = read_begun(tmp_path)
    assert [found.study.scale for found in grid_alone] == ["small"]
    assert study_verdicts(grid_alone) == {}
    save_seeds(tmp_path, 0, keys=("t2t_vit_7", "vit_s"))
    found = study_verdicts(read_begun(tmp_path))
    assert {number: one.verdict for number, one in found.items()} == dict.fromkeys((1, 2, 3, 4, 5, 11), "not yet")
    save_seeds(tmp_path, 1, 2, keys=("t2t_vit_7", "vit_s"))
    found = study_verdicts(read_begun(tmp_path))
    assert [found[number].verdict for number in (1, 2)] == ["agrees", "not yet"]
    assert "[not yet](study.md)" in claims_page(found)
    assert (found[1].trained, found[1].statement) == (
        "CIFAR-100 at 64 px, 6 epochs",
        "T2T-ViT-7 beats a plain ViT of about twice its params",
    )
    difference = r"\+\d+\.\d \(\+\d+\.\d to \+\d+\.\d\)"
    assert re.fullmatch(rf"T2T-ViT-7 against ViT, 384 wide, 6 deep: {difference}", found[1].differences)
    assert found[2].differences == ""


def test_the_scale_nearest_to_the_paper_says_it_where_it_has_a_verdict(runs, tmp_path):
    save_grid(tmp_path, FULL)
    save_seeds(tmp_path, 0, 1, 2, study=FULL, keys=("t2t_vit_7", "vit_s"))
    found = study_verdicts([read_study(FULL, tmp_path), read_study(SMALL, runs)])
    pages = {number: (one.verdict, one.page) for number, one in found.items()}
    assert pages[1] == ("agrees", "study_full.md")
    assert pages[2] == ("disagrees", "study.md")  # of a ResNet the full scale knows nothing yet


def test_predictions_that_are_gone_are_named_by_their_path_below_the_runs(runs, tmp_path):
    save_grid(tmp_path)
    save_seeds(tmp_path, 0, keys=("vit_s",))
    (lost,) = tmp_path.glob("vit_s*study_small-s0-*/predictions.npz")
    lost.unlink()
    found = read_study(SMALL, tmp_path)
    remedy = "restore it, or remove the run's folder to train it anew"
    assert found.problems == (f"{lost.relative_to(tmp_path)}: No such file or directory; {remedy}",)


def test_a_chosen_learning_rate_at_the_edge_of_what_was_tried_is_said(tmp_path, runs):
    sentence = "The chosen learning rate is at the edge of the extended grid for"
    assert sentence not in study_markdown(read_study(SMALL, runs), pictures=[])
    for each in [*SMALL.grid.points(), *(Point(lr=2.5e-4, weight_decay=decay) for decay in (0.05, 0.2))]:
        save(tmp_path, SMALL.grid_run("ViT", each), held_out_raw_last_top1_pct=20.0 - 1000 * each.lr)
    text = study_markdown(read_study(SMALL, tmp_path), pictures=[])
    assert f"{sentence} ViT (lowest: 0.00025): one beyond it might be better." in text
