"""Params and MACs: the paper's figures, fused attention, operators that nobody counts, and the cache."""

import dataclasses
import functools
import importlib.metadata
import json

import pytest
import torch
from timm.layers import set_fused_attn
from torch import nn

import bench.measure.complexity
from bench.measure.complexity import CountError, count_macs, is_current, is_product
from bench.measure.source_hash import source_sha256
from bench.spec.errors import RequestError
from bench.spec.run import Network
from bench.training.build import create_network
from tests.conftest import ROOT, complexity

AUTHORS = json.loads((ROOT / "tests/golden/authors_code.json").read_text())
IMAGE = torch.zeros(1, 3, 224, 224)
measure = functools.cache(bench.measure.complexity.measure)


@pytest.mark.parametrize("name", ["t2t_vit_7", "t2t_vit_14", "t2t_vit_t_14", "t2t_vit_24"])
def test_counts_are_those_of_the_authors_code(name):
    # theirs has unfused attention, and einsum, which fvcore rounds
    measured = measure(Network(name))
    assert measured.params == AUTHORS[name]["params"]
    assert measured.macs == pytest.approx(AUTHORS[name]["macs"], rel=1e-5)


def test_measured_figures_at_the_printed_precision():
    measured = measure(Network("t2t_vit_14"))
    assert f"{measured.params / 1e6:.1f} {measured.macs / 1e9:.1f}" == "21.5 4.8"
    # the two frozen Performer matrices and the position table
    assert measured.params - measured.trainable_params == 2 * 32 * 64 + 197 * 384
    assert f"{measured.linear_macs / 1e9:.2f}" == "4.33"
    assert sum(measured.macs_by_operator.values()) == measured.macs


def test_higher_resolution_is_built_and_costs_more():
    measured = measure(Network("t2t_vit_7", img_size=384))
    assert measured.network.img_size == 384
    assert measured.params - measure(Network("t2t_vit_7")).params == (24 * 24 - 14 * 14) * 256
    assert measured.macs > 2.9 * measure(Network("t2t_vit_7")).macs  # 576 tokens for 196


def test_a_cnn_is_measured_at_another_resolution_too():
    # its factory would fail on img_size; four times the pixels cost four times the convolutions
    small, large = measure(Network("resnet18")), measure(Network("resnet18", img_size=448))
    assert small.macs_by_operator["conv"] * 4 == large.macs_by_operator["conv"]
    assert small.params == large.params


@pytest.mark.parametrize("name", ["t2t_vit_7", "t2t_vit_t_14", "deit_tiny_patch16_224"])
def test_fused_and_unfused_attention_count_the_same(name):
    counts = []
    for fused in (True, False):
        set_fused_attn(fused)
        try:
            counts.append(count_macs(create_network(Network(name)).eval(), IMAGE))
        finally:
            set_fused_attn(True)
    fused, unfused = counts
    assert "scaled_dot_product_attention" in fused.by_operator
    assert "scaled_dot_product_attention" not in unfused.by_operator
    assert fused.macs == unfused.macs
    assert fused.torch_macs == unfused.torch_macs
    assert fused.linear_macs == unfused.linear_macs


def test_fused_attention_of_other_shapes_is_counted_by_hand():
    class CrossAttention(nn.Module):
        def forward(self, x):
            q, k, v = x[..., :5, :6], x[..., :7, :6], x[..., :7, :9]
            return nn.functional.scaled_dot_product_attention(q, k, v)

    # batch 2, heads 3: 5 x 7 scores of width 6, then 5 x 7 weights on values of width 9
    assert count_macs(CrossAttention(), torch.randn(2, 3, 10, 10)).macs == 2 * 3 * 5 * 7 * (6 + 9)


def test_counts_of_a_known_network_by_hand():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5))
    count = count_macs(net.eval(), torch.zeros(1, 3, 4, 4))
    conv, norm, linear = 16 * 8 * 27, 2 * 128, 128 * 5
    assert count.macs == conv + norm + linear
    assert count.linear_macs == count.torch_macs == conv + linear
    assert count.uncounted == {}


class Baddbmm(nn.Module):
    def forward(self, x):
        return torch.baddbmm(x, x, x)


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 4)

    def forward(self, x):
        return self.lstm(x)[0]


class EncoderLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize(
    ("network", "operator"),
    [(Baddbmm, "aten::baddbmm"), (Lstm, "aten::lstm"), (EncoderLayer, "aten::_native_multi_head_attention")],
)
def test_a_product_that_nobody_counts_is_an_error(network, operator):
    with pytest.raises(CountError, match=operator):
        count_macs(network().eval(), torch.randn(4, 4, 4))


def test_counters_that_disagree_are_an_error():
    class Opaque(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x @ x

    class Hidden(nn.Module):
        def forward(self, x):
            return Opaque.apply(x)  # fvcore sees one nameless call, torch the product in it

    with pytest.raises(CountError, match="disagree on Hidden: 0 MACs"):
        count_macs(Hidden(), torch.randn(4, 4))


def test_elementwise_operators_are_listed_not_counted():
    class Elementwise(nn.Module):
        def forward(self, x):
            return torch.exp(x) + nn.functional.gelu(x)

    count = count_macs(Elementwise(), torch.randn(4, 4))
    assert count.macs == 0
    assert set(count.uncounted) == {"aten::exp", "aten::gelu", "aten::add"}


@pytest.mark.parametrize(
    "operator",
    "aten::addmv aten::baddbmm aten::conv_transpose2d aten::_convolution_mode aten::_native_multi_head_attention "
    "aten::linalg_multi_dot aten::bilinear torchvision::deform_conv2d aten::gru_cell aten::_scaled_mm".split(),
)
def test_names_of_products_are_recognised(operator):
    assert is_product(operator)


@pytest.mark.parametrize(
    "operator",
    "aten::add aten::mul aten::upsample_bilinear2d aten::_upsample_bilinear2d_aa aten::upsample_linear1d aten::gelu "
    "aten::softmax aten::im2col aten::addcmul aten::max_pool2d aten::comm prim::PythonOp".split(),
)
def test_other_names_are_not(operator):
    assert not is_product(operator)


def test_an_unknown_model_is_named_with_the_choices():
    with pytest.raises(RequestError, match=r"unknown model 't2t_vit_15'; did you mean 't2t_vit_1\d'\?.*t2t_vit_24"):
        measure(Network("t2t_vit_15"))


# When a kept measurement still holds


@pytest.fixture
def kept():
    """A measurement of one of our networks as this machine would keep it now."""
    measured = complexity("t2t_vit_7", 4_310_222, 1_156_470_316)
    versions = {name: importlib.metadata.version(name) for name in ("torch", "torchvision", "timm", "fvcore")}
    digest = source_sha256(bench.measure.complexity._figures, "t2t_vit_7")
    return dataclasses.replace(measured, versions=versions, source="models", source_sha256=digest)


def test_a_measurement_holds_while_nothing_changed(kept):
    assert is_current(kept)
    assert not is_current(dataclasses.replace(kept, versions={}))


@pytest.mark.parametrize("library", ["torch", "torchvision", "timm", "fvcore"])
def test_another_library_version_ends_it(kept, library):
    assert not is_current(dataclasses.replace(kept, versions={**kept.versions, library: "0.0.1"}))


def test_a_library_that_is_not_installed_does_not(kept, monkeypatch):
    def no_torch(name):
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return kept.versions[name]

    monkeypatch.setattr(importlib.metadata, "version", no_torch)
    assert is_current(kept)


def test_another_source_ends_it(kept):
    assert not is_current(dataclasses.replace(kept, source_sha256="1" * 64))
    assert not is_current(dataclasses.replace(kept, network=Network("resnet50")))
