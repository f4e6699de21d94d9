"""Weights that were released, by the run of a row whose printed accuracy is theirs.

The authors released none of their ViTs, of the CNNs that they retrained (*), of the networks that they distilled, and
of the variants in Tables 6 and 7. Of MobileNetV3 and Inception v3 no recipe is held that could tell which of several
released weights the printed accuracy is of.
"""

from bench.paper import table_2, table_3, table_4, table_5, table_6
from bench.spec.run import RunSpec
from bench.spec.table import Released, Row, Table

_AUTHORS = "https://github.com/yitu-opensource/T2T-ViT/releases/download/main/"
"""where the README of yitu-opensource/T2T-ViT, commit 0f63dc9, has its files"""
_TORCHVISION = "https://download.pytorch.org/models/"
_DEIT = "https://dl.fbaipublicfiles.com/deit/"


def _row(table: Table, name: str) -> Row:
    (row,) = (row for row in table.rows if row.name == name)
    return row


def _run(table: Table, name: str) -> RunSpec:
    run = _row(table, name).run
    assert run is not None, name
    return run


def _on(dataset: str, name: str) -> RunSpec:
    """A fine-tuning of Table 5."""
    (run,) = (run for run in _row(table_5.TABLE, name).transfers if run.dataset == dataset)
    return run


def _by_authors(*files: str) -> Released:
    return Released(files=files, source=_AUTHORS + files[0])


def _by_tag(tag: str, *files: str, source: str = _TORCHVISION) -> Released:
    return Released(files=files, tag=tag, source=source + files[0])


RELEASED: dict[RunSpec, Released] = {
    _run(table_4.TABLE, "T2T-ViT-7"): _by_authors("71.7_T2T_ViT_7.pth.tar"),
    _run(table_4.TABLE, "T2T-ViT-10"): _by_authors("75.2_T2T_ViT_10.pth.tar"),
    _run(table_4.TABLE, "T2T-ViT-12"): _by_authors("76.5_T2T_ViT_12.pth.tar"),
    _run(table_3.TABLE, "T2T-ViT-14"): _by_authors("81.5_T2T_ViT_14.pth.tar"),
    _run(table_3.TABLE, "T2T-ViT-19"): _by_authors("81.9_T2T_ViT_19.pth.tar"),
    _run(table_3.TABLE, "T2T-ViT-24"): _by_authors("82.3_T2T_ViT_24.pth.tar"),
    _run(table_2.TABLE, "T2T-ViT-14 at 384 px"): _by_authors("83.3_T2T_ViT_14.pth.tar"),
    _run(table_3.TABLE, "T2T-ViT_t-14"): _by_authors("81.7_T2T_ViTt_14.pth.tar"),
    _run(table_3.TABLE, "T2T-ViT_t-19"): _by_authors("82.4_T2T_ViTt_19.pth.tar"),
    _run(table_3.TABLE, "T2T-ViT_t-24"): _by_authors("82.6_T2T_ViTt_24.pth.tar"),
    _on("cifar10", "T2T-ViT-14"): _by_authors("cifar10_t2t-vit_14_98.3.pth"),
    # The first is how the authors spell it.
    _on("cifar100", "T2T-ViT-14"): _by_authors("cirfar100_t2t-vit-14_88.4.pth", "cifar100_t2t-vit_14_88.4.pth"),
    _on("cifar10", "T2T-ViT-19"): _by_authors("cifar10_t2t-vit_19_98.4.pth"),
    _on("cifar100", "T2T-ViT-19"): _by_authors("cifar100_t2t-vit-19_89.0.pth", "cifar100_t2t-vit_19_89.0.pth"),
    # Without a star: the recipe is torchvision's, and torchvision released the weights; two files hold the same.
    _run(table_3.TABLE, "ResNet50"): _by_tag("resnet50.tv_in1k", "resnet50-0676ba61.pth", "resnet50-19c8e357.pth"),
    _run(table_3.TABLE, "ResNet101"): _by_tag("resnet101.tv_in1k", "resnet101-63fe2227.pth", "resnet101-5d3b4d8f.pth"),
    _run(table_3.TABLE, "ResNet152"): _by_tag("resnet152.tv_in1k", "resnet152-394f9c45.pth", "resnet152-b121ed2d.pth"),
    _run(table_6.TABLE, "AlexNet"): Released(
        files=("alexnet-owt-7be5be79.pth", "alexnet-owt-4df8aa71.pth"), source=f"{_TORCHVISION}alexnet-owt-7be5be79.pth"
    ),
    _run(table_6.TABLE, "VGG11"): _by_tag("vgg11.tv_in1k", "vgg11-8a719046.pth", "vgg11-bbd30ac9.pth"),
    _run(table_2.TABLE, "DeiT-small"): _by_tag(
        "deit_small_patch16_224.fb_in1k", "deit_small_patch16_224-cd65a155.pth", source=_DEIT
    ),
    _run(table_2.TABLE, "DeiT-small-Distilled"): _by_tag(
        "deit_small_distilled_patch16_224.fb_in1k", "deit_small_distilled_patch16_224-649709d9.pth", source=_DEIT
    ),
}
"""by run, whose network, resolution and protocol of evaluation they have"""
