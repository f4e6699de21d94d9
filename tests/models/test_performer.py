"""The Performer: its formula, its precision, its gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.performer import TokenPerformer, performer_attention
from tests.conftest import mostly_extended


def plain_performer(q, k, v, w, epsilon=1e-8):
    """The formula of the paper, one query at a time, in the type of its arguments."""

    def phi(x):
        return torch.stack([torch.exp(w_i @ x - x @ x / 2) for w_i in w]) / len(w) ** 0.5

    phi_k = [phi(x) for x in k]
    outputs = []
    for x in q:
        weights = [phi(x) @ f for f in phi_k]
        total = sum(weights) + epsilon
        outputs.append(sum(a * value for a, value in zip(weights, v, strict=True)) / total)
    return torch.stack(outputs)


def directions(m, c, generator):
    return torch.nn.init.orthogonal_(torch.empty(m, c), generator=generator) * m**0.5


@settings(max_examples=25, deadline=None)
@given(
    tokens=st.integers(1, 7),
    width=st.sampled_from([4, 8, 16]),
    scale=st.floats(0.01, 3.0),
    seed=st.integers(0, 2**31),
)
def test_attention_is_the_plain_formula_in_float64(tokens, width, scale, seed):
    g = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(1, tokens, width, generator=g, dtype=torch.float64) * scale for _ in range(3))
    w = directions(width // 2, width, g).double()
    expected = plain_performer(q[0], k[0], v[0], w)
    torch.testing.assert_close(performer_attention(q, k, v, w)[0], expected, rtol=1e-10, atol=1e-12)
    single = performer_attention(*(x.float() for x in (q, k, v, w)))[0]
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, rtol=1e-3, atol=1e-4 * scale)


def test_attention_passes_gradcheck():
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 4, generator=g, dtype=torch.float64, requires_grad=True) for _ in range(3))
    w = directions(2, 4, g).double()
    assert torch.autograd.gradcheck(lambda *x: performer_attention(*x, w), (q, k, v))


def test_layer_passes_gradcheck():
    torch.manual_seed(0)
    layer = TokenPerformer(6, 4).double().eval()
    x = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(dtype):
    torch.manual_seed(0)
    layer = TokenPerformer(147, 64).eval()
    x = torch.randn(2, 50, 147)
    expected = layer(x)
    with torch.autocast("cpu", dtype):
        y = layer(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, expected)


@pytest.mark.parametrize("dtype", mostly_extended([torch.bfloat16, torch.float16], torch.float16))
def test_finite_where_half_precision_is_not(dtype):
    g = torch.Generator().manual_seed(0)
    w = directions(32, 64, g)
    # A key along a random direction: the exponent reaches |w|^2 / 2 = 16, and e^16 is beyond float16. Far
    # apart, queries and keys leave a denominator below epsilon, which is zero in float16.
    q = k = torch.cat([w, -w, torch.randn(8, 64, generator=g) * 40])[None]
    v = torch.randn(q.shape, generator=g)
    half = plain_performer(q[0].half(), k[0].half(), v[0].half(), w.half())
    assert not half.isfinite().all()  # else this test shows nothing
    y = performer_attention(q.to(dtype), k.to(dtype), v.to(dtype), w.to(dtype))
    assert y.dtype == torch.float32
    assert y.isfinite().all()


def test_a_layer_cast_to_half_stays_finite_and_half():
    torch.manual_seed(0)
    layer = TokenPerformer(147, 64).half().eval()
    with torch.no_grad():
        layer.kqv.weight.mul_(20)
    y = layer(torch.randn(1, 50, 147).half())
    assert y.dtype == torch.float16
    assert y.isfinite().all()


def test_directions_are_orthogonal_frozen_and_saved():
    layer = TokenPerformer(147, 64)
    assert not layer.w.requires_grad
    assert layer.state_dict()["w"].shape == (32, 64)
    torch.testing.assert_close(layer.w @ layer.w.t(), 32 * torch.eye(32), rtol=0, atol=1e-4)


def test_both_dropouts_are_active_in_training():
    torch.manual_seed(0)
    layer = TokenPerformer(10, 8).train()
    x = torch.randn(1, 5, 10)
    assert not torch.equal(layer(x), layer(x))
    assert layer.dp.p == layer.mlp[3].p == 0.1
