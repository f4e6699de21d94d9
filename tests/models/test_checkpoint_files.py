"""Files of weights that anyone may have written: each is read rightly, or refused in one line, and ends no process."""

import collections
import io
import json
import os
import pickle
import pickletools
import random
import socket
import struct
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save as safetensors_bytes

from models.checkpoints import CheckpointError, ForeignFile, load_into, read_checkpoint
from tests.models.test_t2t_vit import tiny

CUT = {"embed_dim": 8, "num_heads": 1}


def saved(content, **options):
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def archive(records, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in records:
            file.writestr(name, content)
    return buffer.getvalue()


def with_pickle(content):
    """A file of torch's with another pickle in it."""
    whole = zipfile.ZipFile(io.BytesIO(saved({"a": torch.zeros(1)})))
    return archive((name, content if name.endswith("data.pkl") else whole.read(name)) for name in whole.namelist())


def refused(path, content=None):
    """The one line that a file is refused with."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((CheckpointError, OSError)) as error:
        read_checkpoint(path)
    line = str(error.value)
    assert str(path) in line
    assert line.isprintable()
    assert "weights_only" not in line
    return line


TYPE_WITH_OBJECTS = (
    b"\x80\x02}X\x01\x00\x00\x00acnumpy._core.multiarray\nscalar\ncnumpy\ndtype\n"
    b"]X\x01\x00\x00\x00aX\x01\x00\x00\x00O\x86a\x85R\x85Rs."
)

HOSTILE = {
    "a type of NumPy with objects": (with_pickle(TYPE_WITH_OBJECTS), "no weights in it"),
    "a key too deep to hash": (with_pickle(b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s."), "a tuple of more"),
    "a key that doubles": (with_pickle(b"\x80\x02})" + b"q\x00h\x00\x86" * 60 + b"K\x01s."), "a tuple of more"),
    "deep lists": (with_pickle(b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."), "of type list"),
    "itself": (with_pickle(b"\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s."), "no weights in it"),
    "a far place in memory": (with_pickle(b"\x80\x02}r\xff\xff\xff\xff."), "no weights in it"),
    "a terabyte of zeros": (with_pickle(b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\0\0\0\0\0\x01\x85R."), "bytearray"),
    "control characters": (with_pickle(b"\x80\x02cposix\x1b[31m\nsystem\n)R."), r"call posix\x1b[31m.system"),
    "a bomb": (archive([("archive/data.pkl", bytes(10**7))], zipfile.ZIP_DEFLATED), "compressed"),
    "two pickles": (archive([("a/data.pkl", b"\x80\x02}."), ("a/DATA.pkl", b"\x80\x02}.")]), "twice"),
    "no pickle": (archive([("archive/version", b"3")]), "without data.pkl"),
    "a program": (archive([("archive/data.pkl", b"\x80\x02}."), ("archive/constants.pkl", b"")]), "TorchScript"),
    "a new protocol": (saved({"a": torch.zeros(1)}, pickle_protocol=4), "protocol 4"),
    "a bare pickle": (pickle.dumps({"a": 1}, protocol=2), "torch.save did not write"),
    "a whole network": (saved(torch.nn.Linear(1, 1)), "call torch.nn.modules.linear.Linear, which weights"),
    "a header larger than the file": (struct.pack("<Q", 2**60) + b"{}", "not a whole checkpoint"),
    "an empty file": (b"", "it is empty"),
    "a page of text": (b"<!DOCTYPE html>\n", "it begins with b'<!DOCTYP"),
    "half an archive": (saved({"a": torch.zeros(9)})[:200], "not a whole checkpoint"),
    "a list": (saved([1, 2]), "of type list"),
    "a number": (saved(3), "of type int"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line(case, tmp_path):
    content, words = HOSTILE[case]
    assert words in refused(tmp_path / "file.pth", content)


def test_sizes_are_held_against_the_bytes_that_are_there(tmp_path):
    path, weights = tmp_path / "file.pth", {"a": torch.zeros(5)}
    whole = zipfile.ZipFile(io.BytesIO(saved(weights)))
    data = whole.read("archive/data.pkl")
    larger = data.replace(b"K\x05t", b"J\xff\xff\xff\x7ft").replace(b"K\x05\x85", b"J\xff\xff\xff\x7f\x85")
    assert larger != data
    assert "not a whole checkpoint" in refused(path, with_pickle(larger))
    for huge in (torch.zeros(1).expand(2**40), torch.zeros(1, 1).expand(2**20, 2**20)):
        assert "more values than the file holds" in refused(path, saved({"a": huge}))
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**34], "data_offsets": [0, 4]}}).encode()
    assert "not a whole checkpoint" in refused(path, struct.pack("<Q", len(header)) + header + bytes(4))


def test_an_old_file_whose_keys_leave_out_a_tensor_is_not_whole(tmp_path):
    """Its tensor would hold whatever was in memory."""
    whole = saved({"a": torch.ones(3), "b": torch.ones(3)}, _use_new_zipfile_serialization=False)
    stream = io.BytesIO(whole)
    for _ in range(4):
        collections.deque(pickletools.genops(stream), maxlen=0)
    begin = stream.tell()
    keys = pickle.load(stream)
    shorter = whole[:begin] + pickle.dumps(keys[:1], protocol=2) + whole[stream.tell() :]
    assert "goes on behind its end" in refused(tmp_path / "file.pth", shorter)


def test_numpys_values_beside_the_weights_are_passed_over(tmp_path):
    beside = {"acc": np.float64(3), "random": np.random.get_state(), "epochs": {1, 2}}
    (tmp_path / "file.pth").write_bytes(saved({"state_dict": {"a": torch.ones(1)}, **beside}))
    assert read_checkpoint(tmp_path / "file.pth").weights["a"] == 1


def test_safetensors_are_known_by_content(tmp_path):
    (tmp_path / "file.pth").write_bytes(safetensors_bytes({"a": torch.ones(1), "b": torch.zeros(0, 3)}))
    assert read_checkpoint(tmp_path / "file.pth").weights["a"] == 1


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "zero.pth").symlink_to("/dev/zero")
    (tmp_path / "gone.pth").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.pth").symlink_to(tmp_path / "loop.pth")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.pth"))
        for name in ("pipe", "zero", "socket"):
            assert "not a regular file" in refused(tmp_path / f"{name}.pth")
    assert "Is a directory" in refused(tmp_path / "folder.pth")
    assert "No such file" in refused(tmp_path / "gone.pth")
    assert "symbolic links" in refused(tmp_path / "loop.pth")


@pytest.mark.skipif(sys.platform != "linux", reason="a regular file that cannot be read is in /proc")
def test_an_error_while_reading_names_the_file():
    with pytest.raises(OSError, match="/proc/self/mem") as error:
        read_checkpoint("/proc/self/mem")
    assert error.value.filename == "/proc/self/mem"


def test_a_file_larger_than_memory_is_not_read(tmp_path):
    with (tmp_path / "file.pth").open("wb") as file:
        file.write(b"PK")
        file.truncate(2**42)
    assert "GB, which this machine's memory does not hold twice" in refused(tmp_path / "file.pth")
    with (tmp_path / "other.pth").open("wb") as file:
        file.truncate(2**42)
    with pytest.raises(ForeignFile, match=r"other\.pth: not a file of weights"):
        read_checkpoint(tmp_path / "other.pth")


def test_torch_says_nothing_before_the_line(tmp_path):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert "b is of type int" in refused(tmp_path / "file.pth", saved(SOME, pickle_protocol=3))  # it warns of 3
    assert told == []


SOME = {"a": torch.zeros(1), "b": 3, "c": torch.zeros(1)}


# Damage


def _lie(chance, data):
    """The pickle of a file with one number, length or opcode changed, or several."""
    changed = bytearray(data)
    values = (0, 1, 0x7F, 0xFF, *b"(.0Q)R\x85tujhq", chance.randrange(256))
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        changed[chance.randrange(len(data))] = chance.choice(values)
    return bytes(changed)


def _damaged(chance, whole, parts):
    """A file with damage of one of many kinds."""
    kind = chance.choice(("bytes", "cut", "pickle", "pickle", "records", "twice", "zeros", "behind"))
    if kind == "bytes":
        return _lie(chance, whole)
    if kind == "cut":
        return whole[: chance.randrange(len(whole))]
    if kind == "twice":
        return whole[: chance.randrange(len(whole))] + whole
    if kind == "behind":
        return whole + chance.randbytes(chance.randrange(1, 99))
    if kind == "zeros":
        start = chance.randrange(len(whole))
        return whole[:start] + bytes(min(4096, len(whole) - start)) + whole[start + 4096 :]
    if not parts:
        return _lie(chance, whole[:2000]) + whole[2000:]
    if kind == "pickle":
        return archive((name, _lie(chance, part) if name.endswith("data.pkl") else part) for name, part in parts)
    names = [name for name, _ in parts]
    chance.shuffle(names)
    return archive((name, part) for name, (_, part) in zip(names, parts, strict=True) if chance.random() < 0.9)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["archive", "old", "safetensors"])
def test_damage_of_any_kind_is_one_line_or_changes_nothing_that_fits(kind, tmp_path):
    net, chance, path, told = tiny(**CUT), random.Random(kind), tmp_path / "file.pth", []
    weights = net.state_dict()
    whole = {
        "archive": saved({"state_dict": weights, "epoch": 3}),
        "old": saved({"state_dict": weights, "epoch": 3}, _use_new_zipfile_serialization=False),
        "safetensors": safetensors_bytes(weights),
    }[kind]
    parts = []
    if kind == "archive":
        file = zipfile.ZipFile(io.BytesIO(whole))
        parts = [(name, file.read(name)) for name in file.namelist()]
    for _ in range(70):
        path.write_bytes(_damaged(chance, whole, parts))
        try:
            load_into(net, read_checkpoint(path))
        except CheckpointError as error:
            told.append(str(error))
    assert len(told) > 25
    for line in told:
        assert line.startswith(f"{path}: ")
        assert line.isprintable()
        assert "weights_only" not in line
