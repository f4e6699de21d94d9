"""Weights of the T2T module, adapted to images with other channels."""

import pytest
import timm
import torch
from torch import nn

import models  # noqa: F401  (registers with timm)


def trained(name, tmp_path):
    """A network whose norms are no longer those that it began with, and what loads its file for other channels."""
    args = {"embed_dim": 32, "depth": 1, "num_heads": 2, "img_size": 32, "num_classes": 5}
    torch.manual_seed(0)
    saved = timm.create_model(name, **args).eval()
    norm = saved.tokens_to_token.attention1.norm1
    nn.init.normal_(norm.weight, 1, 0.3), nn.init.normal_(norm.bias, 0, 0.3)
    torch.save(saved.state_dict(), tmp_path / "saved.pth")
    overlay = {"file": str(tmp_path / "saved.pth"), "num_classes": 5}

    def load(in_chans):
        return timm.create_model(
            name, in_chans=in_chans, pretrained=True, pretrained_cfg_overlay=overlay, **args
        ).eval()

    return saved, load


@pytest.mark.parametrize("in_chans", [1, 6])
def test_repeated_channels_get_the_logits_that_they_got(in_chans, tmp_path):
    saved, load = trained("t2t_vit_7", tmp_path)
    image = torch.randn(2, 1 if in_chans == 1 else 3, 32, 32)
    rgb = image.expand(-1, 3, -1, -1)
    with torch.no_grad():
        torch.testing.assert_close(load(in_chans)(image.repeat(1, in_chans // image.shape[1], 1, 1)), saved(rgb))


def test_without_a_bias_grey_images_get_nearly_the_tokens_that_they_got(tmp_path):
    saved, load = trained("t2t_vit_t_14", tmp_path)
    image = torch.randn(4, 1, 32, 32)
    with torch.no_grad():
        expected = saved.tokens_to_token(image.expand(-1, 3, -1, -1))
        found = load(1).tokens_to_token(image)
    assert (found - expected).norm() < 0.2 * expected.norm()
    weights = load(4).state_dict()  # as timm repeats and scales a convolution's
    gain = saved.tokens_to_token.attention1.norm1.weight
    folded = (saved.tokens_to_token.attention1.attn.qkv.weight * gain).unflatten(1, (3, 49))
    repeated = torch.cat((folded, folded[:, :1]), 1).flatten(1) * 3 / 4
    torch.testing.assert_close(weights["tokens_to_token.attention1.attn.qkv.weight"], repeated)
