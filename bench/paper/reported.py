"""Accuracies on ImageNet that others reported, by the name of the released weights (``Released.name``).

None of them was measured here, and none fills a cell. Those who evaluated the authors' ten files agree with each other
to 0.02 points, but for OpenVINO, which crops 87.5 % of the image instead of 90 % (accuracy-check.yml beside its
README). For T2T-ViT_t-19 all of them have the 82.4 of the authors' README and file name, and not the 82.2 of the ICCV
edition.

MMPretrain first listed the authors' weights, converted, and two months later its own in their place, so its sources
are the commits that hold them.
"""

from collections.abc import Mapping

from bench.spec.table import Reported

_PADDLEVIT = "https://github.com/BR-IDL/PaddleViT/blob/develop/image_classification/T2T_ViT/README.md"
_TIMM_PR = "https://github.com/huggingface/pytorch-image-models/pull/2426"
_MMPRETRAIN = (
    "https://github.com/open-mmlab/mmpretrain/blob/fffa30dd4827395274d1ebd35752f9f3482ea73f/configs/t2t_vit/"
    "metafile.yml"
)
_MMPRETRAIN_OWN = (
    "https://github.com/open-mmlab/mmpretrain/blob/159b38d276c51c5a305c6afa54e93e4bda57e6af/configs/t2t_vit/README.md"
)
_OPENVINO = "https://github.com/openvinotoolkit/open_model_zoo/blob/master/models/public/t2t-vit-14/README.md"
_TIMM = (
    "https://github.com/huggingface/pytorch-image-models/blob/aa4b5850c1543fa488abf260f18390eda46cf85d/results/"
    "results-imagenet.csv"
)


def _file(
    paddlevit: float,
    timm: float | None = None,
    *,
    mmpretrain: float | None = None,
    retrained: float | None = None,
    openvino: float | None = None,
) -> tuple[Reported, ...]:
    """An accuracy of one of the authors' files, as reported by those who evaluated it."""
    listed = (
        (paddlevit, "PaddleViT", _PADDLEVIT),
        (timm, "timm pull request 2426", _TIMM_PR),
        (mmpretrain, "MMPretrain", _MMPRETRAIN),
        (openvino, "OpenVINO", _OPENVINO),
    )
    found = [Reported(top1_pct=value, by=by, source=source) for value, by, source in listed if value is not None]
    if retrained is not None:
        found.append(Reported(top1_pct=retrained, by="MMPretrain", source=_MMPRETRAIN_OWN, retrained=True))
    return tuple(found)


def _timm(top1_pct: float) -> tuple[Reported, ...]:
    """The accuracy that timm reports for a tag."""
    return (Reported(top1_pct=top1_pct, by="timm", source=_TIMM),)


REPORTED: Mapping[str, tuple[Reported, ...]] = {
    "71.7_T2T_ViT_7.pth.tar": _file(71.68, 71.676),
    "75.2_T2T_ViT_10.pth.tar": _file(75.15, 75.150),
    "76.5_T2T_ViT_12.pth.tar": _file(76.48, 76.480),
    "81.5_T2T_ViT_14.pth.tar": _file(81.50, 81.500, openvino=81.44),
    "81.9_T2T_ViT_19.pth.tar": _file(81.93, 81.932),
    "82.3_T2T_ViT_24.pth.tar": _file(82.28, 82.276),
    "83.3_T2T_ViT_14.pth.tar": _file(83.34),
    "81.7_T2T_ViTt_14.pth.tar": _file(81.69, 81.688, mmpretrain=81.69, retrained=81.83),
    "82.4_T2T_ViTt_19.pth.tar": _file(82.44, 82.442, mmpretrain=82.43, retrained=82.63),
    "82.6_T2T_ViTt_24.pth.tar": _file(82.55, 82.554, mmpretrain=82.55, retrained=82.71),
    "resnet50.tv_in1k": _timm(76.156),
    "resnet101.tv_in1k": _timm(77.404),
    "resnet152.tv_in1k": _timm(78.330),
    "vgg11.tv_in1k": _timm(69.050),
    "inception_v3.tv_in1k": _timm(77.472),
    "deit_small_patch16_224.fb_in1k": _timm(79.856),
    "deit_small_distilled_patch16_224.fb_in1k": _timm(81.204),
}
