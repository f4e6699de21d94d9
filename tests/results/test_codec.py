"""The codec: what it lets through, and the line on what it does not."""

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.paper import TABLES
from bench.results.codec import Amount, Count, Finite, decode, parse, plain, sealed, unsealed
from bench.results.files import CorruptFile, corrupt, read, write
from bench.results.spec_file import load_spec, save_spec
from tests.conftest import ROOT


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    count: Count = 0
    share: Amount = 0.5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    name: str
    part: Part | None = None
    parts: tuple[Part, ...] = ()
    table: Mapping[str, Finite] = dataclasses.field(default_factory=dict)
    free: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.name == "impossible":
            raise ValueError("it cannot be")


def test_a_value_comes_back_as_it_was_written():
    text = sealed(
        Whole(name="\udcff", part=Part(count=3, share=1), table={"a": 1, "b": 1.0, "c": -1e30}, free={"x": []})
    )
    assert sealed(decode(unsealed(text), Whole)) == text  # 1 stays 1, and 1.0 stays 1.0


def test_a_checksum_is_of_the_values_not_of_their_layout():
    values = {"b": [1, 2.5, None], "a": {"x": "é"}}
    assert unsealed(sealed(values)) == values
    assert unsealed(json.dumps(json.loads(sealed(values)), sort_keys=True)) == values
    with pytest.raises(ValueError, match="its checksum does not hold: it was edited"):
        unsealed(sealed(values).replace("2.5", "2.6"))
    with pytest.raises(ValueError, match="its checksum is missing"):
        unsealed(plain(values))


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "Object missing required field `name`"),
        ({"name": 3}, "name = 3: expected str, got int"),
        ({"name": "impossible"}, "it cannot be"),
        ({"name": "a", "part": {"count": True}}, "part.count = True: expected int, got bool"),
        (
            {"name": "a", "part": {"count": 2**53 + 1}},
            "part.count = 9007199254740993: expected int <= 9007199254740992",
        ),
        ({"name": "a", "part": {"count": 1.0}}, "part.count = 1.0: expected int, got float"),
        ({"name": "a", "part": {"share": -0.5}}, "part.share = -0.5: expected float >= 0.0"),
        ({"name": "a", "part": []}, "part = []: expected object | null, got array"),
        ({"name": "a", "parts": [{}, {"count": "x"}]}, "parts[1].count = 'x': expected int, got str"),
        ({"name": "a", "table": {"a": 1, "b": 1e31, "c": "x"}}, "table.b = 1e+31: expected float <= 1e+30"),
        ({"name": "a", "younger": 1}, "unknown key younger, which a newer version may have written"),
        ({"name": "a", "part": {"younger": 1}}, "unknown key part.younger, which"),
        ({"name": "a", "parts": [{}, {"younger": 1}]}, "unknown key parts.younger, which"),
        ([], "the file = []: expected object, got array"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_would(values, problem):
    before = json.dumps(values)
    with pytest.raises(ValueError, match=f"^{re.escape(problem)}"):
        decode(values, Whole)
    assert json.dumps(values) == before


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON: Expecting value"),
        ('{"a": ', "not JSON: Expecting value"),
        ("[]", "not a JSON object"),
        ('{"a": NaN}', "NaN in it is not a number"),
        ('{"a": -Infinity}', "-Infinity in it is not a number"),
    ],
)
def test_text_that_is_no_json_object_is_refused(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse(text)


def test_text_is_read_as_the_json_module_reads_it():
    text = r'{"a": "\ud800", "b": 1e400, "c": 123456789012345678901234567890, "d": -0.0, "e": 1.0, "e": 1}'
    assert repr(parse(text)) == repr(json.loads(text))
    sound = text.replace(r"\ud800", "").replace("1e400", "1e300")  # which needs no second reading
    assert repr(parse(sound)) == repr(json.loads(sound))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"free": ' * 100_000, "\ufeff{}", '{"name": "a\nb"}', "\0"])
def test_whatever_a_file_holds_its_error_is_one_line(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    for checksum in (True, False):
        with pytest.raises(CorruptFile, match=rf"^{path}: .*; restore it, or remove it$"):
            read(path, Whole, checksum=checksum)


def test_a_problem_of_several_lines_becomes_one():
    assert str(corrupt(Path("a.json"), "holds a\n  b", "restore it")) == "a.json: holds a b; restore it"


def test_a_file_of_bytes_is_corrupt_and_a_missing_one_is_not(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff")
    with pytest.raises(CorruptFile, match="utf-8"):
        read(tmp_path / "a.json", Whole)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "b.json", Whole)


def test_what_is_written_is_read(tmp_path):
    for checksum in (True, False):
        write(tmp_path / "a.json", Whole(name="a"), checksum=checksum)
        assert read(tmp_path / "a.json", Whole, checksum=checksum) == Whole(name="a")


# A run's spec


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("lr", "high", "start_from.recipe.lr = 'high': expected int | float, got str"),
        ("lr", 1e40, "lr=1e+40 is not possible; choose from 1e-30 to 1e+30"),
        ("epochs", True, "start_from.recipe.epochs = True: expected int, got bool"),
        ("decay_1d", 1, "start_from.recipe.decay_1d = 1: expected bool, got int"),
        ("younger", 1, "unknown key start_from.recipe.younger"),
        ("sources", None, "start_from.recipe.sources = None: expected object, got null"),
    ],
)
def test_a_spec_that_is_none_is_named_with_the_remedy(tmp_path, field, value, problem):
    spec = next(run for row in TABLES[5].rows for run in row.runs if run.start_from)
    save_spec(tmp_path, spec)
    path = tmp_path / "spec.json"
    values = json.loads(path.read_text())
    values["start_from"]["recipe"][field] = value
    path.write_text(json.dumps(values))
    with pytest.raises(CorruptFile) as caught:
        load_spec(tmp_path)
    assert str(caught.value).startswith(f"{path}: {problem}")
    assert str(caught.value).endswith("; give the command that began the run again, which writes it anew")
    save_spec(tmp_path, spec)
    assert load_spec(tmp_path) == spec


def test_the_specs_of_committed_evidence_have_the_ids_of_their_folders():
    folders = [path.parent for path in (ROOT / "reports" / "evidence").glob("*/spec.json")]
    assert folders
    assert [load_spec(folder).run_id for folder in folders] == [folder.name for folder in folders]
