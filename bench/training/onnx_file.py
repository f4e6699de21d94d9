"""A network as an ONNX file with a free batch size, checked before it is kept."""

import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.results.files import replace, sha256_of
from bench.spec.errors import RequestError
from bench.training.data import preserved_generators, seed_cpu

OWN = "t2t_bench"
"""key of the file's metadata that tells whose it is"""

INPUT, OUTPUT = "images", "logits"

BATCHES = (1, 3)
"""images in the batches that a file is checked with; it is exported with another number"""

RELATIVE, ABSOLUTE = 1e-3, 1e-4
"""largest difference between logits of onnxruntime and of torch, both in float32"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFile:
    """A file that was checked."""

    sha256: str
    opset: int
    largest_difference: float
    """between logits of onnxruntime and of torch"""


def write_onnx(network: nn.Module, img_size: int, path: Path, metadata: Mapping[str, str]) -> OnnxFile:
    """Export a network, check the file, and put it in its place.

    The file takes ``images`` (B, 3, S, S), float32 and normalised, for any B, and returns ``logits`` (B, K).

    Args:
        network: in evaluation mode, on the CPU.
        img_size: S, in pixels.
        path: of the file, in a folder that is there; an earlier file is replaced once the new one is checked.
        metadata: text to keep in the file, by key.

    Raises:
        RequestError: the exporter cannot express the network, or the file does not compute what the network does.
    """
    import onnx

    with preserved_generators(), tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as made:
        file = Path(made) / path.name
        seed_cpu("images for a network that is exported")
        images = torch.randn(2, 3, img_size, img_size)
        try:
            with warnings.catch_warnings():
                # Of torch itself, which copies what it has deprecated.
                warnings.filterwarnings("ignore", r".*LeafSpec", FutureWarning)
                program = torch.onnx.export(
                    network,
                    (images,),
                    input_names=[INPUT],
                    output_names=[OUTPUT],
                    dynamic_shapes=({0: torch.export.Dim("batch")},),
                    external_data=False,
                    verbose=False,
                )
        except torch.onnx.OnnxExporterError as error:
            reason = " ".join(str(error.__cause__ or error).split())[:300]
            raise RequestError(f"torch cannot export the network to ONNX: {reason}") from error
        assert program is not None
        program.model.metadata_props.update(metadata)
        program.save(file, external_data=False)
        onnx.checker.check_model(file, full_check=True)
        differences = [_difference(network, file, torch.randn(batch, *images.shape[1:])) for batch in BATCHES]
        opset = onnx.load(file, load_external_data=False).opset_import[0].version
        replace(file, path)
    return OnnxFile(sha256=sha256_of(path), opset=opset, largest_difference=max(differences))


def is_own(path: Path) -> bool:
    """Whether a file is an earlier export."""
    import onnx

    try:
        found = onnx.load(path, load_external_data=False)
    except Exception:  # whatever the parser of the day raises for a file of another kind
        return False
    return any(entry.key == OWN for entry in found.metadata_props)


def _difference(network: nn.Module, file: Path, images: Tensor) -> float:
    """The largest difference of logits on (B, 3, S, S).

    Raises:
        RequestError: it is beyond the tolerance.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], {INPUT: images.numpy()})
    with torch.inference_mode():
        expected = network(images)
    try:
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=RELATIVE, atol=ABSOLUTE)
    except AssertionError as error:
        reason = " ".join(str(error).split())
        what = "the ONNX file computes other logits than the network, and was not kept"
        raise RequestError(f"{what}: {reason}") from error
    return float((torch.from_numpy(found) - expected).abs().max())
