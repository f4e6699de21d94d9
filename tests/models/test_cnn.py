"""The CNNs of our own: what timm's users and the trainer ask of them."""

import pytest
import timm
import torch
from torch import nn

import models  # noqa: F401  (registers with timm)

NAMES = ["alexnet", "inception_v3_auxiliary", "resnet50_ghost", "senet50", "wide_resnet18x1_5"]
SIDE = {"inception_v3_auxiliary": 96}


@pytest.mark.parametrize("name", NAMES)
def test_other_channels_and_no_head(name):
    net = timm.create_model(name, in_chans=1, num_classes=0).eval()
    assert net(torch.randn(2, 1, SIDE.get(name, 64), SIDE.get(name, 64))).shape == (2, net.head_hidden_size)


@pytest.mark.parametrize("name", NAMES)
def test_features(name):
    net = timm.create_model(name, features_only=True).eval()
    maps = net(torch.randn(1, 3, 128, 128))
    assert [m.shape[1] for m in maps] == net.feature_info.channels()
    assert len(maps) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_a_new_head_has_the_old_ones_place_and_type(name):
    net = timm.create_model(name).double()
    net.reset_classifier(7)
    net.eval()
    image = torch.randn(1, 3, SIDE.get(name, 64), SIDE.get(name, 64), dtype=torch.float64)
    assert net(image).shape == (1, 7)
    torch.testing.assert_close(net.forward_head(net.forward_features(image)), net(image))
    pooled = net.forward_head(net.forward_features(image), pre_logits=True)
    torch.testing.assert_close(net.get_classifier()(pooled), net(image))
    with torch.device("meta"):
        net = timm.create_model(name)
        net.reset_classifier(3)
    assert {p.device.type for p in net.parameters()} == {"meta"}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_fits_another_number_of_classes(name, tmp_path):
    saved = timm.create_model(name, num_classes=20)
    torch.save(saved.state_dict(), tmp_path / "saved.pth")
    overlay = {"file": str(tmp_path / "saved.pth"), "num_classes": 20}
    net = timm.create_model(name, num_classes=3, pretrained=True, pretrained_cfg_overlay=overlay)
    assert net.get_classifier().out_features == 3
    first = saved.pretrained_cfg["first_conv"]
    assert torch.equal(net.get_submodule(first).weight, saved.get_submodule(first).weight)


def test_the_auxiliary_head_is_there_and_never_trained():
    net = timm.create_model("inception_v3_auxiliary")
    for _ in range(2):
        frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
        assert frozen == {name for name, _ in net.named_parameters() if name.startswith("AuxLogits.")}
        net.reset_classifier(7)
    assert net.AuxLogits.fc.out_features == 7


def test_the_stem_of_senet50_begins_as_timms_resnets_and_takes_their_layers():
    net = timm.create_model("senet50", act_layer="silu")
    assert sum(isinstance(layer, nn.SiLU) for layer in net.conv1) == 2
    convs = [layer for layer in net.conv1 if isinstance(layer, nn.Conv2d)]
    for conv in convs:
        assert conv.weight.detach().std() == pytest.approx((2 / (conv.out_channels * 9)) ** 0.5, rel=0.1)
    assert [conv.out_channels for conv in convs] == [64, 64, 64]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("wide_resnet18x1_5", {"layers": (1, 1, 1, 1)}), ("resnet50_ghost", {"layers": (1, 1, 1, 1)})],
)
def test_the_callers_arguments_outrank_the_structure(name, arguments):
    assert len(timm.create_model(name, **arguments).layer3) == 1


def test_ghost_modules_have_the_only_norms_of_their_place():
    block = timm.create_model("resnet50_ghost").layer2[0]
    assert isinstance(block.bn2, nn.Identity)
    assert (block.conv2.primary_conv[0].stride, block.conv2.primary_conv[0].kernel_size) == ((2, 2), (3, 3))
    assert block.conv2.cheap_operation[0].groups == 64


def test_what_a_ghost_module_has_not_is_refused():
    for arguments in ({"output_stride": 8}, {"cardinality": 32, "base_width": 4}):
        with pytest.raises(ValueError, match="a Ghost module has neither"):
            timm.create_model("resnet50_ghost", **arguments)


def test_alexnet_has_no_other_pooling():
    with pytest.raises(ValueError, match="global_pool 'avg': AlexNet"):
        timm.create_model("alexnet").reset_classifier(3, "avg")


def test_alexnets_features():
    net = timm.create_model("alexnet").eval()
    image = torch.randn(1, 3, 64, 64)
    final, maps = net.forward_intermediates(image)
    assert torch.equal(final, net.forward_features(image))
    for found, end in zip(maps, (2, 5, 12), strict=True):
        assert torch.equal(found, net.features[:end](image))
    (last,) = net.forward_intermediates(image, indices=[1], stop_early=True, intermediates_only=True)
    assert torch.equal(last, maps[1])
    with pytest.raises(ValueError, match="output_fmt 'NLC'; choose 'NCHW'"):
        net.forward_intermediates(image, output_fmt="NLC")
    net.prune_intermediate_layers([1])
    torch.testing.assert_close(net(image), maps[1].mean((2, 3)))
    net.reset_classifier(7)
    assert net(image).shape == (1, 7)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_on_the_device_and_of_the_type_asked_for(name):
    net = timm.create_model(name, in_chans=1, device="meta", dtype=torch.bfloat16)
    entries = net.state_dict().values()
    assert {(entry.device.type, entry.dtype) for entry in entries if entry.is_floating_point()} == {
        ("meta", torch.bfloat16)
    }
    assert net.in_chans == 1


def test_an_alexnet_of_meta_tensors_is_initialized_later():
    net = timm.create_model("alexnet", device="meta").to_empty(device="cpu")
    for weight in net.parameters():
        nn.init.constant_(weight, torch.nan)
    net.init_weights()
    assert all(weight.isfinite().all() for weight in net.parameters())
