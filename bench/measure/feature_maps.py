"""Feature maps of a network on one photograph, and how many of its channels are dead or saturated.

Legend: C channels, H x W a layer's map. Tokens are reshaped to maps; class and distillation tokens, which have no
place in the image, are left out. Float32, evaluation mode, batch 1.

The counts put a number on the boxes of the paper's Figure 2 around channels "which are zero or too large". Both are
relative to the layer itself, so that they mean the same in a network of any scale:

- dead: the largest absolute value over all positions is at most 1 % of the layer's root mean square, over all of its
  channels and positions. It is as good as zero on this photograph; another one may wake it. A channel that is constant
  but not zero is not dead.
- saturated: its root mean square is more than 10 times the median of the channels that are not dead.
"""

import base64
import dataclasses
import datetime
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure.source_hash import source_sha256
from bench.results.feature_maps import FeatureMaps, FeatureSource, LayerMaps
from bench.results.provenance import machine, other_versions, versions_of
from bench.spec.errors import RequestError
from bench.spec.recipe import Recipe
from bench.spec.run import Network

if TYPE_CHECKING:  # torch takes seconds to import, and a cached figure needs none of it
    import numpy as np
    from PIL.Image import Image
    from torch import Tensor, nn

    from models.checkpoints import Checkpoint

DEAD_BELOW = 0.01
"""of the layer's root mean square"""
SATURATED_ABOVE = 10.0
"""times the median of the channels that are not dead"""
MAPS_KEPT = 8
"""of each layer, evenly spaced over its channels, so that nobody chooses them"""

_LIBRARIES = ("torch", "torchvision", "timm", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """An image to look at."""

    name: str
    """of its file"""
    sha256: str
    """likewise"""
    image: "Image"
    """in RGB"""

    @property
    def pixels(self) -> "np.ndarray[Any, Any]":
        """The image as it is shown: (H, W, 3), uint8, reduced to ``LARGEST_SHOWN_PX`` on its longer side."""
        import numpy as np

        shown = self.image.copy()
        shown.thumbnail((LARGEST_SHOWN_PX, LARGEST_SHOWN_PX))
        return np.asarray(shown)


LARGEST_SHOWN_PX = 600
"""of a photograph in a figure, which may be one of a camera"""


def is_current(found: FeatureMaps) -> bool:
    """Whether measuring again here could tell anything new, as for params and MACs."""
    same_source = found.source_sha256 == source_sha256(_figures, found.source.network.model)
    return same_source and not other_versions(found.versions, _LIBRARIES)


def measure(
    source: FeatureSource, weights: "Checkpoint | Path | None", photograph: Photograph, recipe: Recipe, dataset: str
) -> FeatureMaps:
    """Run a photograph through a network, and look at each layer.

    Args:
        source: the network and its weights.
        weights: these weights, or their file; None for random ones.
        photograph: resized and cropped as in evaluation.
        recipe: by which it is.
        dataset: whose normalisation the image gets; with a file of one of timm's networks for ImageNet, timm's own.

    Raises:
        RequestError: no such network, one whose layers are not known here, or values that are not finite.
        CheckpointError: the file is damaged, or the weights are another network's.
    """
    return FeatureMaps(
        source=source,
        image=photograph.name,
        image_sha256=photograph.sha256,
        dataset=dataset,
        **_figures(source, weights, photograph.image, recipe, dataset),
        versions=versions_of(_LIBRARIES),
        package=_package(source.network),
        source_sha256=source_sha256(_figures, source.network.model),
        machine=machine(),
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _figures(
    source: FeatureSource, weights: "Checkpoint | Path | None", image: "Image", recipe: Recipe, dataset: str
) -> dict[str, Any]:
    """All of the feature maps that our own code decides."""
    import timm
    import torch

    from bench.training import data
    from bench.training.build import create_network
    from bench.training.formulation import LITERAL, use_formulation
    from models.checkpoints import Fit, load_into, read_checkpoint

    checkpoint = read_checkpoint(weights) if isinstance(weights, Path) else weights
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums in another order are other sums
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(source.seed or 0)
            network = create_network(source.network, num_classes=0).eval()
        use_formulation(network, LITERAL)  # as in every figure
        fit = load_into(network, checkpoint) if checkpoint else Fit()
        known = data.KNOWN.get(dataset, data.KNOWN["imagenet"])
        cfg = timm.get_pretrained_cfg(source.network.model)
        is_timms_file = checkpoint and not source.run_id and _package(source.network) == "timm"
        if cfg and is_timms_file and dataset == "imagenet":
            known = dataclasses.replace(known, mean=tuple(cfg.mean), std=tuple(cfg.std))
        transform = data.eval_transform(recipe, source.network.img_size, known)
        layers = look(network, transform(image))
    finally:
        torch.set_num_threads(threads)
    return {
        "mean": known.mean,
        "std": known.std,
        "crop_pct": recipe.crop_pct,
        "eval_interpolation": recipe.eval_interpolation,
        "key": checkpoint.key if checkpoint else "",
        "resized": fit.resized,
        "dead_below": DEAD_BELOW,
        "saturated_above": SATURATED_ABOVE,
        "layers": layers,
    }


def _package(network: Network) -> str:
    """The Python package that defines a network."""
    import timm

    return timm.model_entrypoint(network.model).__module__.partition(".")[0]


def look(network: "nn.Module", image: "Tensor") -> tuple[LayerMaps, ...]:
    """The maps of each layer, from early to late.

    Args:
        network: in evaluation mode.
        image: (3, S, S), normalised.

    Raises:
        RequestError: its layers are not known here, or a value is not finite.
    """
    found: list[LayerMaps] = []
    observe(network, image[None], lambda name, maps: found.append(layer_maps(name, maps[0])))
    return tuple(found)


def observe(network: "nn.Module", images: "Tensor", see: "Callable[[str, Tensor], None]") -> None:
    """Run images through a network, and show the maps of each layer on the way, from early to late.

    Args:
        network: in evaluation mode.
        images: (B, 3, S, S), normalised.
        see: called with a layer's name and its maps (B, C, H, W).

    Raises:
        RequestError: its layers are not known here.
    """
    import torch

    def hook_of(name: str, prefix_tokens: int) -> Any:
        # At once, and not after the pass: an activation behind a layer may work in its place.
        return lambda module, inputs, output: see(name, to_maps(output, prefix_tokens))

    hooks = [module.register_forward_hook(hook_of(name, prefix)) for name, module, prefix in layers_of(network)]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()


def layers_of(network: "nn.Module") -> Iterator[tuple[str, "nn.Module", int]]:
    """Layers to look at, from early to late: name, module, and how many prefix tokens its output begins with.

    Of a T2T-ViT both layers of the T2T module, the projection behind them, and each block; of a ViT the patch
    embedding and each block; of a ResNet the stem after its activation and each residual block; of a MobileNet the
    stem and each block.

    Raises:
        RequestError: it is none of these.
    """
    from timm.models import EfficientNet, MobileNetV3, ResNet, VisionTransformer

    from models import T2TViT

    parts = dict(network.named_modules())
    if isinstance(network, T2TViT):
        inner = [name for name in parts if name.startswith("tokens_to_token.attention") and name.count(".") == 1]
        first, blocks = [*inner, "tokens_to_token"], _children(network, "blocks")
    elif isinstance(network, VisionTransformer):
        first, blocks = ["patch_embed"], _children(network, "blocks")
    elif isinstance(network, ResNet):
        first, blocks = ["act1"], [name for i in range(1, 5) for name in _children(network, f"layer{i}")]
    elif isinstance(network, EfficientNet | MobileNetV3):
        first, blocks = ["bn1"], [name for stage in _children(network, "blocks") for name in _children(network, stage)]
    else:
        raise RequestError(
            f"Figure 2: the layers of a {type(network).__name__} are not known here; choose a T2T-ViT, a ViT or DeiT, "
            "a ResNet or a MobileNet"
        )
    prefix_tokens = int(getattr(network, "num_prefix_tokens", 0))
    yield from ((name, parts[name], 0) for name in first)
    yield from ((name, parts[name], prefix_tokens) for name in blocks)


def _children(network: "nn.Module", name: str) -> list[str]:
    return [f"{name}.{child}" for child, _ in network.get_submodule(name).named_children()]


def to_maps(output: "Tensor", prefix_tokens: int) -> "Tensor":
    """A layer's output, (B, C, H, W) or (B, P + N, C) with N tokens of a square grid, as (B, C, H, W)."""
    if output.ndim == 4:
        return output
    tokens = output[:, prefix_tokens:]  # (B, N, C)
    side = math.isqrt(tokens.shape[1])
    return tokens.transpose(1, 2).unflatten(2, (side, side))


def dead_channels(maps: "Tensor") -> "Tensor":
    """Whether each channel of (B, C, H, W) is dead on each image: (B, C), bool."""
    values = maps.double().flatten(2)
    return values.abs().amax(2) <= DEAD_BELOW * values.square().mean((1, 2)).sqrt()[:, None]


def channel_states(maps: "Tensor") -> "tuple[Tensor, Tensor]":
    """Find the dead and the saturated channels of (C, H, W): two masks (C,), bool."""
    import torch

    dead = dead_channels(maps[None])[0]
    if dead.all():
        return dead, torch.zeros_like(dead)
    strength = maps.double().flatten(1).square().mean(1).sqrt()
    return dead, ~dead & (strength > SATURATED_ABOVE * strength[~dead].quantile(0.5))


def layer_maps(name: str, maps: "Tensor") -> LayerMaps:
    """Reduce a layer's maps (C, H, W) to what is kept of them.

    Raises:
        RequestError: a value is not finite.
    """
    import numpy as np

    if not maps.isfinite().all():
        raise RequestError(f"Figure 2: a value of {name} is not finite; choose other weights")
    channels, height, width = maps.shape
    dead, saturated = channel_states(maps)
    low, high = (float(value) for value in np.percentile(maps.numpy(), (1, 99)))
    kept = min(MAPS_KEPT, channels)
    shown = tuple((2 * i + 1) * channels // (2 * kept) for i in range(kept))
    scaled = (maps[list(shown)].double().numpy() - low) / ((high - low) or 1.0)
    pixels = np.rint(255 * scaled.clip(0, 1)).astype(np.uint8)
    return LayerMaps(
        name=name,
        channels=channels,
        height=height,
        width=width,
        dead=int(dead.sum()),
        saturated=int(saturated.sum()),
        low=low,
        high=high,
        shown=shown,
        shown_dead=tuple(channel for channel in shown if dead[channel]),
        shown_saturated=tuple(channel for channel in shown if saturated[channel]),
        maps=base64.b64encode(pixels.tobytes()).decode(),
    )
