"""The literal networks compute what the registered ones compute, so that a comparison in speed means something."""

import pytest
import timm
import torch

import models  # noqa: F401  registers the networks
from tests import literal_t2t

MODELS = [f"t2t_vit_{size}" for size in ("7", "10", "12", "14", "19", "24", "t_14", "t_19", "t_24")]


@pytest.mark.parametrize(("model", "img_size"), [("t2t_vit_7", 224), ("t2t_vit_7", 64), ("t2t_vit_t_14", 64)])
def test_logits_and_gradients_are_equal(model, img_size):
    torch.manual_seed(0)
    ours = timm.create_model(model, img_size=img_size, num_classes=10).eval()
    literal = literal_t2t.create(model, img_size=img_size, num_classes=10).eval()
    literal.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(1, 3, img_size, img_size)
    logits = [network(x) for network in (ours, literal)]
    torch.testing.assert_close(*logits, rtol=0, atol=2e-6)
    for each in logits:
        each.square().sum().backward()
    expected = {name: p.grad for name, p in literal.named_parameters() if p.grad is not None}
    grads = {name: p.grad for name, p in ours.named_parameters() if p.grad is not None}
    assert grads.keys() == expected.keys()
    for name, grad in grads.items():
        bound = 1e-5 * expected[name].abs().max().item()
        assert (grad - expected[name]).abs().max().item() <= bound, name


@pytest.mark.parametrize("model", MODELS)
def test_every_plain_network_has_a_literal_one(model):
    with torch.device("meta"):
        ours, literal = timm.create_model(model), literal_t2t.create(model)
    literal.load_state_dict(ours.state_dict(), strict=True, assign=True)


def test_stochastic_depth_is_that_of_the_registered_network():
    ours, literal = (f("t2t_vit_7", drop_path_rate=0.1) for f in (timm.create_model, literal_t2t.create))
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for block in literal.blocks]
    assert rates[-1] == pytest.approx(0.1)
    assert rates == [getattr(block.drop_path1, "drop_prob", 0.0) for block in ours.blocks]


def test_a_network_without_a_counterpart_is_named():
    with pytest.raises(ValueError, match="'t2t_vit_14_se' has no literal counterpart; choose from t2t_vit_7, "):
        literal_t2t.create("t2t_vit_14_se")
