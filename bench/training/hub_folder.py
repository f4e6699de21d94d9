"""A trained network as a folder in timm's layout for the Hugging Face Hub, read back before it is kept."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from timm.models import save_for_hf

from bench.results.files import replace, sha256_of
from bench.spec.class_names import CIFAR_CLASSES, WORDNET_IDS
from bench.training.data import KNOWN, seed_cpu
from bench.training.trained_network import TrainedNetwork

WEIGHTS, CONFIG = "model.safetensors", "config.json"
"""timm's names for the files"""

OWN = "t2t_bench"
"""key of the config for what timm does not read"""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFolder:
    """The files of a network."""

    weights_sha256: str
    is_timms_own: bool
    """whether timm knows the network without ``import models``"""


def class_names(trained: TrainedNetwork) -> list[str]:
    """Names of the classes in the order of the logits; empty if they are not all known."""
    fingerprint, dataset = trained.record.fingerprint, trained.spec.dataset
    known = CIFAR_CLASSES.get(dataset) or WORDNET_IDS.get(dataset)
    found = list(fingerprint.class_names) if fingerprint and not known else known or []
    return found if len(found) == trained.num_classes else []


def write_hub_folder(trained: TrainedNetwork, folder: Path) -> HubFolder:
    """Write weights and config into a folder; timm has built the network from them, with the same logits bit for bit.

    Args:
        trained: the network.
        folder: made if need be; files of the same names are replaced, once the new ones are checked.

    Raises:
        OSError: the folder cannot be written.
    """
    spec, known = trained.spec, KNOWN.get(trained.spec.dataset, KNOWN["imagenet"])
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, object] = {OWN: {"run_id": spec.run_id, "weights": trained.weights}}
    if names := class_names(trained):
        config["label_names"] = names
    preprocessing = {
        "input_size": (3, spec.img_size, spec.img_size),
        "interpolation": spec.recipe.eval_interpolation,
        "crop_pct": spec.recipe.crop_pct,
        "crop_mode": "center",
        "mean": known.mean,
        "std": known.std,
    }
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as made:
        save_for_hf(trained.network, made, model_config=config, data_config=preprocessing, safe_serialization=True)
        _require_same(trained, Path(made))
        for name in (WEIGHTS, CONFIG):
            replace(Path(made) / name, folder / name)
    return HubFolder(
        weights_sha256=sha256_of(folder / WEIGHTS),
        is_timms_own=not timm.model_entrypoint(spec.model).__module__.startswith("models."),
    )


def _require_same(trained: TrainedNetwork, folder: Path) -> None:
    """Check that timm makes the same network of a folder's files.

    Raises:
        RuntimeError: it does not.
    """
    again = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    seed_cpu("images for a network that was written")
    images = torch.randn(2, 3, trained.spec.img_size, trained.spec.img_size)
    with torch.inference_mode():
        if not torch.equal(again(images), trained.network(images)):
            raise RuntimeError(f"timm makes another network of the files of {trained.spec.run_id}")
