"""Numbers of classes and images of the data sets that are known beforehand."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The numbers of classes and images in a complete data set."""

    num_classes: int
    train_images: int
    val_images: int


DATASETS = {
    "imagenet": Contents(num_classes=1000, train_images=1_281_167, val_images=50_000),
    "cifar10": Contents(num_classes=10, train_images=50_000, val_images=10_000),
    "cifar100": Contents(num_classes=100, train_images=50_000, val_images=10_000),
    "imagenette": Contents(num_classes=10, train_images=9_469, val_images=3_925),
    "imagewoof": Contents(num_classes=10, train_images=9_025, val_images=3_929),
    "tiny-imagenet-200": Contents(num_classes=200, train_images=100_000, val_images=10_000),
    "synthetic": Contents(num_classes=10, train_images=512, val_images=256),
}
"""those whose contents are known beforehand"""
