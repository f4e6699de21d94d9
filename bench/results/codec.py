"""One codec for everything that is kept as JSON: values into their type and back, with a checksum of themselves."""

import dataclasses
import hashlib
import json
import re
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from bench.spec.errors import RequestError
from bench.spec.recipe import LARGEST

MOST = 2**53
"""of any count or duration: no run comes near it, and every number below it is exact as a float"""

Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
"""whole number from 0"""

Finite = Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)] | Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
"""number that is neither nan nor infinite, kept as it is written: 1 stays 1, and 1.0 stays 1.0"""

Amount = Annotated[int, msgspec.Meta(ge=0, le=MOST)] | Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]
"""number from 0, kept as it is written"""

T = TypeVar("T")

Values = dict[str, Any]
"""a JSON object"""


def decode(values: object, kind: type[T], *, others: bool = False) -> T:
    """Turn values of JSON into a type, strictly: text is no number, true is not 1, and every key must be known.

    Args:
        values: from JSON.
        kind: the type.
        others: whether to ignore keys that the type has no field for.

    Raises:
        ValueError: one line with the field, its value and what would be right.
    """
    try:
        found = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_explained(str(error), values, kind)) from None
    except RequestError as error:  # of a recipe
        raise ValueError(str(error)) from None
    if not others and (unknown := _unknown_key(values, found)):
        raise ValueError(f"unknown key {unknown}, which a newer version may have written")
    return found


def parse(text: str) -> Values:
    """The JSON object that a text holds.

    Raises:
        ValueError: it holds none.
    """
    try:
        values = msgspec.json.decode(text)
    except msgspec.DecodeError:  # to be explained; but text that is no Unicode is JSON, and numbers beyond a float are
        try:
            values = _DECODER.decode(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    return values


def plain(value: object) -> str:
    """JSON of a dataclass or a mapping."""
    return json.dumps(_values(value), indent=2) + "\n"


def sealed(value: object) -> str:
    """JSON of a dataclass or a mapping with a checksum of its values, so that a later edit shows."""
    values = _values(value)
    return json.dumps({**values, _CHECKSUM: _checksum(values)}, indent=2) + "\n"


def unsealed(text: str) -> Values:
    """Check the checksum of a sealed text; returns its values.

    Raises:
        ValueError: not a JSON object, or its checksum is missing or does not hold.
    """
    values = parse(text)
    told = values.pop(_CHECKSUM, None)
    if told is None:
        raise ValueError("its checksum is missing")
    if told != _checksum(values):
        raise ValueError("its checksum does not hold: it was edited")
    return values


def without_checksum(values: Values) -> Values:
    """The values of a sealed text, whether its checksum holds or not."""
    return {name: value for name, value in values.items() if name != _CHECKSUM}


_CHECKSUM = "checksum"


def _checksum(values: Mapping[str, object]) -> str:
    """The sha256 of the values, whatever their order and layout in a file."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _values(value: object) -> Mapping[str, object]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    assert isinstance(value, Mapping)
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} in it is not a number")


_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _explained(message: str, values: object, kind: type[object]) -> str:
    """The codec's message with the field's name as in ``history[0].epoch``, and its value where it is the wrong one."""
    found = re.fullmatch(r"(.*?)(?: - at `\$\.?(.*)`)?", message, re.DOTALL)
    assert found
    problem, steps = found[1], re.findall(r"[^.\[\]]+|(?<=\[)\.\.\.(?=\])", found[2] or "")
    name, value = "", values
    for step in steps:
        if isinstance(value, dict):
            step = step if step != "..." else _refused_key(value, message, values, kind)
            name, value = f"{name}.{step}".removeprefix("."), value.get(step)
        elif isinstance(value, list):
            name, value = f"{name}[{step}]", value[int(step)]
    if not problem.startswith("Expected"):
        return f"{name}: {problem}" if name else problem
    return f"{name or 'the file'} = {reprlib.repr(value)}: e{problem[1:].replace('`', '')}"


def _refused_key(table: Values, message: str, values: object, kind: type[object]) -> str:
    """The key of a table in the values whose value the codec refuses, which its message leaves out."""
    whole = dict(table)
    try:
        for key in whole:
            table.clear()
            table[key] = whole[key]
            try:
                msgspec.convert(values, kind)
            except msgspec.ValidationError as error:
                if str(error) == message:
                    return key
        return "..."
    finally:
        table.clear()
        table.update(whole)


_CONTAINERS = (dict, list)


def _unknown_key(values: Any, found: Any) -> str:
    """A key of the values, or of one inside them, that the type has no field for; empty if there is none."""
    if isinstance(found, tuple):
        return next(filter(None, map(_unknown_key, values, found)), "")
    fields = getattr(found, "__dataclass_fields__", None)  # is_dataclass takes as long as all the rest
    if not fields:
        return ""
    if not values.keys() <= fields.keys():
        return str(min(values.keys() - fields.keys()))
    for name, value in values.items():
        if isinstance(value, _CONTAINERS) and (inner := _unknown_key(value, getattr(found, name))):
            return f"{name}.{inner}"
    return ""
