"""The paper's CNN rows that timm does not ship as they were counted (Table 6).

Each is put together from timm's and torchvision's parts. The authors did not release theirs: stems and widths are
those that come closest to the printed params and MACs.
"""

from typing import Any

import torchvision
from timm.layers import LayerType, get_act_layer, get_norm_layer
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.ghostnet import GhostModule
from timm.models.inception_v3 import InceptionV3
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import Tensor, nn

__all__ = ["AlexNet", "GhostBottleneck", "InceptionV3Auxiliary", "SENet50"]


class AlexNet(torchvision.models.AlexNet):  # type: ignore[misc]  # torchvision has no types
    """torchvision's AlexNet with timm's methods; it takes images from 63 px on, and has no stochastic depth.

    Args:
        num_classes: classes of the head; 0 leaves the head out.
        in_chans: image channels.
        drop_rate: dropout ahead of the two hidden linear layers.
    """

    def __init__(self, num_classes: int = 1000, in_chans: int = 3, drop_rate: float = 0.5) -> None:
        super().__init__(dropout=drop_rate)
        self.num_features = self.head_hidden_size = 4096
        if in_chans != 3:
            self.features[0] = nn.Conv2d(in_chans, 64, kernel_size=11, stride=4, padding=2)
        # Of the maps ahead of each pooling, and of the last, as timm lists them.
        self.feature_info = [
            {"module": f"features.{i}", "num_chs": channels, "reduction": reduction}
            for i, channels, reduction in ((1, 64, 4), (4, 192, 8), (11, 256, 16))
        ]
        self.reset_classifier(num_classes)

    def get_classifier(self) -> nn.Module:
        """The last linear layer."""
        return self.classifier[-1]

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Put a new, freshly initialised head on the network.

        Args:
            num_classes: classes; 0 leaves the head out.
            global_pool: None: the hidden layers read a map of 6 x 6.

        Raises:
            ValueError: another pooling is asked for.
        """
        if global_pool is not None:
            raise ValueError(f"global_pool {global_pool!r}: AlexNet has no other than its own; leave it out")
        self.num_classes = num_classes
        like = self.features[0].weight
        self.classifier[-1] = (
            nn.Linear(4096, num_classes, device=like.device, dtype=like.dtype) if num_classes else nn.Identity()
        )

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, in_chans, H, W) to (B, 256, h, w)."""
        return self.features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """(B, 256, h, w) to logits (B, num_classes), or to (B, 4096) with ``pre_logits``."""
        x = self.avgpool(x).flatten(1)
        return self.classifier[:-1](x) if pre_logits else self.classifier(x)


class InceptionV3Auxiliary(InceptionV3):
    """timm's Inception v3 with its auxiliary head among the params, as the printed figure has it.

    The head takes no part in the forward pass, and so is frozen: timm trains this network without it, too.
    """

    def __init__(self, num_classes: int = 1000, **arguments: Any) -> None:
        super().__init__(num_classes or 1000, aux_logits=True, **arguments)
        # From here on this says whether the forward pass runs the head.
        self.aux_logits = False  # type: ignore[misc]
        self.AuxLogits.requires_grad_(False)
        if num_classes == 0:
            self.reset_classifier(0)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the classifier as timm does; the new auxiliary head is frozen like the old one."""
        super().reset_classifier(num_classes, global_pool)
        if self.AuxLogits is not None:  # timm takes it off a network for features
            self.AuxLogits.requires_grad_(False)


class GhostBottleneck(Bottleneck):
    """ResNet's bottleneck block whose 3x3 convolution is a Ghost module, which has norms of its own.

    Raises:
        ValueError: the convolution is dilated or in groups, which a Ghost module is not.
    """

    def __init__(self, *args: Any, **arguments: Any) -> None:
        super().__init__(*args, **arguments)
        conv = self.conv2
        if conv.dilation != (1, 1) or conv.groups != 1:
            raise ValueError(
                f"dilation {conv.dilation[0]}, groups {conv.groups}: a Ghost module has neither; choose "
                "output_stride=32 and cardinality=1"
            )
        self.conv2 = GhostModule(  # type: ignore[assignment]  # it takes a convolution's place
            conv.in_channels, conv.out_channels, kernel_size=3, stride=conv.stride[0]
        )
        self.bn2 = nn.Identity()


class SENet50(ResNet):
    """SE-ResNet50 with a stem of three 3x3 convolutions, all of width 64."""

    def __init__(
        self,
        *,
        in_chans: int = 3,
        act_layer: LayerType = nn.ReLU,
        norm_layer: LayerType = nn.BatchNorm2d,
        **arguments: Any,
    ) -> None:
        super().__init__(in_chans=in_chans, act_layer=act_layer, norm_layer=norm_layer, **arguments)
        act, norm = get_act_layer(act_layer), get_norm_layer(norm_layer)
        layers: list[nn.Module] = []
        for channels, stride in ((in_chans, 2), (64, 1), (64, 1)):
            conv = nn.Conv2d(channels, 64, 3, stride, 1, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # as timm's ResNet
            layers += [conv, norm(64), act(inplace=True)]
        self.conv1 = nn.Sequential(*layers[:-2])  # the last norm and activation are the network's bn1 and act1


def _cfg(**values: Any) -> dict[str, Any]:
    return {"crop_pct": 0.875, "interpolation": "bilinear", "pool_size": (7, 7), "classifier": "fc"} | values


default_cfgs = generate_default_cfgs(
    {
        "alexnet": _cfg(first_conv="features.0", classifier="classifier.6", pool_size=None),
        "inception_v3_auxiliary": _cfg(
            first_conv="Conv2d_1a_3x3.conv",
            classifier=("fc", "AuxLogits.fc"),
            input_size=(3, 299, 299),
            pool_size=(8, 8),
            interpolation="bicubic",
        ),
        "resnet50_ghost": _cfg(first_conv="conv1"),
        "senet50": _cfg(first_conv="conv1.0"),
        "wide_resnet18x1_5": _cfg(first_conv="conv1.0"),
    }
)


@register_model
def alexnet(pretrained: bool = False, **kwargs: Any) -> AlexNet:
    """AlexNet, torchvision's: 61.1 M params."""
    features = {"flatten_sequential": True, "out_indices": (0, 1, 2)}
    return build_model_with_cfg(AlexNet, "alexnet", pretrained, feature_cfg=features, **kwargs)


@register_model
def inception_v3_auxiliary(pretrained: bool = False, **kwargs: Any) -> InceptionV3Auxiliary:
    """Inception v3 at 299 px, params with the auxiliary head: 27.2 M."""
    features = {"feature_cls": "getter"}  # which takes no part of the network for its path, as the auxiliary head
    return build_model_with_cfg(
        InceptionV3Auxiliary, "inception_v3_auxiliary", pretrained, feature_cfg=features, **kwargs
    )


@register_model
def wide_resnet18x1_5(pretrained: bool = False, **kwargs: Any) -> ResNet:
    """ResNet18, all stages 1.5 times as wide, with a stem of three 3x3 convolutions (32, 32, 64)."""
    structure: dict[str, Any] = {
        "block": BasicBlock,
        "layers": (2, 2, 2, 2),
        "channels": (96, 192, 384, 768),
        "stem_type": "deep",
        "stem_width": 32,
    }
    return build_model_with_cfg(ResNet, "wide_resnet18x1_5", pretrained, **{**structure, **kwargs})


@register_model
def senet50(pretrained: bool = False, **kwargs: Any) -> SENet50:
    """SE-ResNet50 (reduction 16) with a stem of three 3x3 convolutions of width 64."""
    structure: dict[str, Any] = {"block": Bottleneck, "layers": (3, 4, 6, 3), "block_args": {"attn_layer": "se"}}
    return build_model_with_cfg(SENet50, "senet50", pretrained, **{**structure, **kwargs})


@register_model
def resnet50_ghost(pretrained: bool = False, **kwargs: Any) -> ResNet:
    """ResNet50 whose 3x3 convolutions are Ghost modules (ratio 2, depthwise 3x3)."""
    structure: dict[str, Any] = {"block": GhostBottleneck, "layers": (3, 4, 6, 3)}
    return build_model_with_cfg(ResNet, "resnet50_ghost", pretrained, **{**structure, **kwargs})
