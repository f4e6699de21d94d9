"""The page on counting conventions: what fvcore counts and misses, and how five networks read under each."""

import pandas as pd

from bench.report.evidence import link, measurement_file
from bench.report.frame import Measurements
from bench.report.pages.measured import measured_where, uncounted
from bench.report.text import DASH, pipe
from bench.results.measurement import Complexity
from bench.spec.run import Network

SHOWN = {
    "ResNet50": Network("resnet50"),
    "MobileNetV2 1.0x": Network("mobilenetv2_100"),
    "ViT-B/16": Network("vit_base_patch16_224"),
    "T2T-ViT-14": Network("t2t_vit_14"),
    "T2T-ViT_t-14": Network("t2t_vit_t_14"),
}

FUSED = "scaled_dot_product_attention"
"""fvcore's name for the operator that it has no counter for"""


def counting_markdown(measurements: Measurements) -> str:
    """The page; networks that were not measured have dashes."""
    used = [measurements[network] for network in SHOWN.values() if network in measurements]
    sections = [
        "# How multiply-adds are counted",
        "One multiply-add (MAC) is one multiplication and one addition. Papers and model zoos count different "
        "operators and print all of it as MACs or FLOPs; figures of two conventions must not be compared. Every table "
        "of this suite uses the first line below: the paper prints 4.8 G for T2T-ViT-14 and 6.1 G for T2T-ViT_t-14, "
        "which no convention gives that leaves attention out.",
        pipe(pd.DataFrame(_lines(measurements)), text=("Convention",)),
        "Evidence: "
        + ", ".join(link(name, measurement_file(n)) for name, n in SHOWN.items() if n in measurements)
        + ", by operator; how each line is made of it, below.",
        "## What each counts",
        "\n".join(
            [
                "- **fvcore, fused attention included** (this suite): linear layers, convolutions and matrix products, "
                "one MAC for each multiplication; norms at fvcore's fixed rates (layer norm 5 operations an element, "
                "batch norm 2 in evaluation mode); adaptive pooling 1 an element. Batch 1, evaluation mode.",
                "- **fvcore as installed**: the same, but fvcore has no counter for fused attention "
                "(`torch.nn.functional.scaled_dot_product_attention`), which today's networks call: both matrix "
                "products of every attention layer are missing, without an error. A CNN has none to miss.",
                "- **linear and convolution only**: no matrix products, so no attention, and no norms: the convention "
                "of model zoos whose counter hooks modules (MMPretrain prints 4.34 G for T2T-ViT-14).",
                "- **torch's FlopCounterMode, halved**, attention unfused: linear layers, convolutions and matrix "
                "products, no norms and no pooling. This suite runs it beside fvcore, and refuses a count if the two "
                "disagree on what both see by more than 0.1 %.",
                "- **batch norm at 5 operations an element**, as fvcore counts it in training mode: some printed CNN "
                "figures seem to be of this kind. A transformer has no batch norm.",
            ]
        ),
        f"Counted by none, and left out everywhere, in these networks: {uncounted(used)}: activations, additions, "
        "softmax, exponentials, and moving data, as the unfold (`im2col`) of T2T's soft split does. They take time "
        "without multiplying, so MACs are not speed.",
        "fvcore fails to count some operators without a word. This suite knows which operators a network ran, and "
        "stops with an error if one whose name says matrix product or convolution was left out.",
        "## Params",
        "Params are all of a network's parameters, frozen ones included: T2T-ViT's position table and, with Performer "
        "layers, two random matrices are parameters that are never trained. The tables' evidence gives the trainable "
        "ones beside them. The paper prints both: 39.2 and 64.1 M for T2T-ViT-19 and 24 in Table 3 can only be all "
        "parameters, 48.6 M for ViT-S/16 only the trainable ones. Where these alone give a printed figure, the table's "
        "report says so.",
        "\n".join(measured_where(used)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _lines(measurements: Measurements) -> list[dict[str, str]]:
    conventions = {
        "fvcore, fused attention included (G)": lambda m: m.macs,
        "fvcore as installed": lambda m: m.macs - m.macs_by_operator.get(FUSED, 0),
        "linear and convolution only": lambda m: m.linear_macs,
        "torch's FlopCounterMode, halved": lambda m: m.torch_macs,
        "batch norm at 5 operations an element": _norm_at_5,
    }
    return [
        {"Convention": name}
        | {shown: _giga(count(m)) if (m := measurements.get(n)) else DASH for shown, n in SHOWN.items()}
        for name, count in conventions.items()
    ]


def _norm_at_5(measured: Complexity) -> int:
    # In evaluation mode fvcore counts 2 operations an element, scale and shift.
    return measured.macs + round(measured.macs_by_operator.get("batch_norm", 0) * 3 / 2)


def _giga(count: int) -> str:
    return f"{count / 1e9:.3f}"
