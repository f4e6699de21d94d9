"""The layers of a network with their shapes, read off the built network: what Figures 3 to 5 are drawn from.

The network is built and run once on torch's meta device, where tensors have shapes and no values: what each layer
takes and gives is what it takes and gives in training, at any resolution, without the time or memory of computing it.
"""

import datetime
from typing import TYPE_CHECKING, Any

from bench.measure.source_hash import source_sha256
from bench.results.measurement import LayerShape, Outline
from bench.results.provenance import machine, other_versions, versions_of
from bench.spec.run import Network

if TYPE_CHECKING:  # torch takes seconds to import, and a figure whose outline is kept needs none of it
    from torch import nn

_LIBRARIES = ("torch", "timm")

_SETTINGS = {
    "kernel_size": "kernel",
    "stride": "stride",
    "padding": "padding",
    "groups": "groups",
    "num_heads": "heads",
}
"""attributes of a layer, and what they are called in its settings"""


def read_outline(network: Network) -> Outline:
    """Build a network and read its layers.

    Raises:
        RequestError: no such network.
    """
    return Outline(
        network=network,
        **_figures(network),
        versions=versions_of(_LIBRARIES),
        source_sha256=source_sha256(_figures, network.model),
        machine=machine(),
        measured_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def is_current(outline: Outline) -> bool:
    """Whether reading it again here could tell anything new: see ``complexity.is_current``."""
    same_source = outline.source_sha256 == source_sha256(_figures, outline.network.model)
    return same_source and not other_versions(outline.versions, _LIBRARIES)


def _figures(network: Network) -> dict[str, Any]:
    """All of an outline that our own code decides."""
    import torch

    from bench.training.build import create_network
    from models.weights import count_weights

    with torch.device("meta"), torch.inference_mode():
        built = create_network(network).eval()
        layers = _layers_met(built, torch.zeros(1, 3, network.img_size, network.img_size))
    return {
        "layers": (*_own_parameters(built), *layers),
        "params": count_weights(built),
    }


def _own_parameters(built: "nn.Module") -> list[LayerShape]:
    """Parameters that belong to no layer, such as the class token, and the position table."""
    from models.weights import named_weights

    return [
        LayerShape(
            name=name,
            kind="Parameter",
            inputs=(),
            output=tuple(parameter.shape[1:]),
            params=parameter.numel(),
            trainable_params=parameter.numel() if parameter.requires_grad else 0,
        )
        for name, parameter in named_weights(built, recurse=False)
    ]


def _layers_met(built: "nn.Module", image: Any) -> list[LayerShape]:
    """The layers that are shown, in the order in which a forward pass enters them."""
    entered: dict[str, tuple[int, ...]] = {}
    left: dict[str, tuple[int, ...]] = {}
    shown = {name: layer for name, layer in built.named_modules() if _is_shown(name, layer)}
    hooks = []
    for name, layer in shown.items():

        def enter(_: Any, arguments: tuple[Any, ...], name: str = name) -> None:
            entered.setdefault(name, tuple(arguments[0].shape[1:]))

        def leave(_: Any, __: Any, output: Any, name: str = name) -> None:
            left.setdefault(name, tuple(output.shape[1:]))

        hooks += [layer.register_forward_pre_hook(enter), layer.register_forward_hook(leave)]
    built(image)
    for hook in hooks:
        hook.remove()
    return [_layer(name, shown[name], inputs, left[name]) for name, inputs in entered.items()]


def _is_shown(name: str, layer: "nn.Module") -> bool:
    """Whether it has parameters or is a soft split, and is not inside a block behind the first."""
    from torch import nn

    top, _, inside = name.partition(".")
    index, _, deeper = inside.partition(".")
    if not name or (top == "blocks" and deeper and index != "0"):
        return False
    return isinstance(layer, nn.Unfold) or any(True for _ in layer.parameters())


def _layer(name: str, layer: "nn.Module", inputs: tuple[int, ...], output: tuple[int, ...]) -> LayerShape:
    from models.weights import count_weights

    return LayerShape(
        name=name,
        kind=type(layer).__name__,
        inputs=inputs,
        output=output,
        params=count_weights(layer),
        trainable_params=sum(p.numel() for p in layer.parameters() if p.requires_grad),
        settings={
            called: _along_both_axes(getattr(layer, attribute))
            for attribute, called in _SETTINGS.items()
            if hasattr(layer, attribute)
        },
    )


def _along_both_axes(value: Any) -> int:
    along = set(value) if isinstance(value, tuple) else {value}
    if len(along) > 1:
        raise ValueError(f"{value}: a setting that differs between the axes, which no figure could show")
    return along.pop()
