"""Structure read off built networks."""

import pytest
import timm
import torch

import models  # noqa: F401  (registers with timm)
from bench.measure.structure import read_structure


@pytest.mark.parametrize(
    ("model", "structure"),
    [
        ("t2t_vit_14", {"tokens": "Performer", "depth": "14", "hidden": "384", "mlp": "1152"}),
        ("t2t_vit_t_19", {"tokens": "Transformer", "depth": "19", "hidden": "448", "mlp": "1344"}),
        ("t2t_vit_c_14", {"tokens": "convolutions", "depth": "14", "hidden": "384", "mlp": "1152"}),
        ("t2t_vit_16_ghost", {"tokens": "Performer", "depth": "16", "hidden": "384", "mlp": "1152"}),
        ("t2t_vit_dense", {"tokens": "Performer", "depth": "19", "hidden": "128-584", "mlp": "256-1040"}),
        ("vit_s_16", {"tokens": "patches", "depth": "8", "hidden": "768", "mlp": "2304"}),
        ("vit_large_patch16_224", {"tokens": "patches", "depth": "24", "hidden": "1024", "mlp": "4096"}),
        ("deit_small_distilled_patch16_224", {"tokens": "patches", "depth": "12", "hidden": "384", "mlp": "1536"}),
        ("resnet50", {"depth": "50"}),
        ("resnet152", {"depth": "152"}),
        ("densenet201", {"depth": "201"}),
        ("vgg11", {"depth": "11"}),
        ("alexnet", {"depth": "8"}),
        ("resnet50_ghost", {"depth": "50"}),
        ("senet50", {"depth": "52"}),  # its stem has three
        ("mobilenetv1_100", {"depth": "28"}),
        ("mobilenetv2_100", {"depth": "53"}),
        ("inception_v3_auxiliary", {}),  # its branches run side by side
    ],
)
def test_structure(model, structure):
    with torch.device("meta"):
        assert read_structure(timm.create_model(model)) == structure
