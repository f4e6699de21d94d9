"""Every network of the tables: what a trainer and timm's users do with one."""

import dataclasses

import pytest
import timm
import torch
from torch import nn

from bench.paper import TABLES
from bench.spec.table import networks
from bench.training.build import OURS, create_network
from tests.conftest import mostly_extended

NETWORKS = {
    str(network): dataclasses.replace(network, img_size=224)
    for table in TABLES.values()
    for network in networks(table.rows)
}
"""of the rows and their candidates, each once whatever its resolution"""


def resize(net, side):
    """Make ready for another resolution, as timm does with networks that are built for one."""
    if hasattr(net, "set_input_size"):
        net.set_input_size((side, side))


OF_EACH_KIND = ("t2t_vit_7", "vit_s_16", "mobilenetv2_100")


@pytest.mark.parametrize("name", mostly_extended(NETWORKS, *OF_EACH_KIND))
def test_a_network_trains_saves_and_exports(name):
    torch.manual_seed(0)
    net = create_network(NETWORKS[name], num_classes=10)
    resize(net, 96)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # or evaluation after one step would run on statistics that are almost the first ones
    images = torch.randn(2, 3, 96, 96)

    # One step: every trainable parameter gets a finite gradient, no frozen one does, and the head moves.
    optimizer = torch.optim.SGD((p for p in net.parameters() if p.requires_grad), lr=0.01)
    logits = net(images)
    assert logits.shape == (2, 10)
    nn.functional.cross_entropy(logits, torch.tensor([1, 2])).backward()
    for key, p in net.named_parameters():
        assert (p.grad is None) == (not p.requires_grad), key
        assert p.grad is None or p.grad.isfinite().all(), key
    heads = net.get_classifier()
    weight = (heads[0] if isinstance(heads, tuple) else heads).weight
    before = weight.detach().clone()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)  # batch norm over two images has gradients of 1e7
    optimizer.step()
    assert not torch.equal(weight, before)
    optimizer.zero_grad()

    # The state dict is the whole network: another one with it gives the same logits.
    net.eval()
    with torch.device("meta"):
        other = create_network(NETWORKS[name], num_classes=10).eval()
        resize(other, 96)
    other.load_state_dict(net.state_dict(), assign=True)
    with torch.no_grad():
        expected = net(images)
        assert torch.equal(other(images), expected)

    exported = torch.export.export(net, (images,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(images), expected, rtol=1e-4, atol=1e-5)

    resize(net, 224)
    with torch.no_grad():
        at_224 = net(torch.randn(1, 3, 224, 224))
    assert at_224.shape == (1, 10)
    assert at_224.isfinite().all()


def test_every_registered_network_of_ours_is_in_a_table():
    used = {network.model for network in NETWORKS.values()}
    assert {name for module in OURS for name in timm.list_models(module=module)} <= used


@pytest.mark.parametrize("name", [name for module in OURS for name in timm.list_models(module=module)])
def test_names_collide_with_none_of_timms(name):
    assert timm.model_entrypoint(name).__module__.startswith("models.")
