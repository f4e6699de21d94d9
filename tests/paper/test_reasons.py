"""What the reasons for differing cells say, measured again."""

import pytest
import torch

from bench.measure.complexity import count_macs
from bench.paper import TABLES
from bench.paper.editions import ICCV
from bench.paper.reasons import AUTHORS_CODE, FROZEN_LEFT_OUT, NORM_AT_5, NOT_EXPLAINED, VIT_S_MACS
from bench.report.counting import FUSED
from bench.report.verdict import CLOSE, DIFFERS, EQUAL, equal_by, verdict
from bench.results.store import load_complexity
from bench.spec.run import Network
from bench.training.build import create_network
from tests.conftest import lines_of
from tests.measure.test_complexity import AUTHORS

IMAGE = torch.zeros(1, 3, 224, 224)
ROWS = [(number, row) for number, table in TABLES.items() for row in table.rows]


def why(number, name, cell):
    """The reason held for a row's cell in the ICCV edition."""
    (row,) = [row for row in TABLES[number].rows_in(ICCV) if row.name == name]
    return row.printed(ICCV)[0].why[cell]


def test_each_differing_cell_has_a_reason_and_no_other_cell_has_one(measured_once):
    for number, table in TABLES.items():
        lines = lines_of(measured_once[2] / f"table_{number}.csv")
        for row, line in zip(table.rows_in(ICCV), lines, strict=True):
            published, _ = row.printed(ICCV)
            differing = {cell for cell in ("params_m", "macs_g") if line[f"{cell[:-2]}_verdict"] in (CLOSE, DIFFERS)}
            differing |= {column for column, printed in published.structure.items() if line[column] != printed}
            assert differing == published.why.keys(), (number, row.name)


def test_trainable_parameters_give_what_is_printed_where_the_others_seem_left_out(measured_once):
    found = 0
    for number, row in ROWS:
        for published in row.published.values():
            if FROZEN_LEFT_OUT in published.why.get("params_m", ""):
                measured = load_complexity(measured_once[1], row.network)
                given = verdict(published.params_m, measured.trainable_params / 1e6)
                assert given == EQUAL, (number, row.name)
                assert verdict(published.params_m, measured.params / 1e6) != EQUAL
                how = equal_by(published.params_m, measured.trainable_params / 1e6)
                assert ("cut off" in published.why["params_m"]) <= (how == "truncation")
                found += 1
    assert found == 13


def test_the_authors_code_gives_what_is_measured_where_it_is_said_to(measured_once):
    found = set()
    for _, row in ROWS:
        for published in row.published.values():
            for cell, reason in published.why.items():
                if reason == AUTHORS_CODE:
                    measured = load_complexity(measured_once[1], row.network)
                    ours, theirs = (
                        (measured.params, AUTHORS[row.network.model]["params"])
                        if cell == "params_m"
                        else (measured.macs, AUTHORS[row.network.model]["macs"])
                    )
                    assert ours == pytest.approx(theirs, rel=1e-5)
                    found.add((row.name, cell))
    assert len(found) == 7


@pytest.mark.parametrize(
    ("model", "in_training", "number", "name"),
    [
        ("resnet101", "7.88", 3, "ResNet101"),
        pytest.param("densenet201", "4.41", 6, "DenseNet201*", marks=pytest.mark.extended),
    ],
)
def test_batch_norm_counted_as_in_training_gives_what_is_printed(model, in_training, number, name):
    network = create_network(Network(model))
    counted = count_macs(network.train(), IMAGE).macs / 1e9
    assert f"{counted:.2f}" == in_training
    assert why(number, name, "macs_g") == f"{NORM_AT_5}{in_training} G"
    (row,) = [row for row in TABLES[number].rows if row.name == name]
    assert verdict(row.published[ICCV].macs_g, counted) == EQUAL


def test_vit_b_without_its_positions():
    network = create_network(Network("vit_base_patch16_224"))
    params = sum(p.numel() for p in network.parameters()) - network.pos_embed.numel()
    assert network.pos_embed.shape[1:] == (197, 768)
    assert verdict(86.4, params / 1e6) == EQUAL
    assert verdict(86.8, params / 1e6) != EQUAL  # Table 1's, which stays unexplained
    assert why(1, "ViT-B/16", "params_m").startswith(NOT_EXPLAINED)
    assert "197 x 768" in why(2, "ViT-B/16", "params_m")
    assert f"{params / 1e6:.3f} M" in why(2, "ViT-B/16", "params_m")


def test_the_family_of_vit_s_is_printed_above_its_count(measured_once):
    excess = [
        published.macs_g - load_complexity(measured_once[1], row.network).macs / 1e9
        for _, row in ROWS
        for published in row.published.values()
        if published.why.get("macs_g") == VIT_S_MACS
    ]
    assert len(excess) == 7
    assert f"{min(excess):.1f} to {max(excess):.1f} G" in VIT_S_MACS


def test_the_bare_backbone():
    network = create_network(Network("t2t_vit_14_no_t2t")).eval()
    params = sum(p.numel() for part in (network.blocks, network.norm, network.head) for p in part.parameters())
    assert f"{params / 1e6:.3f} M" in why(7, "T2T-ViT-14 without T2T", "params_m")
    embedding = 196 * 768 * 384
    assert f"{(count_macs(network, IMAGE).macs - embedding) / 1e9:.3f} G" in why(7, "T2T-ViT-14 without T2T", "macs_g")


@pytest.mark.parametrize(
    ("number", "name", "cell"),
    [
        (3, "ResNet50", "macs_g"),
        (6, "ResNet50*", "macs_g"),
        (6, "ViT-DN", "params_m"),
        (6, "ViT-DN", "macs_g"),
    ],
)
def test_a_candidates_figures_in_a_reason_are_the_measured_ones(measured_once, number, name, cell):
    (row,) = [row for row in TABLES[number].rows if row.name == name]
    (candidate,) = row.candidates
    measured = load_complexity(measured_once[1], candidate.network)
    reason = why(number, name, cell)
    assert f"{measured.macs / 1e9:.3f} G" in reason
    if "params" in reason:
        assert f"{measured.params / 1e6:.3f} M params" in reason
    own = load_complexity(measured_once[1], row.network)
    printed = row.published[ICCV].macs_g
    assert abs(measured.macs / 1e9 - printed) < abs(own.macs / 1e9 - printed)


def test_wide_is_the_network_that_fits_what_is_printed_of_it(measured_once):
    """And not that of Table 7, whose numbers are others."""
    (wide,) = [row for row in TABLES[6].rows if row.name == "T2T-ViT-Wide"]
    (d768,) = [row for row in TABLES[7].rows if row.name == "T2T-ViT-d768-4"]
    (candidate,) = wide.candidates
    assert candidate.network == d768.network != wide.network
    printed = wide.published[ICCV]
    fits = {}
    for network in (wide.network, d768.network):
        measured = load_complexity(measured_once[1], network)
        pairs = ((printed.params_m, measured.params / 1e6), (printed.macs_g, measured.macs / 1e9))
        fits[network] = [verdict(number, found) == EQUAL for number, found in pairs]
    assert fits == {wide.network: [True, True], d768.network: [True, False]}
    assert d768.published[ICCV] != printed


def test_the_page_on_counting_says_what_holds(measured_once):
    t2t_14, t2t_t_14, t2t_19, t2t_24, vit_s = (
        load_complexity(measured_once[1], Network(name))
        for name in ("t2t_vit_14", "t2t_vit_t_14", "t2t_vit_19", "t2t_vit_24", "vit_s_16")
    )
    for measured, printed in ((t2t_14, 4.8), (t2t_t_14, 6.1)):
        without = measured.macs - measured.macs_by_operator[FUSED]
        for count, fits in ((measured.macs, True), (without, False), (measured.linear_macs, False)):
            assert (verdict(printed, count / 1e9) == EQUAL) == fits
    for measured, printed in ((t2t_19, 39.2), (t2t_24, 64.1)):
        assert verdict(printed, measured.params / 1e6) == EQUAL
        assert verdict(printed, measured.trainable_params / 1e6) != EQUAL
    assert verdict(48.6, vit_s.params / 1e6) != EQUAL
    assert verdict(48.6, vit_s.trainable_params / 1e6) != "differs"


def test_small_arithmetic():
    assert 786 % create_network(Network("vit_s_16")).blocks[0].attn.num_heads
    assert "786 is not a multiple of its number of heads" in why(1, "ViT-S/16", "hidden")
    assert "44.549 M" in why(3, "ResNet101", "params_m")
