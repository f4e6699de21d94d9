"""The claims of the paper's text, each with the comparisons of rows that it stands on.

The wording is ours. Bounds that the text does not give are ours, too, and the claim says so.
"""

from bench.spec.claim import Claim, Comparison, DeadChannels, Pair

LITTLE = 0.2
"""points that count as little: what retraining the same network changes (MMPretrain's T2T-ViT_t: +0.1 to +0.2)"""

HALF = (45.0, 55.0)
"""% that count as half: the text calls it half of the size and MACs, and the MACs nearly so"""

MANY = 10.0
"""% of a network's channels that count as many: the text gives no number, its figure shows some of a layer's each"""


def _change(table: int, row: str, against: str, points: float) -> Comparison:
    """A difference that the text prints."""
    return Comparison(table=table, row=row, against=against, low=points, high=points)


def _against_resnet(t2t: str, resnet: str) -> Comparison:
    return Comparison(table=3, row=t2t, against=resnet, low=1.4, high=2.7)


def _part(cell: str, percent: float, note: str = "") -> Comparison:
    row, against = "T2T-ViT-14", "ViT-S/16"
    return Comparison(table=2, row=row, against=against, cell=cell, of="ratio", low=percent, high=percent, note=note)


def _half(table: int, row: str, against: str, cell: str) -> Comparison:
    low, high = HALF
    return Comparison(table=table, row=row, against=against, cell=cell, of="ratio", low=low, high=high)


_GHOST_RESNET = Pair(table=6, row="ResNet50-Ghost*", against="ResNet50*")


def _on_cifar(t2t: str) -> tuple[Comparison, ...]:
    return (
        Comparison(table=5, row=t2t, against="ViT-S/16", cell="cifar10_pct", low=0.0),
        Comparison(table=5, row=t2t, against="ViT-S/16", cell="cifar100_pct", low=0.0),
        Comparison(table=5, row=t2t, against="ViT-S/16", cell="params_m", high=0.0),
    )


CLAIMS = (
    Claim(
        number=1,
        text="T2T-ViT-14 beats ViT-S/16 by more than 3.0 points with 44.2 % of its params and 51.5 % of its MACs",
        comparisons=(
            Comparison(table=2, row="T2T-ViT-14", against="ViT-S/16", low=3.0),
            _part("params_m", 44.2),
            _part("macs_g", 51.5, "5.2 G, which arXiv v1 prints for T2T-ViT_t-14, would be 51.5 % of 10.1 G"),
        ),
    ),
    Claim(
        number=2,
        text="T2T-ViT gains 1.4 to 2.7 points over ResNets of similar size, trained alike",
        comparisons=tuple(
            _against_resnet(f"T2T-ViT{kind}-{depth}", f"{resnet}*")
            for depth, resnet in ((14, "ResNet50"), (19, "ResNet101"), (24, "ResNet152"))
            for kind in ("", "_t")
        ),
    ),
    Claim(
        number=3,
        text="T2T-ViT-12 beats MobileNetV2 1.4x by 0.9 points, with more MACs",
        comparisons=(
            _change(4, "T2T-ViT-12", "MobileNetV2 1.4x*", 0.9),
            Comparison(table=4, row="T2T-ViT-12", against="MobileNetV2 1.4x*", cell="macs_g", of="ratio", low=100.0),
        ),
    ),
    Claim(
        number=4,
        text="The T2T module is worth 2.0 to 2.2 points; convolutions in its place are 0.5 to 1.0 worse",
        comparisons=(
            Comparison(table=7, row="T2T-ViT-14", against="T2T-ViT-14 without T2T", low=2.0, high=2.2),
            Comparison(table=7, row="T2T-ViT_t-14", against="T2T-ViT-14 without T2T", low=2.0, high=2.2),
            Comparison(table=7, row="T2T-ViT_c-14", against="T2T-ViT-14", low=-1.0, high=-0.5),
            Comparison(table=7, row="T2T-ViT_c-14", against="T2T-ViT_t-14", low=-1.0, high=-0.5),
        ),
    ),
    Claim(
        number=5,
        text="Deep and narrow beats shallow and wide: ViT-DN +0.9 at half the params and MACs (taken here as "
        f"{HALF[0]:.0f} to {HALF[1]:.0f} %), ViT-SW -8.2, T2T-ViT-d768-4 -2.7",
        comparisons=(
            _change(6, "ViT-DN", "ViT-S/16", 0.9),
            _half(6, "ViT-DN", "ViT-S/16", "params_m"),
            _half(6, "ViT-DN", "ViT-S/16", "macs_g"),
            _change(6, "ViT-SW", "ViT-S/16", -8.2),
            _change(7, "T2T-ViT-d768-4", "T2T-ViT-14", -2.7),
        ),
    ),
    Claim(
        number=6,
        text="Squeeze-and-excitation helps: ViT-SE +0.3, T2T-ViT-SE +0.1, and SENet50 against ResNet50",
        comparisons=(
            _change(6, "ViT-SE", "ViT-S/16", 0.3),
            _change(6, "T2T-ViT-SE", "T2T-ViT-14", 0.1),
            Comparison(table=6, row="SENet50*", against="ResNet50*", low=0.0),
        ),
    ),
    Claim(
        number=7,
        text="Dense connections hurt: ViT-Dense -1.3, T2T-ViT-Dense too",
        comparisons=(
            _change(6, "ViT-Dense", "ViT-S/16", -1.3),
            Comparison(table=6, row="T2T-ViT-Dense", against="T2T-ViT-14", high=0.0),
        ),
    ),
    Claim(
        number=8,
        text=f"32 heads, like the groups of ResNeXt, change little (taken here as at most {LITTLE} points)",
        comparisons=(
            Comparison(table=6, row="ViT-ResNeXt", against="ViT-S/16", low=-LITTLE, high=LITTLE),
            Comparison(table=6, row="T2T-ViT-ResNeXt", against="T2T-ViT-14", low=-LITTLE, high=LITTLE),
        ),
    ),
    Claim(
        number=9,
        text="Ghost costs ResNet50 2.9 points, T2T-ViT less (2.0) and ViT more (4.4)",
        comparisons=(
            _change(6, "ResNet50-Ghost*", "ResNet50*", -2.9),
            _change(6, "T2T-ViT-Ghost", "T2T-ViT-14", -2.0),
            _change(6, "ViT-Ghost", "ViT-S/16", -4.4),
            Comparison(table=6, row="T2T-ViT-Ghost", against="T2T-ViT-14", less=_GHOST_RESNET, low=0.0),
            Comparison(table=6, row="ViT-Ghost", against="ViT-S/16", less=_GHOST_RESNET, high=0.0),
        ),
    ),
    Claim(
        number=10,
        text="Fine-tuned on CIFAR, T2T-ViT beats ViT at a smaller size",
        comparisons=(*_on_cifar("T2T-ViT-14"), *_on_cifar("T2T-ViT-19")),
    ),
    Claim(
        number=11,
        text=f"Many channels of ViT (taken here as over {MANY:.0f} %) are dead, that is, zero, and more than of "
        "ResNet50",
        dead_channels=(
            DeadChannels(network="ViT-L/16", low=MANY),
            DeadChannels(network="ViT-L/16", against="ResNet50", low=0.0),
        ),
    ),
)
"""in the order of the text of the ICCV edition"""

PREMISES = (
    Comparison(
        table=6,
        row="DenseNet201*",
        against="ResNet50*",
        low=0.0,
        note="it does beat the ResNet50 that was not retrained, at 76.2 %",
    ),
)
"""what the text reads off its tables on the way to a claim, without being one"""
