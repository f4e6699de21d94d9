"""``run_all.py export onnx``: a run's network, or one with weights from a file, as an ONNX file for any batch size."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bench
from bench.cli.extras import require_extra
from bench.cli.output import finish, tell, texts
from bench.cli.parser import add_runs, add_to, as_path, whole
from bench.results.files import require_writable
from bench.spec.errors import RequestError
from bench.spec.run import Network

if TYPE_CHECKING:
    from torch import nn

HELP = "write a network as an ONNX file for any batch size, checked with onnxruntime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The network to write."""

    of: Path
    """id or folder of a run, or the name of a network"""
    weights: Path | None
    """file of the network's weights; None for a run's own"""
    img_size: int | None
    """in pixels; None for that of the run or of the weights"""
    runs: Path
    to: Path
    """folder of the file"""
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A network with its weights, the file's name and what the file says of them."""

    name: str
    network: "nn.Module"
    img_size: int
    about: Mapping[str, str]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the format."""
    parser.add_argument(
        "of", type=as_path, metavar="RUN", help="id or folder of a completed run; or, with --weights, a network's name"
    )
    parser.add_argument("--weights", type=as_path, metavar="FILE", help="file of weights of the network")
    parser.add_argument(
        "--img-size",
        type=whole(1),
        metavar="PX",
        help="with --weights: side of the images (default: what the weights' positions are for, else 224)",
    )
    add_to(add_runs(parser), "exports")


def request(args: argparse.Namespace) -> Request:
    """The request that the options make.

    Raises:
        RequestError: an image size without weights.
    """
    if args.img_size and not args.weights:
        raise RequestError("--img-size does nothing without --weights; a run has the size that it was trained at")
    return Request(
        of=args.of, weights=args.weights, img_size=args.img_size, runs=args.runs, to=args.to, as_json=args.json
    )


def run(asked: Request) -> int:
    """Write the file; returns the exit code.

    Raises:
        RequestError: there is no such run or network, a package is missing, or a file of the name is not our own.
    """
    require_extra("export onnx", "onnx", ("onnx", "onnxscript", "onnxruntime"))
    from bench.training.onnx_file import ABSOLUTE, BATCHES, OWN, RELATIVE, is_own, write_onnx

    source = _of_file(asked, asked.weights) if asked.weights else _of_run(asked)
    require_writable(asked.to, "--to")
    path = asked.to / f"{source.name}.onnx"
    if path.exists() and not is_own(path):
        raise RequestError(f"{path} is no earlier export; move it away, or choose another folder with --to DIR")
    asked.to.mkdir(parents=True, exist_ok=True)
    metadata = {OWN: bench.__version__, **source.about}
    written = write_onnx(source.network, source.img_size, path, metadata)
    if asked.as_json:
        facts = {"sha256": written.sha256, "opset": written.opset, "largest_difference": written.largest_difference}
        return finish({"files": texts({"onnx": path}), **facts}, [])
    tell({"onnx": path})
    batches = " and ".join(map(str, BATCHES))
    print(
        f"opset {written.opset}; checked with onnxruntime on batches of {batches} images: logits differ from torch's "
        f"by at most {written.largest_difference:.1g} (accepted: {ABSOLUTE:g} + {RELATIVE:g} of a logit)"
    )
    return finish(None, [])


def _of_run(asked: Request) -> _Source:
    from bench.measure.feature_sources import run_folder
    from bench.training.trained_network import load_trained

    folder = run_folder(asked.of, asked.runs)
    if folder is None:
        raise RequestError(
            f"no run {str(asked.of)!r} in {str(asked.runs)!r}; run_all.py status lists them; for a network by name, "
            "add --weights FILE"
        )
    trained = load_trained(folder)
    spec = trained.spec
    about = {"run_id": spec.run_id, "weights": trained.weights, "weights_sha256": trained.checkpoint_sha256}
    return _Source(name=spec.run_id, network=trained.network, img_size=spec.img_size, about=about)


def _of_file(asked: Request, path: Path) -> _Source:
    from bench.training.trained_network import load_from_file

    found = load_from_file(str(asked.of), path, asked.img_size)
    network: Network = found.source
    about = {"network": str(network), "weights": path.name, "weights_sha256": found.sha256}
    name = f"{network.model}-{network.img_size}px-{found.sha256[:8]}"
    return _Source(name=name, network=found.network, img_size=network.img_size, about=about)
