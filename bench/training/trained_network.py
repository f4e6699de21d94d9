"""Networks with trained weights, of a finished run or of a file, on the CPU and ready for evaluation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
from torch import nn

from bench.results.files import CorruptFile
from bench.results.record import RunRecord
from bench.results.run_folder import TRAIN_ANEW, last_checkpoint, last_checksum, load_own_record
from bench.results.spec_file import load_spec
from bench.spec.contents import DATASETS
from bench.spec.errors import RequestError
from bench.spec.run import Network, RunSpec
from bench.training.build import create_network
from models.checkpoints import CheckpointError, img_size, load_into, read_checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNetwork:
    """A network with the weights that a run ended with."""

    spec: RunSpec
    record: RunRecord
    network: nn.Module
    """in evaluation mode, as timm's users build it"""
    weights: str
    """``ema`` for averaged weights, which a run's checkpoint is preferred for, or ``raw``"""
    checkpoint: str
    """name of the file that the weights are from"""
    checkpoint_sha256: str

    @property
    def num_classes(self) -> int:
        """Classes of its head."""
        return num_classes(self.spec, self.record)


def num_classes(spec: RunSpec, record: RunRecord) -> int:
    """Classes of the head that a run trains."""
    known = DATASETS.get(spec.dataset)
    return known.num_classes if known else int(str(record.data["classes"]))


def load_trained(folder: Path) -> TrainedNetwork:
    """Load the network of a run's folder with the weights of its last epoch, averaged ones where there are any.

    Raises:
        RequestError: no such run, it is not completed, or its last checkpoint cannot be used.
    """
    try:
        record, spec = load_own_record(folder), load_spec(folder)
    except FileNotFoundError:
        raise RequestError(f"no run in {str(folder)!r}; give the id or folder of a completed run") from None
    except CorruptFile as error:
        raise RequestError(str(error)) from error
    if record is None or record.status != "completed":
        state = record.status if record else "not begun"
        raise RequestError(f"{spec.run_id} is {state}; give a completed run")
    path, problem = last_checkpoint(folder)
    if path is None:
        raise RequestError(f"{spec.run_id}: its last checkpoint cannot be used ({problem}); {TRAIN_ANEW}")
    network = create_network(spec.network, num_classes=num_classes(spec, record))
    try:
        checkpoint = read_checkpoint(path)
        fit = load_into(network, checkpoint)
    except (CheckpointError, OSError) as error:
        raise RequestError(f"{spec.run_id}: {error}") from error
    if fit.left_out or fit.resized:
        raise RequestError(f"{path}: its weights are not those of {spec.run_id}; {TRAIN_ANEW}")
    return TrainedNetwork(
        spec=spec,
        record=record,
        network=network.eval(),
        weights="ema" if checkpoint.key == "ema" else "raw",
        checkpoint=path.name,
        checkpoint_sha256=last_checksum(folder),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNetwork:
    """A network with the weights of a file."""

    source: Network
    network: nn.Module
    """in evaluation mode"""
    sha256: str
    """of the file"""


def load_from_file(model: str, path: Path, pixels: int | None) -> FileNetwork:
    """Load a network with a file's weights; its head is for as many classes as theirs.

    Args:
        model: name that timm knows.
        path: of the file.
        pixels: side of the images; None for the one that the weights' positions are for, or 224 without positions.

    Raises:
        RequestError: no such network, or the file cannot be read or fits another.
    """
    cfg = timm.get_pretrained_cfg(model) if timm.is_model(model) else None
    try:
        checkpoint = read_checkpoint(path)
        if pixels is None:
            pixels = img_size(checkpoint) if "pos_embed" in checkpoint.weights else 224
        source = Network(model, img_size=pixels)
        classifier = cfg.classifier if cfg else None
        head = checkpoint.weights.get(f"{classifier[0] if isinstance(classifier, tuple) else classifier}.weight")
        network = _created(source, {} if head is None else {"num_classes": len(head)})
        load_into(network, checkpoint)
    except CheckpointError as error:
        raise RequestError(str(error)) from error
    except OSError as error:
        raise RequestError(f"--weights {path}: {error.strerror}; give a file of weights") from error
    return FileNetwork(source=source, network=network.eval(), sha256=checkpoint.sha256)


def _created(source: Network, classes: dict[str, Any]) -> nn.Module:
    try:
        return create_network(source, **classes)
    except (AssertionError, ValueError) as error:  # as timm's factories raise them
        reason = " ".join(str(error).split())
        raise RequestError(f"{source} takes no images of {source.img_size} px: {reason}") from error
