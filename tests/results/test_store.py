"""Atomic writes and the folder of measurements."""

import dataclasses
import json
import os
import re
import stat

import pytest

from bench.paper.released import RELEASED
from bench.results.codec import sealed
from bench.results.files import CorruptFile, require_writable, write_atomically
from bench.results.store import (
    complexity_path,
    evaluations_folder,
    load_complexity,
    load_evaluation,
    load_evaluations,
    save_complexity,
    save_evaluation,
)
from bench.spec.errors import RequestError
from bench.spec.run import Network
from tests.conftest import complexity
from tests.report.test_frame import FOURTEEN, evaluation


def test_a_measurement_comes_back_as_it_was_saved(tmp_path):
    measured = complexity("resnet50", 25_557_032, 4_111_512_576)
    save_complexity(tmp_path, measured)
    assert load_complexity(tmp_path, Network("resnet50")) == measured
    assert load_complexity(tmp_path, Network("resnet50", img_size=384)) is None


def with_value(field, value):
    """Damage that gives a field of the JSON another value."""
    return lambda text: re.sub(rf'("{field}": )({{[^}}]*}}|[^,\n]+)', rf"\g<1>{value}", text, count=1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:100],
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"macs"', '"flops"'),
        lambda text: text.replace('"model": "resnet50"', '"model": "resnet18"'),
        with_value("params", '"25557032"'),
        with_value("params", "null"),
        with_value("params", "-5"),
        with_value("params", "0"),
        with_value("trainable_params", "99999999"),
        with_value("macs", "Infinity"),
        with_value("macs", "NaN"),
        with_value("macs", "true"),
        with_value("macs", "1.5"),
        with_value("macs", "1"),
        with_value("source", "[]"),
        with_value("machine", "5"),
        with_value("measured_at", '"yesterday"'),
        with_value("model_args", "5"),
        with_value("model_args", '[["depth"]]'),
        with_value("network", "null"),
        with_value("structure", "[]"),
        with_value("structure", '{"depth": 14}'),
        with_value("versions", "null"),
        with_value("versions", '{"torch": 2}'),
        with_value("uncounted_operators", "[1]"),
        with_value("uncounted_operators", '{"aten::add": "x"}'),
    ],
)
def test_a_damaged_measurement_is_an_error_not_a_number(tmp_path, damage):
    save_complexity(tmp_path, complexity("resnet50", 25_557_032, 4_111_512_576))
    path = complexity_path(tmp_path, Network("resnet50"))
    damaged = damage(path.read_text())
    assert damaged != path.read_text()
    for text in (damaged, resealed(damaged)):
        path.write_text(text)
        with pytest.raises(
            CorruptFile, match=r"resnet50-224px\.json: .*; restore it, or remove it to measure"
        ) as caught:
            load_complexity(tmp_path, Network("resnet50"))
        assert "\n" not in str(caught.value)
    assert "edited" not in str(caught.value)  # the contents are looked at too


def resealed(text):
    """The damaged text with a checksum that holds, if it is still an object of JSON."""
    try:
        values = json.loads(text)
        return sealed({name: value for name, value in values.items() if name != "checksum"})
    except (ValueError, AttributeError, RecursionError):
        return text


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("25557032", "25557033", "its checksum does not hold: it was edited"),
        ('"checksum"', '"chksum"', "its checksum is missing"),
    ],
)
def test_a_measurement_that_was_edited_is_corrupt(tmp_path, old, new, problem):
    save_complexity(tmp_path, complexity("resnet50", 25_557_032, 4_111_512_576))
    path = complexity_path(tmp_path, Network("resnet50"))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(CorruptFile) as caught:
        load_complexity(tmp_path, Network("resnet50"))
    assert str(caught.value) == f"{path}: {problem}; restore it, or remove it to measure again"


def test_arguments_make_another_network(tmp_path):
    dn = Network("vit_dn", model_args=(("tokens_type", "performer"), ("depth", 2)))
    measured = dataclasses.replace(complexity("vit_dn", 5000, 5000), network=dn)
    save_complexity(tmp_path, measured)
    assert load_complexity(tmp_path, Network("vit_dn")) is None
    assert load_complexity(tmp_path, dn) == measured
    assert complexity_path(tmp_path, dn).name == "vit_dn(tokens_type=performer,depth=2)-224px.json"


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "report.md"
    write_atomically(path, "old\n")

    def full_disk(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new\n")
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a.json", json.dumps({}))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == 0o640


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "reports"):
        with pytest.raises(RequestError, match="cannot write to --reports"):
            require_writable(folder, "--reports")
    require_writable(tmp_path / "a" / "b", "--reports")
    assert not (tmp_path / "a").exists()  # nothing is made for a request that may yet be refused


def test_a_damaged_evaluation_is_named_and_counts_as_none(tmp_path):
    found = evaluation(FOURTEEN, RELEASED[FOURTEEN])
    other = evaluation(FOURTEEN, RELEASED[FOURTEEN], images=150)
    for one in (found, other):
        save_evaluation(tmp_path, one)
    assert load_evaluation(tmp_path, found.spec) == found
    whole = evaluations_folder(tmp_path) / f"{found.spec.evaluation_id}.json"
    text = whole.read_text()
    replaced = [text.replace("50000", "5"), text.replace('"top1_hits"', '"hits"')]
    replaced += [text.replace("float32", "float16")]  # of another evaluation
    for damaged in (text[:100], "[]", "[" * 100_000, *replaced):
        whole.write_text(damaged)
        done, problems = load_evaluations(tmp_path)
        assert done == [other]
        assert len(problems) == 1
        assert whole.name in problems[0]
        assert load_evaluation(tmp_path, found.spec) is None


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("top1_hits", "-1", "top1_hits = -1: expected int >= 0"),
        ("top5_hits", "true", "top5_hits = True: expected int, got bool"),
        ("world_size", "1.5", "world_size = 1.5: expected int, got float"),
        ("img_size", '"big"', "spec.network.img_size = 'big': expected int, got str"),
        ("dataset", '"mnist"', "unknown dataset 'mnist' (choose from "),
        ("versions", '{"torch": 2}', "versions.torch = 2: expected str, got int"),
        ("evaluated_at", '"yesterday"', "Invalid isoformat string: 'yesterday'"),
    ],
)
def test_an_evaluation_with_odd_values_is_corrupt_and_its_line_names_them(tmp_path, field, value, problem):
    found = evaluation(FOURTEEN, RELEASED[FOURTEEN])
    save_evaluation(tmp_path, found)
    path = evaluations_folder(tmp_path) / f"{found.spec.evaluation_id}.json"
    path.write_text(resealed(with_value(field, value)(path.read_text())))
    done, (line,) = load_evaluations(tmp_path)
    assert done == []
    assert line.startswith(f"{path}: {problem}")


def test_an_evaluation_that_was_edited_is_corrupt_and_counts_as_none(tmp_path):
    found = evaluation(FOURTEEN, RELEASED[FOURTEEN])
    save_evaluation(tmp_path, found)
    path = evaluations_folder(tmp_path) / f"{found.spec.evaluation_id}.json"
    path.write_text(path.read_text().replace(f'"top1_hits": {found.top1_hits}', f'"top1_hits": {found.top1_hits + 1}'))
    done, (problem,) = load_evaluations(tmp_path)
    assert done == []
    assert problem.startswith(f"{path}: its checksum does not hold: it was edited; restore it, or ")
    assert load_evaluation(tmp_path, found.spec) is None  # the next evaluate makes it anew


def test_what_has_not_seen_every_image_is_no_evaluation(tmp_path):
    part = dataclasses.replace(evaluation(FOURTEEN, RELEASED[FOURTEEN]), images=49_000)
    save_evaluation(tmp_path, part)
    assert load_evaluations(tmp_path) == ([], [])
    assert load_evaluation(tmp_path, part.spec) == part
    (path,) = evaluations_folder(tmp_path).iterdir()
    path.rename(path.with_name(f"{part.spec.evaluation_id}.json"))
    done, problems = load_evaluations(tmp_path)
    assert (done, len(problems)) == ([], 1)
    assert "not of every image" in problems[0]
