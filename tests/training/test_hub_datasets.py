"""Data sets in the hub's layouts, through the real package ``datasets``, without a network."""

import io

import numpy as np
import pytest
from PIL import Image

from bench.launch import dispatch
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec
from bench.training import data, hub_datasets

datasets = pytest.importorskip("datasets", reason="pip install -c constraints.txt -e '.[hfds]'")


def png(level, mode="RGB"):
    file = io.BytesIO()
    pixels = np.full((8, 8), level, np.uint16) if mode == "I;16" else np.full((8, 8, 3), level, np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def parquet(folder, *, image="image", label="label", names=("a", "b"), **splits):
    """A data set of parquet files, a split each, with the given labels."""
    features = datasets.Features({image: datasets.Image(), label: datasets.ClassLabel(names=list(names))})
    folder.mkdir()
    for split, labels in splits.items():
        rows = {image: [png(10 * i) for i in range(len(labels))], label: labels}
        datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}-00000.parquet")
    return f"hfds/{folder}"


def opened(name, tmp_path):
    return [data.open_images(name, split, str(tmp_path / "cache")) for split in ("train", "val")]


def test_a_folder_of_images_with_a_test_split(tmp_path):
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / "pets" / split / label).mkdir(parents=True)
            for i in range(3):
                Image.new("RGB", (8, 8), (40 * i, 0, 0)).save(tmp_path / "pets" / split / label / f"{i}.png")
    name = f"hfds/{tmp_path / 'pets'}"
    dispatch._require_images(name, str(tmp_path / "cache"), False)
    train, val = opened(name, tmp_path)
    spec = RunSpec(model="t2t_vit_7", dataset=name, recipe=None, img_size=32)
    survey = data.survey(spec, train, val)
    assert (survey["classes"], survey["train_images"], survey["val_images"]) == (2, 6, 6)
    assert survey["val_split"] == "test"
    image, label, problem = data.read_image(val, 5)
    assert (image.mode, image.size, image.getpixel((0, 0)), label, problem) == ("RGB", (8, 8), (80, 0, 0), 1, "")


def test_validation_comes_before_test_whatever_the_columns_are_called(tmp_path):
    name = parquet(tmp_path / "x", image="img", label="fine_label", train=[0, 1, 1], valid=[1, 0], test=[-1, -1])
    found = hub_datasets.look_up(name, str(tmp_path / "cache"))
    assert (found.image, found.label, found.splits) == ("img", "fine_label", ("train", "validation", "test"))
    train, val = opened(name, tmp_path)
    assert (len(train), len(val), val.split, data.class_count(train)) == (3, 2, "validation", 2)
    spec = RunSpec(model="t2t_vit_7", dataset=name, recipe=None, img_size=32)
    assert "val_split" not in data.survey(spec, train, val)


def test_a_test_split_whose_classes_are_kept_secret_is_refused(tmp_path):
    name = parquet(tmp_path / "x", train=[0, 1], test=[-1, -1, -1])
    with pytest.raises(RequestError, match="3 of 3 images of its split 'test' have no class"):
        opened(name, tmp_path)


def test_what_is_missing_is_named_with_what_there_is(tmp_path):
    cache = str(tmp_path / "cache")
    with pytest.raises(RequestError, match=r"no validation or test split, only train; choose .* validation, val, "):
        dispatch._require_images(parquet(tmp_path / "one", train=[0, 1]), cache, False)
    text = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    (tmp_path / "text").mkdir()
    rows = {"image": [png(0)], "label": ["cat"]}
    datasets.Dataset.from_dict(rows, features=text).to_parquet(tmp_path / "text" / "train.parquet")
    with pytest.raises(RequestError, match="its column 'label' holds string, and a class is a whole number"):
        hub_datasets.look_up(f"hfds/{tmp_path / 'text'}", cache)
    two = {f"{kind}_label": datasets.ClassLabel(names=["a"]) for kind in ("fine", "coarse")}
    rows = {"image": [png(0)], "fine_label": [0], "coarse_label": [0]}
    (tmp_path / "two").mkdir()
    features = datasets.Features({"image": datasets.Image(), **two})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "two" / "train.parquet")
    with pytest.raises(RequestError, match="none is named 'label', and fine_label, coarse_label may be meant"):
        hub_datasets.look_up(f"hfds/{tmp_path / 'two'}", cache)
    with pytest.raises(RequestError, match=f"'hfds/{tmp_path}/nowhere' cannot be read: "):
        hub_datasets.look_up(f"hfds/{tmp_path / 'nowhere'}", cache)


def test_an_image_that_does_not_load_is_named_and_one_of_16_bits_is_scaled(tmp_path):
    """timm's own data set reads the next image instead, and makes all of the other's pixels white."""
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    good, broken = png(50), png(90)
    broken["bytes"] = broken["bytes"][:45]
    rows = {"image": [broken, good, png(257 * 77, "I;16")], "label": [0, 1, 0]}
    (tmp_path / "x").mkdir()
    for split in ("train", "test"):
        datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "x" / f"{split}.parquet")
    train, _ = opened(f"hfds/{tmp_path / 'x'}", tmp_path)
    image, _, problem = data.read_image(train, 0)
    assert image is None
    assert problem.startswith("image 0: OSError: ")
    assert data.read_image(train, 2)[0].getpixel((3, 3)) == (77, 77, 77)


def test_without_the_package_the_install_line_is_given(run_all, tmp_path):
    code = "import sys; sys.modules['datasets'] = None; from bench.cli.main import main; sys.exit(main())"
    where = ("--runs", tmp_path / "runs", "--reports", tmp_path / "reports")
    done = run_all(*("--budget", "smoke", "--dataset", "hfds/uoft-cs/cifar10", *where, "--run", "local"), code=code)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "needs the package datasets, which is not installed: pip install -c constraints.txt -e '.[hfds]'" in line
    assert not list(tmp_path.iterdir())


def test_a_hub_that_cannot_be_reached_is_a_line(run_all, tmp_path):
    code = "import os, sys; os.environ['HF_HUB_OFFLINE'] = '1'; from bench.cli.main import main; sys.exit(main())"
    where = ("--data", tmp_path, "--runs", tmp_path / "runs")
    options = ("--budget", "smoke", "--dataset", "hfds/uoft-cs/cifar10", *where, "--run", "local", "--dry-run")
    done = run_all(*options, code=code)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "--dataset 'hfds/uoft-cs/cifar10' cannot be read: " in line
