"""Table 9 (appendix): settings of the CIFAR experiments, as the authors' code and README give them."""

from bench.experiments.recipes import AUTHORS, CIFAR_TRANSFER
from bench.spec.table import RecipeTable, Setting

_TRANSFER = f"{AUTHORS}: transfer_learning.py"

TABLE = RecipeTable(
    number=9,
    title="Settings of the CIFAR experiments",
    recipes=(CIFAR_TRANSFER,),
    beside=(
        Setting("image size", value="224 px, resized from 32", source=f"{_TRANSFER}, default of --img-size"),
        Setting("mean", value="0.4914, 0.4822, 0.4465", source=f"{_TRANSFER}: Normalize"),
        Setting("standard deviation", value="0.2023, 0.1994, 0.201", source=f"{_TRANSFER}: Normalize"),
        Setting(
            "starts from",
            value="the averaged weights of the ImageNet run, with a new head",
            source=f"{_TRANSFER}: load_for_transfer_learning(use_ema=True)",
        ),
        Setting("precision", value="float32", source=f"{_TRANSFER}: no autocast"),
    ),
)
