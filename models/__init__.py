"""T2T-ViT for timm: ``import models`` registers every network of the suite with ``timm.create_model``.

Needs torch and timm alone; nothing here imports the benchmark.
"""

from models.t2t_vit import T2TModule, T2TViT

__all__ = ["T2TModule", "T2TViT"]
