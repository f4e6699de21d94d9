"""Reasons, shared by several rows, why a printed number differs from the measured one.

The counts that they mention were measured; tests/paper/test_reasons.py measures them again.
"""

from bench.spec.run import Network
from bench.spec.table import Candidate

NOT_EXPLAINED = "not explained"

FROZEN_LEFT_OUT = (
    "the printed count seems to leave out the parameters that are never trained (position table, Performer's random "
    "matrices)"
)
"""where the trainable ones alone give the printed number, either rounded or cut off"""

AUTHORS_CODE = (
    "not explained: the authors' released code (commit 0f63dc9) gives the number measured here, by the same counter"
)

VIT_S_MACS = (
    "not explained: ViT-S/16 and its variants in Table 6 (ViT-SW, -SE, -ResNeXt, -Ghost) are all printed 0.2 to 0.3 G "
    "above their measured count, while ViT-B/16 agrees"
)
VIT_L_MACS = "probably a misprint of 61.6"

DISTILLATION_HEAD = "the printed size leaves no room for the distillation token and its head"
WITHOUT_DISTILLATION = "without the distillation token and head"

RESNET50_MACS = (
    "plain ResNet50 is used here, as named in the paper's text; ResNet50-D, whose stem has three 3x3 convolutions, has "
    "4.353 G"
)
RESNET50_D = Candidate(network=Network("resnet50d"), what="ResNet50-D, whose stem has three 3x3 convolutions")

NORM_AT_5 = (
    "the count depends on batch norm: fvcore counts 2 operations per element in evaluation mode, as here, and 5 in "
    "training mode, which would give "
)
