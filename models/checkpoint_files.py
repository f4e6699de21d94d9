"""Files of weights as plain data: torch's, today's and from before 1.6, and those of safetensors.

Nothing that a file holds is run, and no file that anyone may have written ends the process: a pickle may name what
tensors are made of and what commonly lies beside them, and every size in it is held against the bytes that are there.
"""

import contextlib
import errno
import hashlib
import io
import os
import pickle
import pickletools
import re
import stat
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

_ALONE = "save the weights alone where it was written, as in torch.save(model.state_dict(), FILE)"


class CheckpointError(ValueError):
    """A file that cannot be used, and why, in one line of printable characters."""

    def __init__(self, reason: str) -> None:
        super().__init__("".join(char if char.isprintable() else ascii(char)[1:-1] for char in reason))


class ForeignFile(CheckpointError):
    """A file of another format, told by its first bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The data of a file."""

    saved: object
    size: int
    """of the file, in bytes"""
    sha256: str
    """of the file, over the bytes that the data were read from"""


def read_data(path: str | Path) -> Data:
    """Read a file on the CPU, once.

    A file in torch's format of today carries checksums, and these are tested; one from before torch 1.6 has none,
    nor has one of safetensors.

    Raises:
        CheckpointError: it is not whole, of another format, or reading it would run code.
        OSError: it is not there, not a regular file, or cannot be read; names it.
    """
    try:
        content = _content(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's: what matters is in the error
            saved = _load(content, is_safetensors=Path(path).suffix == ".safetensors")
    except CheckpointError as error:
        raise type(error)(f"{path}: {error}") from error
    return Data(saved=saved, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _content(path: str | Path) -> bytes:
    try:
        with open(path, "rb", opener=_open_regular) as file:
            begins = file.read(_HEAD)
            if Path(path).suffix != ".safetensors" and not (begins.startswith(_TORCHS) or _is_safetensors(begins)):
                what = f"it begins with {begins!r}" if begins else "it is empty"
                raise ForeignFile(f"not a file of weights that torch or safetensors wrote ({what}); fetch it again")
            size = os.fstat(file.fileno()).st_size
            if 2 * size > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):  # once as bytes, once as tensors
                raise CheckpointError(f"{size / 1e9:,.0f} GB, which this machine's memory does not hold twice")
            return begins + file.read()
    except MemoryError as error:
        raise CheckpointError("more than this machine's memory holds") from error
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


_HEAD = 9
_TORCHS = (b"PK", b"\x80")
"""how files of torch begin: as archives, and as pickles"""


def _is_safetensors(content: bytes) -> bool:
    return content[8:9] == b"{"  # behind the length of its header


def _open_regular(path: str, flags: int) -> int:
    """Open a regular file, and nothing that waits for a writer or has no end."""
    not_regular = OSError(errno.EINVAL, "not a regular file", path)
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno == errno.ENXIO:  # which sockets end in
            raise not_regular from error
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path) if stat.S_ISDIR(mode) else not_regular


def _load(content: bytes, *, is_safetensors: bool) -> object:
    with _named_damage():
        if is_safetensors or _is_safetensors(content):
            return safetensors.torch.load(content)
        if content.startswith(b"PK"):
            _inspect_archive(content)
            return _unpickled(io.BytesIO(content))
        _inspect_old(content)
        stream = io.BytesIO(content)
        saved = _unpickled(stream)
        if stream.read(1):  # of tensors that the list of keys leaves out, which now hold whatever was in memory
            raise CheckpointError("not a whole checkpoint (it goes on behind its end); fetch it again")
        return saved


@contextlib.contextmanager
def _named_damage() -> Iterator[None]:
    """Damaged bytes end in whatever the reader makes of them; here, in one error that advises nothing unsafe."""
    try:
        yield
    except CheckpointError:
        raise
    except MemoryError as error:
        raise CheckpointError("more than this machine's memory holds") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        if isinstance(error, pickle.UnpicklingError):  # torch's advice, and its reason at the end of it
            reason = " ".join(str(error).partition("\n\nCheck the documentation")[0].rpartition("\n")[2].split())[:200]
        if not reason or "weights_only" in reason:
            reason = type(error).__name__
        raise CheckpointError(f"not a whole checkpoint ({reason}); fetch it again") from error


def _unpickled(stream: io.BytesIO) -> object:
    stands_for: list[Any] = [(type(name, (_StandIn,), {}), name) for name in _BESIDE]
    stands_for += [(dict, name) for name in _DICTS]
    with torch.serialization.safe_globals(stands_for):
        return torch.load(stream, map_location="cpu", weights_only=True)


def _inspect_archive(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        names = [entry.filename.partition("/")[2].lower() for entry in entries]  # torch's reader knows no upper case
        if "constants.pkl" in names:
            raise CheckpointError(f"a TorchScript program, which cannot be read without running it; {_ALONE}")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise CheckpointError(f"a compressed archive, as torch.save writes none; {_ALONE}")
        if len(set(names)) < len(names) or sum(entry.file_size for entry in entries) > len(content):
            raise CheckpointError(
                f"an archive of the same bytes or names twice, which torch.save does not write; {_ALONE}"
            )
        if damaged := archive.testzip():
            raise CheckpointError(f"not a whole checkpoint (the checksum of {damaged} is wrong); fetch it again")
        if "data.pkl" not in names:
            raise CheckpointError(f"an archive without data.pkl, as torch.save writes none; {_ALONE}")
        _inspect(io.BytesIO(archive.read(entries[names.index("data.pkl")])))


def _inspect_old(content: bytes) -> None:
    """A file from before torch 1.6 begins with pickles of a magic number, a version, the machine, data and keys."""
    stream = io.BytesIO(content)
    for part in range(5):
        _inspect(stream)
        if part < 4 and stream.tell() == len(content):
            raise CheckpointError(f"a pickle that torch.save did not write; {_ALONE}")


def _inspect(stream: io.BytesIO) -> None:
    """Refuse a pickle, before it is read, that names anything else than weights need or tuples without bound."""
    names: list[str] = []
    sizes: list[int] = []  # of the objects on the stack, how many values are in the tuples of each
    marks: list[int] = []  # places on the stack
    memo: dict[object, int] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "PROTO" and int(str(argument)) > 3:
            raise CheckpointError(f"pickled by protocol {argument}, and torch.save's own is 2; {_ALONE}")
        if opcode.name == "GLOBAL":
            names.append(str(argument).replace(" ", "."))
        if opcode.name == "MARK":
            marks.append(len(sizes))
        elif opcode.name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = sizes[-1]
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            sizes.append(memo[argument])
        else:
            before = opcode.stack_before
            first = len(sizes) - len(before)
            if pickletools.markobject in before:
                first = marks.pop() - before.index(pickletools.markobject)
            size = 1 + sum(sizes[first:]) if "TUPLE" in opcode.name else max(sizes[first:], default=1)
            if size > _LARGEST_TUPLE:  # to hash it takes Python's whole stack, or for ever
                raise CheckpointError(
                    f"not a checkpoint (a tuple of more than {_LARGEST_TUPLE} values); fetch it again"
                )
            sizes[first:] = [size] * len(opcode.stack_after)
    unknown = [name for name in dict.fromkeys(names) if not (_TENSORS.fullmatch(name) or name in (*_BESIDE, *_DICTS))]
    if unknown:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise CheckpointError(
            f"refused: reading it would call {', '.join(unknown[:3])}{more}, which weights do not need; {_ALONE}"
        )


_LARGEST_TUPLE = 10_000
"""counted with those inside of it, each as often as it is there"""

_TENSORS = re.compile(
    r"collections\.(OrderedDict|Counter)|(builtins|__builtin__)\.(set|complex)|_codecs\.encode"
    r"|torch\.(\w+Storage|storage\.(Untyped|Typed)Storage|(b?float|u?int|complex)\d\w*|bool|Size|device)"
    r"|torch\.nn\.parameter\.Parameter|torch\.serialization\._get_layout|torch\.sparse_\w+"
    r"|torch\._utils\._rebuild_(tensor|tensor_v2|tensor_v3|parameter|sparse_tensor|meta_tensor_no_storage)"
)
"""what torch makes tensors of, and the containers that they come in"""


class _StandIn:
    """Stands in for whatever lies beside the weights: NumPy would take any type for a number's, and end the process."""

    def __new__(cls, *arguments: object) -> "_StandIn":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


_BESIDE = (
    "argparse.Namespace",  # in every file of the authors
    "types.SimpleNamespace",
    *(f"pathlib{module}.{name}" for module in ("", "._local") for name in ("PosixPath", "WindowsPath")),
    # An accuracy that was saved as it came from NumPy, the state of its random numbers: of NumPy 2, and of 1.
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.{core}.multiarray.{name}" for core in ("_core", "core") for name in ("scalar", "_reconstruct")),
)

_DICTS = tuple(
    f"{package}.AttributeDict"
    for package in (
        "pytorch_lightning.utilities.parsing",
        "lightning.pytorch.utilities.parsing",
        "lightning_fabric.utilities.data",
        "lightning.fabric.utilities.data",
    )
)
"""what Lightning calls a dictionary"""
