"""The public weights behind rows' printed accuracies, and published predictions whose weights are known.

Predictions are recognized by their content: the sha256 over (images, predicted), int16 little-endian, in the order of
ImageNet's validation files, classes by sorted WordNet id.
"""

from bench.paper.released import RELEASED
from bench.spec.run import Network
from bench.spec.table import Released, Row

VAL_LABELS_SHA256 = "f5350687a5a78da7e645040d352767bc06c1c99d9dfb34f1623b2d1a1d046b76"
"""over the labels of ImageNet's 50,000 validation images, int16 little-endian, in the order of their files"""

_INCEPTION = Network("inception_v3_auxiliary", img_size=299)

_WITHOUT_A_RUN: dict[Network, Released] = {
    _INCEPTION: Released(
        files=("inception_v3_google-1a9a5a14.pth",),
        tag="inception_v3.tv_in1k",
        source="https://download.pytorch.org/models/inception_v3_google-1a9a5a14.pth",
    ),
}

WHY_THESE_WEIGHTS: dict[Network, str] = {
    _INCEPTION: "the printed 27.2 M params are those of torchvision's network with its auxiliary head, for which "
    "torchvision lists a top-1 error of 22.55 %; Cadene's port, the other public one, lacks that head",
}
"""where several public weights might be meant"""

PUBLISHED_PREDICTIONS: dict[str, str] = {
    "1a1fb5d4656fb2612aced5ff0df655d873ed2cef2dc889d0540eedad2dce3a65": "resnet18.tv_in1k",
    "6300a562fbf08fe2c0c20808c26f17970f33966a14cc24893e1e8a5e2daa32b4": "resnet50.tv_in1k",
    "c148d442e7b170703b4468441bb8753cc7a103b4fb6ff3ddc38e920fc2fbc1fd": "resnet101.tv_in1k",
    "9b8d9c4ffb02771b026cc63137f85b3639bb46c3e3b505bec900ccfc61c50683": "resnet152.tv_in1k",
    "658df568248e046f65d8aca06dfedb44a64dc8b99fdfd446f60ec0ba3beb9378": "densenet201.tv_in1k",
    "c23113e4e844b23b65d47d46e9ce23af81336df1124cc80bf16fd53cbf0d189d": "alexnet-owt-4df8aa71.pth",
    "263ad8f977666d87267f42c59d485eed27ef74352deee3cc6b451871a721bc73": "vgg11.tv_in1k",
    "8cab212073094f7d6778bf68239eeb6c617fd4a6ff64875e6a8d49790640f268": "inception_v3.tv_in1k",
    "cf729fed1c309b3a8136e15e1868abc2eb11d8bb0d51a7f7f021bf86c06e4df1": "deit_small_patch16_224.fb_in1k",
    "af891c9af49cf6dc828a11442e1f01f60954df5e94be134ec2889bc55e14ffd5": "deit_tiny_patch16_224.fb_in1k",
}
"""weights, by the sha256 of the predictions.

Those of modestyachts/ImageNetV2 (data/predictions/imagenet-validation-original) are of torchvision's weights of 2018,
evaluated by torchvision's protocol; those of hadarshavit/analysing-relations (res/topk_ids_*.csv) are of timm's. Where
they do not say which of several weights they used, none are listed.
"""


def weights_of(row: Row) -> Released | None:
    """The public weights that a row's printed ImageNet accuracy is of, where they are known."""
    if row.run:
        return RELEASED.get(row.run)
    return _WITHOUT_A_RUN.get(row.network)


def names_of(weights: Released) -> tuple[str, ...]:
    """Names under which weights are known."""
    return tuple(filter(None, (weights.tag, *weights.files)))
