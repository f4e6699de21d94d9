"""Files that remember: atomic writes, and the folder of complexity measurements.

Measurements lie in ``<runs>/complexity/<network>-<img_size>px.json``, one file a network and resolution.
"""

import hashlib
import json
import os
import re
import tempfile
import uuid
from dataclasses import asdict, fields
from pathlib import Path

from bench.specs import Complexity, Network, RequestError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write the whole file or leave what was there: a reader never sees a part.

    Raises:
        OSError: the folder cannot be made or written, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace(temporary: Path, path: Path) -> None:
    """Give a finished file its name, so that the name outlives a power cut too."""
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_writable(folder: Path, option: str) -> None:
    """Make the folder and try a file in it, before any work is done for it.

    Raises:
        RequestError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RequestError(
            f"cannot write to {option} {str(folder)!r} ({error.strerror}); choose a folder that you may write, "
            f"as in {option} DIR"
        ) from error


def complexity_path(runs: Path, network: Network) -> Path:
    """Where the measurement of a network lies."""
    name = re.sub(r"[^\w.=,()-]", "-", str(network))
    return runs / "complexity" / f"{name}-{network.img_size}px.json"


def save_complexity(runs: Path, measured: Complexity) -> None:
    """Keep a measurement, in place of an older one of the same network."""
    write_atomically(complexity_path(runs, measured.network), json.dumps(asdict(measured), indent=2) + "\n")


def load_complexity(runs: Path, network: Network) -> Complexity | None:
    """The measurement of a network, or None where there is none or one that says less.

    Raises:
        ValueError: the file is not a whole measurement of that network, and why.
    """
    path = complexity_path(runs, network)
    try:
        values = json.loads(path.read_text())
        if isinstance(values, dict) and "network" not in values and "img_size" in values:
            return None  # of the suite before networks had arguments: whole, but without their structure
        if not isinstance(values, dict) or values.keys() != {f.name for f in fields(Complexity)}:
            raise ValueError("not the fields of a measurement")
        named = values["network"]
        named["model_args"] = tuple((name, value) for name, value in named["model_args"])
        measured = Complexity(**values | {"network": Network(**named)})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    if measured.network != network:
        raise ValueError(f"{path}: holds {measured.network} at {measured.network.img_size} px")
    return measured
