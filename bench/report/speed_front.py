"""Speed against accuracy: machines, the fastest case of each row, the rows that no other row beats, and families."""

from collections.abc import Iterator

import pandas as pd

FAMILIES: dict[str, tuple[str, ...]] = {
    "T2T-ViT": ("t2t_vit",),
    "ViT": ("vit",),
    "DeiT": ("deit",),
    "ResNet and its kin": ("resnet", "resnext", "senet", "wide_resnet"),
    "MobileNet": ("mobilenet",),
    "other CNNs": (),
}
"""beginnings of the networks' names; the last family takes whatever is left"""


def family(network: str) -> str:
    """The family of a network."""
    return next((name for name, starts in FAMILIES.items() if network.startswith(starts)), list(FAMILIES)[-1])


def machines(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The lines of each machine, under its name.

    Args:
        frame: from ``speed_frame``.
    """
    for _, lines in frame.groupby(["gpu", "machine", "threads", "clock"], sort=False, dropna=False):
        gpu, machine, threads = lines[["gpu", "machine", "threads"]].iloc[0]
        yield (f"{machine}, {threads} thread{'s' * int(threads > 1)}" if pd.isna(gpu) else gpu), lines


def fastest(frame: pd.DataFrame, mode: str = "train") -> pd.DataFrame:
    """The lines with a printed accuracy and a speed; of several batches or precisions of a row, the fastest.

    Args:
        frame: of one machine.
        mode: ``train`` or ``infer``.
    """
    speed = f"{mode}_images_per_s"
    marks = frame[frame["published_top1_pct"].notna() & frame[speed].notna()]
    return marks.sort_values(speed, ascending=False, kind="stable").drop_duplicates(["model", "network", "img_size"])


def unbeaten(marks: pd.DataFrame, mode: str) -> pd.DataFrame:
    """The lines, the fastest first, for which no other one is at least as fast and at least as accurate.

    Args:
        marks: from ``fastest``. Of lines that are equal in both, none beats the other.
        mode: ``train`` or ``infer``.
    """
    speed, top1 = marks[f"{mode}_images_per_s"], marks["published_top1_pct"]
    kept = [
        not ((speed >= s) & (top1 >= t) & ((speed > s) | (top1 > t))).any() for s, t in zip(speed, top1, strict=True)
    ]
    return marks[kept]
