"""The page on counting conventions: what fvcore counts and misses, and the counts of five networks under each."""

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
        "A multiply-add (MAC) is one multiplication and one addition. Papers and model zoos count different operators "
        "and call all of it MACs or FLOPs; counts by different conventions must not be compared. All tables here use "
        "the first convention below: the paper prints 4.8 G for T2T-ViT-14 and 6.1 G for T2T-ViT_t-14, and no "
        "convention without attention gives these.",
        pipe(pd.DataFrame(_lines(measurements)), text=("Convention",)),
        "Evidence: "
        + ", ".join(link(name, measurement_file(n)) for name, n in SHOWN.items() if n in measurements)
        + ". These files have the counts by operator, from which each line is made as follows.",
        "## What each convention counts",
        "\n".join(
            [
                "- **fvcore, fused attention included** (used here): linear layers, convolutions and matrix products, "
                "one MAC for each multiplication; norms at fvcore's fixed rates (5 operations per element for layer "
                "norm, 2 for batch norm in evaluation mode); adaptive pooling at 1 per element. Batch size 1, "
                "evaluation mode.",
                "- **fvcore as installed**: the same, but fvcore has no counter for fused attention "
                "(`torch.nn.functional.scaled_dot_product_attention`), which current networks use, so both matrix "
                "products of every attention layer are missing, without an error. CNNs have no attention to miss.",
                "- **linear and convolution only**: no matrix products, so no attention, and no norms: the convention "
                "of model zoos whose counter hooks modules (MMPretrain prints 4.34 G for T2T-ViT-14).",
                "- **torch's FlopCounterMode, halved**, attention unfused: linear layers, convolutions and matrix "
                "products, no norms and no pooling. It is run beside fvcore, and a count is refused if the two "
                "disagree by more than 0.1 % on the operators that both count.",
                "- **batch norm at 5 operations an element**, as fvcore counts it in training mode: some printed "
                "counts of CNNs seem to follow this convention. Transformers have no batch norm.",
            ]
        ),
        f"None of the conventions counts these operators of the networks above: {uncounted(used)}. They are "
        "activations, additions, softmax, exponentials, and moves of data, such as the unfold (`im2col`) of T2T's soft "
        "split. They take time without multiplying, which is one reason why MACs are not speed.",
        "fvcore skips operators that it does not know, silently. t2t-bench therefore records which operators a network "
        "runs, and stops with an error if fvcore skipped one that is a matrix product or a convolution by its name.",
        "## Params",
        "Params are all parameters of a network, including those that are never trained: T2T-ViT's position table and, "
        "with Performer layers, two random matrices. The evidence below each table also gives the trainable ones. The "
        "paper mixes both: 39.2 and 64.1 M for T2T-ViT-19 and 24 in Table 3 can only be all parameters, and 48.6 M for "
        "ViT-S/16 only the trainable ones. If only the trainable ones give a printed number, the table's page says so.",
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
