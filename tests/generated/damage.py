"""Damage to files, by a generator with a seed."""

import json
import os

from bench.results.codec import sealed, without_checksum

ODD = (
    None,
    True,
    -1,
    0,
    1.5,
    2**70,
    1e300,
    "",
    "x",
    "[/red]\x1b[31m\n|`*",
    [],
    {},
    [[]],
    {"a": 1},
    "\u202e",
    float("nan"),
)
"""values in the place of others"""

JUNK = (b"", b"null", b"3", b"[]", b'"x"', b"{}", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"\0" * 99, b"NaN")
"""contents of files that hold none"""


def cut(content, chance):
    """A part of the content."""
    return content[: chance.randrange(len(content) + 1)]


def flipped(content, chance):
    """The content with some bits turned."""
    changed = bytearray(content)
    for _ in range(min(len(changed), chance.choice((1, 1, 8)))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def spliced(content, chance):
    """The content with a stretch of it moved, doubled, blanked or left out."""
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    stretch = chance.choice((b"", bytes(end - start), content[start:end] * 2, chance.randbytes(min(end - start, 999))))
    return content[:start] + stretch + content[end:]


def edited(content, chance):
    """JSON with one of its values replaced; sealed again, so that its checksum holds, or not."""
    try:
        values = json.loads(content)
    except ValueError:
        return flipped(content, chance)
    place = values
    while isinstance(place, dict | list) and place:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not (isinstance(inner, dict | list) and inner) or chance.random() < 0.2:
            place[key] = chance.choice(ODD)
            break
        place = inner
    if isinstance(values, dict) and chance.random() < 0.7:
        return sealed(without_checksum(values)).encode()
    return json.dumps(values).encode()


CHANGES = (cut, flipped, spliced, edited, edited, lambda content, chance: chance.choice(JUNK))


def damage(path, chance, elsewhere):
    """Damage a file, or put something else in its place.

    Args:
        path: of the file.
        chance: a ``random.Random``.
        elsewhere: a file outside of the folder, which must stay as it is.
    """
    content = path.read_bytes()
    if chance.random() < 0.6:
        path.write_bytes(chance.choice(CHANGES)(content, chance))
        return
    path.unlink()
    kind = chance.choice(("gone", "folder", "full folder", "pipe", "dangling", "loop", "device", "link", "other"))
    if kind in ("folder", "full folder"):
        path.mkdir()
        if kind == "full folder":
            (path / "file").write_bytes(content)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "other":
        others = sorted(other for other in path.parent.rglob("*") if other.is_file())
        path.write_bytes(chance.choice(others).read_bytes() if others else b"")
    elif kind != "gone":
        path.symlink_to({"dangling": "nowhere", "loop": path.name, "device": "/dev/zero", "link": elsewhere}[kind])


FOREIGN = (
    "notes.txt",
    ".DS_Store",
    "._record.json",
    "record.json~",
    "epoch-x-step-y.pt",
    ".x.tmp",
    "a\nb\x1b[31m",
    "\udcff",
)


def clutter(folder, chance):
    """Put files that are not ours into a folder; returns their paths."""
    found = []
    for name in chance.sample(FOREIGN, 3):
        path = folder / name
        path.write_bytes(b"not ours")
        found.append(path)
    return found
