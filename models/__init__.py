"""T2T-ViT for timm: ``import models`` registers every network of the suite with ``timm.create_model``.

Needs torch and timm alone (and torchvision, which timm brings); nothing here imports the benchmark.
"""

from models import cnn, vit  # noqa: F401  (register with timm)
from models.t2t_vit import T2TViT
from models.tokens import T2TModule

__all__ = ["T2TModule", "T2TViT"]
