"""``run_all.py export hub``: a run's network as a folder in timm's layout for the Hugging Face Hub."""

import argparse
import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from bench.cli.output import finish, tell, texts
from bench.cli.parser import add_runs, add_to, as_path
from bench.results.files import require_writable, write_atomically
from bench.spec.errors import RequestError

HELP = "write a run's network for timm and the Hugging Face Hub: weights, config, model card, evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The run whose network to write."""

    run: Path
    """its id or folder"""
    runs: Path
    to: Path
    """folder in which a folder named for the run is made"""
    as_json: bool


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the format."""
    parser.add_argument("run", type=as_path, metavar="RUN", help="id or folder of a completed run")
    add_to(add_runs(parser), "exports")


def request(args: argparse.Namespace) -> Request:
    """The request that the options make."""
    return Request(run=args.run, runs=args.runs, to=args.to, as_json=args.json)


def run(asked: Request) -> int:
    """Write the folder; returns the exit code.

    Raises:
        RequestError: there is no such run, it is not completed, or something else has the folder's name.
    """
    from bench.measure.feature_sources import run_folder
    from bench.report import evidence_files
    from bench.report.pages.model_card import Card, model_card
    from bench.training.hub_folder import CONFIG, WEIGHTS, write_hub_folder
    from bench.training.trained_network import load_trained

    source = run_folder(asked.run, asked.runs)
    if source is None:
        raise RequestError(f"no run {str(asked.run)!r} in {str(asked.runs)!r}; run_all.py status lists them")
    trained = load_trained(source)
    require_writable(asked.to, "--to")
    run_id = trained.spec.run_id
    folder = asked.to / run_id
    _require_own(folder, run_id, CONFIG)
    written = write_hub_folder(trained, folder)
    evidence_files.keep(source.parent, folder, evidence_files.of_runs([[trained.record]]))
    card = Card(
        spec=trained.spec,
        record=trained.record,
        weights=trained.weights,
        weights_file=WEIGHTS,
        weights_sha256=written.weights_sha256,
        checkpoint=trained.checkpoint,
        checkpoint_sha256=trained.checkpoint_sha256,
        is_timms_own=written.is_timms_own,
    )
    write_atomically(folder / "README.md", model_card(card))
    paths = {name: folder / name for name in (WEIGHTS, CONFIG, "README.md")}
    push = shlex.join(["hf", "upload", "USER/NAME", str(folder)])
    if asked.as_json:
        return finish({"run_id": run_id, "weights": trained.weights, "files": texts(paths), "publish": push}, [])
    tell(paths)
    print(f"publish it with: {push}")
    return finish(None, [])


def _require_own(folder: Path, run_id: str, config: str) -> None:
    """Check that a folder that is there already is an earlier export of the run.

    Raises:
        RequestError: it is not.
    """
    from bench.training.hub_folder import OWN

    try:
        found = json.loads((folder / config).read_text()) if folder.is_dir() and any(folder.iterdir()) else None
        is_own = found is None or found[OWN]["run_id"] == run_id
    except (OSError, ValueError, KeyError, TypeError):
        is_own = False
    if (folder.exists() and not folder.is_dir()) or not is_own:
        raise RequestError(
            f"{folder} is no earlier export of this run; move it away, or choose another folder with --to DIR"
        )
