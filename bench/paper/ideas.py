"""The designs of Tables 6 and 7, each with the networks that it was tried on."""

from bench.spec.claim import Idea, Pair


def _tried(table: int, *pairs: tuple[str, str]) -> tuple[Pair, ...]:
    return tuple(Pair(table=table, row=row, against=against) for row, against in pairs)


_RESNET, _VIT, _T2T = "ResNet50*", "ViT-S/16", "T2T-ViT-14"

IDEAS = (
    Idea("Deep and narrow", pairs=_tried(6, ("ViT-DN", _VIT))),
    Idea(
        "Shallow and wide",
        pairs=(
            *_tried(6, ("Wide-ResNet18x1.5*", _RESNET), ("ViT-SW", _VIT), ("T2T-ViT-Wide", _T2T)),
            *_tried(7, ("T2T-ViT-d768-4", _T2T)),
        ),
    ),
    Idea("Dense connections", pairs=_tried(6, ("DenseNet201*", _RESNET), ("ViT-Dense", _VIT), ("T2T-ViT-Dense", _T2T))),
    Idea("Squeeze-and-excitation", pairs=_tried(6, ("SENet50*", _RESNET), ("ViT-SE", _VIT), ("T2T-ViT-SE", _T2T))),
    Idea("ResNeXt", pairs=_tried(6, ("ResNeXt50*", _RESNET), ("ViT-ResNeXt", _VIT), ("T2T-ViT-ResNeXt", _T2T))),
    Idea("Ghost", pairs=_tried(6, ("ResNet50-Ghost*", _RESNET), ("ViT-Ghost", _VIT), ("T2T-ViT-Ghost", _T2T))),
    Idea(
        "T2T module, against none",
        pairs=_tried(7, (_T2T, "T2T-ViT-14 without T2T"), ("T2T-ViT_t-14", "T2T-ViT-14 without T2T")),
    ),
    Idea("Convolutions, against T2T", pairs=_tried(7, ("T2T-ViT_c-14", _T2T))),
)
"""in the order of the tables"""
