"""The paper's claims: what each stands on, and when it is borne out."""

import dataclasses
import math
import re

import pandas as pd
import pytest
from scipy import stats

from bench.cli.tables import request
from bench.paper import TABLES
from bench.paper.claims import CLAIMS, PREMISES
from bench.paper.editions import ARXIV_V1, ICCV
from bench.paper.released import RELEASED
from bench.report.claim_tests import SEED_STD_PCT
from bench.report.frame import table_frame
from bench.report.pages.claims import Compared, claims_frame, claims_markdown, status, study_in_words
from bench.report.pages.history import history_section
from bench.report.pages.misprints import between_tables, other_ranges, printed_changes, wrong_premises
from bench.report.study_frames import ClaimVerdict
from bench.results.dead_channels import DeadChannels, LayerCounts
from bench.results.feature_maps import FeatureSource
from bench.spec.claim import Claim, Comparison, Pair
from bench.spec.run import Network, Weights
from bench.spec.table import Published
from tests.conftest import collected, complexity
from tests.report.test_frame import evaluation, over_seeds

GAIN = Comparison(table=3, row="T2T-ViT-14", against="ResNet50", low=3.0)
ROWS = {row.name: row.run for row in TABLES[3].rows}


def frames(records=None, evaluations=None, measurements=None):
    return {
        number: table_frame(table, ICCV, collected(measurements, records, evaluations))
        for number, table in TABLES.items()
    }


def one(comparison, **kwargs):
    return claims_frame([Claim(number=1, text="", comparisons=(comparison,))], frames(**kwargs)).iloc[0]


def test_every_claim_of_the_text_stands_on_rows_that_are_there():
    assert [claim.number for claim in CLAIMS] == list(range(1, 12))
    found = claims_frame(CLAIMS, frames())
    tested = found[found["claim"] != 11]
    assert tested[["published", "published_status"]].notna().all(axis=None)
    assert set(found["ours_status"]) == {"untested"}


def test_the_papers_own_figures_contradict_its_text_where_they_do():
    found = claims_frame(CLAIMS, frames())
    assert {c.number: status(found, c.number, "published") for c in CLAIMS} == {
        **dict.fromkeys((2, 3, 4, 5, 7, 9), "holds"),
        **dict.fromkeys((6, 8, 10), "too close to tell"),
        1: "fails",
        11: "untested",
    }
    (failing,) = found[found["published_status"] == "fails"].to_dict("records")
    assert (failing["cell"], failing["claimed"]) == ("macs_g", "51.5 %")
    assert failing["published"] == pytest.approx(100 * 4.8 / 10.1)
    text = claims_markdown(CLAIMS, ICCV, found)
    assert "the text says 51.5 %, the printed numbers give 47.5 %; 5.2 G, which arXiv v1 prints" in text
    assert "The change of T2T-ViT-Wide is printed as -3.4, but the printed accuracies give -3.6." in text
    assert "ViT-B/16: params of 86.8 M in [Table 1](table_1.md), but 86.4 M in [Table 2](table_2.md)." in text
    assert "- Claim 2: the text says 1.4 to 2.7 points, the printed accuracies give 1.5 to 2.6." in text
    assert "- Claim 4: the text says -1.0 to -0.5 points, the printed accuracies give -0.9 to -0.7." in text
    assert "prints 77.5 % for DenseNet201\\* and 79.1 % for ResNet50\\*; it does beat the ResNet50 that" in text
    (unstarred,) = [row for row in TABLES[6].rows if row.name == "ResNet50"]
    assert f"{unstarred.published[ICCV].top1_pct} %" in PREMISES[0].note
    assert "| fails (MACs) " in text
    assert text.count("the printed numbers give") == 1


def test_params_and_macs_of_ours_are_exact():
    measured = {}
    for model, params, macs in (("t2t_vit_14", 21_546_000, 4_800_000_000), ("vit_s_16", 48_754_000, 9_900_000_000)):
        one_ = complexity(model, params, macs)
        measured[one_.network] = one_
    line = one(dataclasses.replace(CLAIMS[0].comparisons[1]), measurements=measured)
    assert (line["ours_status"], line["ours_from"]) == ("holds", "measured")
    assert line["ours"] == pytest.approx(44.193, abs=1e-3)
    assert one(CLAIMS[0].comparisons[2], measurements=measured)["ours_status"] == "fails"


def test_seeds_and_images_make_the_error_of_what_was_trained():
    first, second = ROWS["T2T-ViT-14"], ROWS["ResNet50"]
    records = {
        first.run_id: over_seeds(first.run_id, 81.0, 82.0),
        second.run_id: over_seeds(second.run_id, 76.0),
    }
    line = one(GAIN, records=records)
    assert (line["ours"], line["ours_from"]) == (5.5, "trained")
    seeds, images = 0.5 / 2 + SEED_STD_PCT**2, 81.5 * 18.5 / 50_000 + 76 * 24 / 50_000
    assert line["ours_std_err"] == pytest.approx((seeds + images) ** 0.5)
    assert line["ours_images"] == "independent"
    assert line["ours_status"] == "too close to tell"  # two seeds that far apart say little
    records[first.run_id] = over_seeds(first.run_id, 81.4, 81.5, 81.6)
    line = one(GAIN, records=records)
    assert line["ours_status"] == "holds"
    assert line["ours_low"] < line["ours"] - line["ours_std_err"] < line["ours"] < line["ours_high"]
    assert 2 * line["ours_std_err"] < line["ours_detectable"] < 4 * line["ours_std_err"]


def test_what_was_trained_is_not_compared_with_what_was_released():
    first, second = ROWS["T2T-ViT-14"], ROWS["ResNet50"]
    trained = {first.run_id: over_seeds(first.run_id, 81.0)}
    released = {second.run_id: [evaluation(second, RELEASED[second], hits=0.76)]}
    assert one(GAIN, records=trained, evaluations=released)["ours_status"] == "untested"
    released[first.run_id] = [evaluation(first, RELEASED[first], hits=0.82)]
    line = one(GAIN, records=trained, evaluations=released)
    assert (line["ours"], line["ours_from"], line["ours_status"]) == (6.0, "evaluated", "holds")
    assert line["ours_std_err"] == pytest.approx(((82 * 18 + 76 * 24) / 50_000 + 2 * SEED_STD_PCT**2) ** 0.5)


def test_what_was_trained_counts_before_what_was_released():
    first, second = ROWS["T2T-ViT-14"], ROWS["ResNet50"]
    trained = {run.run_id: over_seeds(run.run_id, top1) for run, top1 in ((first, 81.0), (second, 76.5))}
    released = {
        run.run_id: [evaluation(run, RELEASED[run], hits=top1)] for run, top1 in ((first, 0.82), (second, 0.76))
    }
    line = one(GAIN, records=trained, evaluations=released)
    assert (line["ours"], line["ours_from"]) == (4.5, "trained")


def test_cifar_counts_on_its_own_images():
    row, other = (TABLES[5].rows[i].transfers[0] for i in (1, 0))
    (comparison,) = [c for c in CLAIMS[9].comparisons if c.row == "T2T-ViT-14" and c.cell == "cifar10_pct"]
    line = one(comparison)
    assert line["published_std_err"] == pytest.approx(((97.5 * 2.5 + 97.1 * 2.9) / 10_000 + 2 * SEED_STD_PCT**2) ** 0.5)
    assert row.dataset == other.dataset == "cifar10"


def counts(by_image, images=None, sha256="2" * 64):
    """Counts of a trained network with 1000 channels, this many of them dead on each image."""
    return DeadChannels(
        source=FeatureSource(network=Network("vit_large_patch16_224"), weights=Weights(file="w.pth", sha256="1" * 64)),
        dataset="imagenet",
        images_sha256=sha256,
        images=tuple(images or range(len(by_image))),
        key="",
        dead_below=0.01,
        layers=(LayerCounts(name="blocks.0", channels=1000, dead=tuple(by_image), always_dead=0),),
        versions={"python": "3.11.7"},
        machine="Linux x86_64, a processor, 2 cores",
        measured_at="2026-01-02T03:04:05+00:00",
    )


@pytest.mark.parametrize(
    ("vit", "resnet", "statuses", "found"),
    [
        (counts([200, 220, 210, 190]), counts([10, 30, 20, 0]), ["holds", "holds"], [20.5, 19.0]),
        (counts([50, 60, 70, 60]), counts([90, 100, 120, 110]), ["fails", "fails"], [6.0, -4.5]),
        (counts([50, 150, 90, 110]), counts([40, 141, 82, 99]), ["too close to tell", "holds"], [10.0, 0.95]),
        (counts([0, 0, 0, 0]), counts([0, 0, 0, 0]), ["fails", "fails"], [0.0, 0.0]),
        (counts([200, 220, 210, 190]), None, ["holds", "untested"], [20.5, None]),
        (None, counts([10, 30, 20, 0]), ["untested", "untested"], [None, None]),
        # Of other images there is no telling image by image.
        (counts([200, 220, 210, 190]), counts([1, 2, 3, 4], sha256="3" * 64), ["holds", "untested"], [20.5, None]),
        (counts([200, 220, 210, 190]), counts([1, 2, 3], images=(0, 1, 3)), ["holds", "untested"], [20.5, None]),
    ],
)
def test_claim_11_stands_on_the_shares_of_dead_channels_of_each_image(vit, resnet, statuses, found):
    dead = {name: one for name, one in {"ViT-L/16": vit, "ResNet50": resnet}.items() if one}
    lines = claims_frame(CLAIMS[10:], frames(), dead)
    assert lines["ours_status"].tolist() == statuses
    assert [None if pd.isna(value) else pytest.approx(value) for value in lines["ours"]] == found
    assert set(lines["published_status"]) == {"untested"}
    assert lines["claimed"].tolist() == ["above 10.0 %", "above 0.0"]


def test_the_error_of_dead_channels_is_that_of_the_images():
    vit, resnet = counts([200, 220, 210, 190]), counts([10, 35, 20, 0])
    first, second = claims_frame(CLAIMS[10:], frames(), {"ViT-L/16": vit, "ResNet50": resnet}).to_dict("records")
    for line, shares in ((first, [20, 22, 21, 19]), (second, [19, 18.5, 19, 19])):
        interval = stats.ttest_1samp(shares, 0).confidence_interval(0.95)
        assert line["ours_std_err"] == pytest.approx(stats.sem(shares))
        assert (line["ours_low"], line["ours_high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    text = claims_markdown(CLAIMS[10:], ICCV, claims_frame(CLAIMS[10:], frames(), {"ViT-L/16": vit}))
    cells = r"\[Figure 2\]\(figure_2.md\) \| dead channels \| above 10.0 % .*20.50 % ± 0.65 .*holds"
    assert re.search(r"\| ViT-L/16, trained +\| " + cells, text)


def test_the_study_is_told_in_a_sentence_a_claim():
    def found(page, verdict, differences=""):
        return ClaimVerdict(verdict=verdict, page=page, trained="Data", statement="A beats B*", differences=differences)

    in_study = {
        2: found("study.md", "disagrees", "A against B*: -2.0 (-3.0 to -1.0)"),
        1: found("study.md", "cannot tell", "A against B*: +0.1 (-1.0 to +1.2)"),
        3: found("study.md", "not yet"),
        4: found("study_full.md", "agrees", "A against B*: +2.0 (+1.0 to +3.0)"),
    }
    small, full = study_in_words(in_study).items()
    assert small[0].startswith("[The study](study.md) (Data) tests the direction of each claim")
    assert small[1] == [
        r"Claim 1, *A beats B\**: **cannot tell**. A against B\*: +0.1 (-1.0 to +1.2).",
        r"Claim 2, *A beats B\**: **disagrees**. A against B\*: -2.0 (-3.0 to -1.0).",
    ]
    assert full[0].startswith("[The study](study_full.md)")
    assert len(full[1]) == 1
    assert study_in_words({3: in_study[3]}) == {}
    text = claims_markdown(CLAIMS, ICCV, claims_frame(CLAIMS, frames(), in_study=in_study), in_study)
    assert f"{small[0]}\n\n- {small[1][0]}\n- {small[1][1]}\n\n{full[0]}\n\n- {full[1][0]}\n\n|" in text


def test_a_claim_is_as_good_as_its_worst_comparison():
    claim = Claim(number=1, text="*bold*", comparisons=(GAIN, dataclasses.replace(GAIN, low=99.0)))
    found = claims_frame([claim], frames())
    assert status(found, 1, "published") == "fails"
    assert r"\*bold\*" in claims_markdown([claim], ICCV, found)


def test_a_claim_can_be_tried():
    with pytest.raises(ValueError, match="needs something that it can be tried on"):
        Claim(number=1, text="")


@pytest.mark.parametrize("change", [{"low": None}, {"of": "product"}])
def test_what_is_no_comparison(change):
    with pytest.raises(Exception, match=r"needs a bound|unknown kind of comparison"):
        dataclasses.replace(GAIN, **change)


def made_up(number, *rows):
    """A table of rows given as name, group and printed numbers; those with a name in capitals are baselines."""
    first = TABLES[6].rows[0]
    return dataclasses.replace(
        TABLES[number],
        rows=tuple(
            dataclasses.replace(
                first, name=name, group=group, baseline=name.isupper(), published={ICCV: Published(**figures)}
            )
            for name, group, figures in rows
        ),
    )


def test_printed_changes_that_the_printed_accuracies_do_not_give():
    table = made_up(
        6,
        ("small_*", "one", {"top1_pct": 78.5, "change_pct": -1.0}),
        ("BASE", "one", {"top1_pct": 80.3}),
        ("right", "one", {"top1_pct": 81.5, "change_pct": 1.2}),  # 81.5 - 80.3 is a little more in floating point
        ("without", "one", {"top1_pct": 70.0}),
        ("SECOND", "one", {"top1_pct": 90.0}),
        ("alone", "two", {"top1_pct": 70.0, "change_pct": 9.0}),
        ("OTHER", "three", {"top1_pct": 60.0}),
        ("plus", "three", {"top1_pct": 62.0, "change_pct": -2.0}),
        ("no accuracy", "three", {"change_pct": 1.0}),
    )
    assert printed_changes(table, ICCV) == [
        r"The change of small\_\* is printed as -1.0, but the printed accuracies give -1.8.",
        "The change of plus is printed as -2.0, but the printed accuracies give +2.0.",
    ]
    assert printed_changes(table, ARXIV_V1) == []


def test_networks_that_tables_print_differently():
    tables = [
        made_up(2, ("a*", "", {"top1_pct": 79.0, "params_m": 21.5, "macs_g": 4.8}), ("b", "", {"params_m": 5.0})),
        made_up(3, ("a", "", {"top1_pct": 76.0, "params_m": 21.5, "macs_g": 5.2}), ("c", "", {"top1_pct": 70.0})),
        made_up(
            6,
            ("a", "", {"top1_pct": 76.0, "macs_g": 5.2}),
            ("b", "", {"params_m": 5.0}),
            ("c", "", {"top1_pct": 70.5}),
            ("c", "again", {"top1_pct": 70.5}),
        ),
    ]
    two, three, six = (f"[Table {number}](table_{number}.md)" for number in (2, 3, 6))
    assert between_tables(tables, ICCV) == [
        f"a: MACs of 4.8 G in {two}, but 5.2 G in {three} and {six}.",  # a star is of the training alone
        f"c: top-1 of 70.0 % in {three}, but 70.5 % in {six}.",
    ]
    assert between_tables(tables[:1], ICCV) == []


def test_a_text_can_give_other_numbers_than_its_tables():
    table = made_up(3, ("a", "", {"top1_pct": 80.0}), ("b", "", {"top1_pct": 81.4}), ("c", "", {"params_m": 5.0}))
    above = Comparison(table=3, row="b", against="a", low=1.0, high=1.5)
    wide = Claim(
        number=4,
        text="",
        comparisons=(
            above,
            dataclasses.replace(above, row="a", against="b", low=-1.4, high=-1.4),  # a number
            dataclasses.replace(above, low=-2.0, high=2.0),  # little
            dataclasses.replace(above, of="ratio"),
            dataclasses.replace(above, row="c"),
        ),
    )
    said = "Claim 4: the text says 1.0 to 1.5 points, the printed accuracies give 1.4 to 1.4."
    assert other_ranges([wide], {3: table}, ICCV) == [said]
    assert other_ranges([wide], {3: table}, ARXIV_V1) == []
    exact = dataclasses.replace(above, row="b", low=1.4, high=1.4)
    assert other_ranges([Claim(number=1, text="", comparisons=(exact,))], {3: table}, ICCV) == []
    right = Comparison(table=3, row="b", against="a", low=0.0)
    wrong = dataclasses.replace(right, row="a", against="b", note="so it is")
    assert wrong_premises([right, wrong, dataclasses.replace(right, row="c")], {3: table}, ICCV) == [
        "The text says that a beats b, but [Table 3](table_3.md) prints 80.0 % for a and 81.4 % for b; so it is."
    ]


def test_by_how_much_more_one_network_loses_than_another():
    ghost, resnet = (("T2T-ViT-Ghost", "T2T-ViT-14"), ("ResNet50-Ghost*", "ResNet50*"))
    (comparison,) = [c for c in CLAIMS[8].comparisons if c.row == ghost[0] and c.less]
    assert (comparison.less.row, comparison.less.against) == resnet
    line = one(comparison)
    single = [one(Comparison(table=6, row=row, against=against, low=-9.0)) for row, against in (ghost, resnet)]
    assert line["published"] == pytest.approx(single[0]["published"] - single[1]["published"]) == pytest.approx(0.9)
    assert line["published_std_err"] == pytest.approx(math.hypot(*(each["published_std_err"] for each in single)))
    assert line["comparison"] == "T2T-ViT-Ghost against T2T-ViT-14, minus ResNet50-Ghost* against ResNet50*"
    assert line["published_status"] == "holds"  # 0.9 is 2.07 of its standard errors
    runs = {row.name: row.run for row in TABLES[6].rows}
    tops = {ghost[0]: (79.6, 79.8), ghost[1]: (81.5, 81.6), resnet[0]: (76.0, 76.2), resnet[1]: (79.0, 79.1)}
    records = {runs[name].run_id: over_seeds(runs[name].run_id, *accuracies) for name, accuracies in tops.items()}
    line = one(comparison, records=records)
    assert line["ours"] == pytest.approx((79.7 - 81.55) - (76.1 - 79.05))
    assert line["ours_from"] == "trained"
    single = [
        one(Comparison(table=6, row=row, against=against, low=-9.0), records=records)
        for row, against in (ghost, resnet)
    ]
    assert line["ours_std_err"] == pytest.approx(math.hypot(*(each["ours_std_err"] for each in single)))
    del records[runs[resnet[0]].run_id]
    assert one(comparison, records=records)["ours_status"] == "untested"
    trained, released = (
        Compared(published=1.0, published_effect=None, ours=2.0, effect=None, source=source)
        for source in ("trained", "evaluated")
    )
    assert (trained.beyond(trained).ours, trained.beyond(released).ours) == (0.0, None)


@pytest.mark.parametrize(
    "change",
    [
        {"low": 1.0, "high": 1.0},
        {"less": Pair(table=6, row="a", against="b", cell="params_m")},
        {"less": Pair(table=3, row="a", against="b")},
        {"less": Pair(table=6, row="a", against="b", of="ratio")},
    ],
)
def test_two_differences_of_a_cell_are_compared_by_one_bound(change):
    less = Comparison(table=6, row="a", against="b", less=Pair(table=6, row="c", against="d"), low=0.0)
    with pytest.raises(ValueError, match=r"a against b, minus . against .: two differences of one cell of one table"):
        dataclasses.replace(less, **change)


def test_what_changed_between_the_editions_is_worked_out_from_them():
    text = history_section()
    assert "rose by 0.4 to 1.0 points, while those of the retrained ResNets did not change" in text
    assert "was 1.0 to 1.6 points in arXiv v1 and is 1.5 to 2.6 in ICCV." in text
    (line,) = [line for line in text.splitlines() if line.startswith("python run_all.py")]
    asked = request(line.split()[2:])
    assert (asked.run, asked.dry_run) == ("slurm", True)
    assert len({spec.run_id for spec in asked.specs}) == 12
    assert {spec.seed for spec in asked.specs} == {0, 1, 2}
    found = claims_frame(CLAIMS, frames())
    assert text in claims_markdown(CLAIMS, ICCV, found)
    assert "trained alike?" not in claims_markdown(CLAIMS, ARXIV_V1, found)
