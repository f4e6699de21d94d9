"""Named recipes: how the accuracies in the paper's rows were trained, each with its source."""

from bench.specs import Recipe

_AUTHORS = "https://github.com/yitu-opensource/T2T-ViT (commit 0f63dc9), README section 4 and main.py"

T2T_MEDIUM = Recipe(
    name="t2t_medium",
    summary="T2T-ViT scheme, 310 epochs AdamW, learning rate 5e-4 at batch 512 (8 GPUs; the README has 1e-3 for 4), "
    "weight decay 0.05",
    source=_AUTHORS,
)
T2T_DEEP = Recipe(
    name="t2t_deep",
    summary="T2T-ViT scheme, 310 epochs AdamW, learning rate 5e-4 at batch 512, weight decay 0.065",
    source=_AUTHORS,
)
CNN_T2T = Recipe(
    name="cnn_t2t",
    summary="CNN retrained by the authors with the T2T-ViT scheme (the rows marked *)",
    source="paper, Table 3: rows marked *",
)
TORCHVISION = Recipe(
    name="torchvision",
    summary="torchvision's original ImageNet recipe, whose weights timm lists as tv_in1k",
    source="https://github.com/pytorch/vision/tree/main/references/classification",
)
