"""Table 8 (appendix): settings of the ImageNet experiments, as the authors' code and README give them."""

from bench.experiments.recipes import (
    AUTHORS,
    CNN_T2T,
    CNN_T2T_NO_DROP_PATH,
    DEIT,
    T2T_DEEP,
    T2T_LITE,
    T2T_MEDIUM,
    TORCHVISION,
    TORCHVISION_LR_01,
    VIT_T2T,
)
from bench.spec.table import RecipeTable, Setting

TABLE = RecipeTable(
    number=8,
    title="Settings of the ImageNet experiments",
    recipes=(
        T2T_LITE,
        T2T_MEDIUM,
        T2T_DEEP,
        VIT_T2T,
        DEIT,
        CNN_T2T,
        CNN_T2T_NO_DROP_PATH,
        TORCHVISION,
        TORCHVISION_LR_01,
    ),
    beside=(
        Setting(
            "image size",
            value="224 px; 384 for T2T-ViT-14 at 384 px",
            source=f"{AUTHORS}: README, section 4, --img-size",
        ),
        Setting("seed", value="42", source=f"{AUTHORS}: main.py, default of --seed"),
        Setting("precision", value="float16 autocast", source=f"{AUTHORS}: README, section 4, --amp"),
    ),
)
