"""The paper's CNN rows that timm does not ship as they were counted (Table 6).

Each is put together from timm's and torchvision's parts. The authors did not release theirs: stems and widths are
those that come closest to the printed params and MACs.
"""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
import torchvision
from timm.layers import LayerType, get_act_layer, get_device_dtype, get_norm_layer
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._features import feature_take_indices
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
        device: of the weights.
        dtype: of the weights.
    """

    if TYPE_CHECKING:  # torch.jit.script takes no module's type for that of a value
        features: nn.Sequential
        avgpool: nn.Module
        classifier: nn.Sequential

    _ends = (1, 4, 11)
    """layers whose outputs are the features"""

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        drop_rate: float = 0.5,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        with nullcontext() if device is None else torch.device(device):  # torchvision's takes none
            super().__init__(dropout=drop_rate)
            if in_chans != 3:
                self.features[0] = nn.Conv2d(in_chans, 64, kernel_size=11, stride=4, padding=2)
        if dtype is not None:
            self.to(dtype)
        self.in_chans, self.num_features, self.head_hidden_size = in_chans, 256, 4096
        # Of the maps ahead of each pooling, as timm lists them.
        self.feature_info: list[dict[str, Any]] = [
            {"module": f"features.{i}", "num_chs": channels, "reduction": reduction}
            for i, channels, reduction in zip(self._ends, (64, 192, 256), (4, 8, 16), strict=True)
        ]
        self.reset_classifier(num_classes)

    def init_weights(self) -> None:
        """Draw all weights anew, as after ``to_empty`` on a network of meta tensors."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.reset_parameters()

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns that sort parameters into layers, for layer-wise learning rates."""
        return {"stem": r"^features\.0", "blocks": r"^features\.(\d+)"}

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
        here = get_device_dtype(self)
        head = nn.Linear(self.head_hidden_size, num_classes, **here) if num_classes else nn.Identity()
        self.classifier[-1] = head.train(self.training)

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, in_chans, H, W) to (B, 256, h, w)."""
        return self.features(x)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Maps ahead of each pooling, as timm's ``features_only=True`` asks for them.

        Many parameters: those of timm's ``forward_intermediates``.

        Args:
            x: (B, in_chans, H, W).
            indices: the last n maps if an int, all if None, else those listed.
            norm: without effect, since there is no norm.
            stop_early: stop after the last map asked for.
            output_fmt: "NCHW".
            intermediates_only: leave out the final features.

        Returns:
            List of maps, or (final features (B, 256, h, w), list).

        Raises:
            ValueError: ``output_fmt`` is another.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"unknown output_fmt {output_fmt!r}; choose 'NCHW'")
        wanted, last = feature_take_indices(len(self._ends), indices)
        maps = []
        for i, layer in enumerate(list(self.features)[: self._ends[last] + 1 if stop_early else None]):
            x = layer(x)
            if i in self._ends and self._ends.index(i) in wanted:
                maps.append(x)
        return maps if intermediates_only else (x, maps)

    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop the layers that the chosen maps do not need; returns the maps that remain wanted.

        The hidden layers go with the head, or with the last convolution: a new head then reads the mean of a map.
        """
        wanted, last = feature_take_indices(len(self._ends), indices)
        whole = last == len(self._ends) - 1
        if not whole:
            self.features = nn.Sequential(*list(self.features)[: self._ends[last] + 1])
        if prune_head or not whole:
            self.num_features = self.head_hidden_size = self.feature_info[last]["num_chs"]
            self.avgpool, self.classifier = nn.AdaptiveAvgPool2d(1), nn.Sequential(nn.Identity())
            self.reset_classifier(0)
        return wanted

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
            conv.in_channels, conv.out_channels, kernel_size=3, stride=conv.stride[0], **get_device_dtype(conv)
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
        act, norm, here = get_act_layer(act_layer), get_norm_layer(norm_layer), get_device_dtype(self)
        layers: list[nn.Module] = []
        for channels, stride in ((in_chans, 2), (64, 1), (64, 1)):
            conv = nn.Conv2d(channels, 64, 3, stride, 1, bias=False, **here)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")  # as timm's ResNet
            layers += [conv, norm(64, **here), act(inplace=True)]
        self.conv1 = nn.Sequential(*layers[:-2])  # the last norm and activation are the network's bn1 and act1


def _cfg(**values: Any) -> dict[str, Any]:
    return {"crop_pct": 0.875, "interpolation": "bilinear", "pool_size": (7, 7), "classifier": "fc"} | values


default_cfgs = generate_default_cfgs(
    {
        "alexnet": _cfg(first_conv="features.0", classifier="classifier.6", pool_size=(6, 6)),
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
