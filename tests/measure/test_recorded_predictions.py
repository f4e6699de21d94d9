"""Published predictions: every format read alike, counts worked out once more, and what is wrong named in a line."""

import gzip
import hashlib
import json

import numpy as np
import pytest

from bench.measure.recorded_predictions import record
from bench.spec.errors import RequestError

N = 50_000
RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 1000, N)
FIRST = np.where(RANDOM.random(N) < 0.7, LABELS, RANDOM.integers(0, 1000, N))
FIVE = np.stack([FIRST, *((FIRST + i) % 1000 for i in (1, 2, 3, 4))], axis=1)
OTHER = np.where(RANDOM.random(N) < 0.6, LABELS, RANDOM.integers(0, 1000, N))


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "two.npz"
    np.savez(path, labels=LABELS.astype(np.int16), five=FIVE.astype(np.int16), other=OTHER)
    return path


def sha256(array):
    return hashlib.sha256(array.astype("<i2").tobytes()).hexdigest()


def csv_of(array, *, order=range(N), head="filename,a\n", name="val/n01440764/ILSVRC2012_val_{:08d}.JPEG"):
    return head + "".join(f"{name.format(i + 1)},{','.join(map(str, array[i]))}\n" for i in order)


def test_accuracies_and_pairs_are_counted(npz, tmp_path):
    real = [[int(c)] if i % 3 else [] for i, c in enumerate(FIRST)]
    (tmp_path / "real.json.gz").write_bytes(gzip.compress(json.dumps(real).encode()))
    found = record(npz, None, tmp_path / "real.json.gz")
    five, other = found.networks
    assert (five.name, five.predicted, other.name, other.predicted) == ("five", 5, "other", 1)
    assert five.top1_pct == pytest.approx(100 * np.mean(FIRST == LABELS))
    in_five = [label in row for label, row in zip(LABELS, FIVE, strict=True)]
    assert five.top5_pct == pytest.approx(100 * np.mean(in_five))
    assert other.top5_pct is None
    assert (five.real_pct, five.real_images) == (100, sum(map(bool, real)))
    assert other.real_pct == pytest.approx(100 * np.mean([o in r for o, r in zip(OTHER, real, strict=True) if r]))
    assert (five.sha256, other.sha256) == (sha256(FIVE), sha256(OTHER))
    assert found.labels_sha256 == sha256(LABELS)
    (pair,) = found.pairs
    a, b = FIRST == LABELS, OTHER == LABELS
    counts = [int((x & y).sum()) for x, y in ((a, b), (a, ~b), (~a, b), (~a, ~b))]
    assert [pair.both, pair.only_first, pair.only_second, pair.neither] == counts
    assert not found.are_official_labels
    assert five.weights == five.source == five.source_sha256 == ""


def test_every_format_says_the_same(npz, tmp_path):
    expected = record(npz, None, None).networks
    np.save(tmp_path / "labels.npy", LABELS)
    np.save(tmp_path / "five.npy", FIVE.astype(np.uint16))
    (tmp_path / "shuffled").mkdir()
    (tmp_path / "shuffled" / "five.csv").write_text(csv_of(FIVE, order=RANDOM.permutation(N)))
    (tmp_path / "labels.csv").write_text(csv_of(LABELS[:, None], head="", name="ILSVRC2012_val_{:08d}"))
    for predictions, labels in (
        ("five.npy", "labels.csv"),
        ("shuffled/five.csv", "labels.npy"),
        ("five.npy", "two.npz"),
    ):
        (found,) = record(tmp_path / predictions, tmp_path / labels, None).networks
        assert found == expected[0], (predictions, labels)


def test_wordnet_ids_are_classes_in_their_order(tmp_path):
    from timm.data import ImageNetInfo

    names = sorted(ImageNetInfo("imagenet-1k").label_names())
    np.save(tmp_path / "labels.npy", LABELS)
    (tmp_path / "names.csv").write_text(csv_of(np.array(names)[FIVE]))
    (found,) = record(tmp_path / "names.csv", tmp_path / "labels.npy", None).networks
    assert found.sha256 == sha256(FIVE)


def test_a_sidecar_names_weights_and_source_and_is_held_to_its_accuracies(npz):
    stated = {"weights": "resnet50.tv_in1k", "source": "somebody/repository", "sha256": "a" * 64, "note": "left out"}
    top1 = 100 * np.mean(FIRST == LABELS)
    npz.with_suffix(".json").write_text(json.dumps({"five": {**stated, "top1": round(top1, 3)}}))
    five, other = record(npz, None, None).networks
    assert (five.weights, five.source, five.source_sha256) == tuple(stated.values())[:3]
    assert other.weights == ""
    npz.with_suffix(".json").write_text(json.dumps({"five": {**stated, "top1": round(top1 + 0.1, 3)}}))
    with pytest.raises(RequestError, match=r"two.json: says top1 .* of five, and its predictions have"):
        record(npz, None, None)


def arrays(**named):
    """An .npz with these arrays."""

    def write(folder):
        np.savez(folder / "file.npz", **named)
        return folder / "file.npz"

    return write


def content(name, text):
    """A file of this text."""

    def write(folder):
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return folder / name

    return write


def a_folder(at):
    (at / "file.npz").mkdir()
    return at / "file.npz"


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (arrays(labels=LABELS), "holds no labels; give those of the images with --labels FILE"),
        (arrays(a=OTHER, b=OTHER), "holds no labels"),
        (arrays(labels=LABELS, a=OTHER[:100]), r"a has the shape \(100,\), where \(50000,\) or \(50000, k\) is needed"),
        (arrays(labels=LABELS, a=OTHER.astype(float)), "a holds float64, where classes are whole numbers"),
        (arrays(labels=LABELS, a=OTHER + 1), "a holds class 1000, where classes are 0 to 999"),
        (arrays(labels=LABELS, a=OTHER - 1), "a holds class -1, where classes are 0 to 999"),
        (arrays(labels=LABELS, a=FIVE[:, :0]), r"a has the shape \(50000, 0\)"),
        (arrays(labels=FIVE, a=OTHER), "labels of .*: 5 for each image; give one"),
        (arrays(labels=LABELS, a=np.array([{}], dtype=object)), "Object arrays cannot be loaded"),
        (content("file.npz", b"PK nonsense"), "File is not a zip file; give an intact .npz file"),
        (content("file.npz", b""), "give an intact .npz file"),
        (content("file.npy", b"\x93NUMPY\x01\x00"), "give an intact .npy file"),
        (content("file.csv", b"\xff\xfe"), "give an intact .csv file"),
        (content("file.csv", "x,1\ny,2\n"), "line 2 begins with 'y', where ILSVRC2012_val_00000001 or so is due"),
        (content("file.csv", "ILSVRC2012_val_00000001,3\n"), "1 images, where 50,000 are needed"),
        (content("file.csv", "ILSVRC2012_val_00000001,3\n" * 2), "line 2 repeats ILSVRC2012_val_00000001"),
        (content("file.csv", "ILSVRC2012_val_00000001,cat\n"), "line 1 has 'cat', where a class from 0 to 999 or"),
        (content("file.csv", "ILSVRC2012_val_00050001,3\n"), "line 1 begins with 'ILSVRC2012_val_00050001'"),
        (content("file.txt", "1"), "unknown format '.txt'; give a file of .npz, .npy, .csv"),
        (lambda at: at / "none.npz", "No such file or directory"),
        (a_folder, "Is a directory"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(write, problem, tmp_path):
    with pytest.raises(RequestError, match=problem) as raised:
        record(write(tmp_path), None, None)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "not JSON; fix or remove the sidecar"),
        ("[]", "needs {array: "),
        ('{"five": 3}', "needs {array: "),
        ('{"six": {}}', "names six, and two.npz holds five, other; fix the sidecar"),
        ('{"five": {"weights": 5}}', "weights of five is 5, where text is needed"),
        ('{"five": {"sha256": "abc"}}', r"sha256 of five is no sha256 \('abc'\)"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_wrong_with_a_sidecar_is_named(text, problem, npz):
    npz.with_suffix(".json").write_text(text)
    with pytest.raises(RequestError, match=problem):
        record(npz, None, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"[]", "0 images, where 50,000 are needed"),
        (b"{}", "no list of images"),
        (json.dumps([[]] * N).encode(), "no image has a label"),
        (json.dumps([[1]] * (N - 1) + [[1000]]).encode(), "image 50000 has no list of classes"),
        (json.dumps([[1]] * (N - 1) + [3]).encode(), "image 50000 has no list of classes"),
        (b"\x1f\x8b broken", "not JSON"),
    ],
)
def test_what_is_wrong_with_reassessed_labels_is_named(text, problem, npz, tmp_path):
    (tmp_path / "real.json").write_bytes(text)
    with pytest.raises(RequestError, match=f"--real-labels .*{problem}.*; give the real.json of google-research"):
        record(npz, None, tmp_path / "real.json")


def test_an_array_that_unpacks_to_more_than_it_may_is_not_read(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", labels=LABELS, a=np.zeros(60_000_000, np.int64))
    with pytest.raises(RequestError, match=r"a\.npy takes 480,000,128 bytes, more than 1000 classes do"):
        record(tmp_path / "bomb.npz", None, None)
