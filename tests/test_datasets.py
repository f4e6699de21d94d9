"""Data sets by name: what is no data set, not there or not sorted is refused before anything is planned or written."""

import json

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS

from bench import data, datasets
from bench.specs import RequestError, RunSpec

TINY = ("--budget", "smoke", "--only", "tiny T2T-ViT", "--set", "global_batch=8", "epochs=1", "warmup_epochs=0")


def draw(path, level=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 40, 3), level, np.uint8)).save(path)


def folders(root, *names, images=2):
    for label, name in enumerate(names):
        for i in range(images):
            draw(root / name / f"{i}.png", 40 * label + i)
    return root


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cifar11", ["unknown data set 'cifar11'; did you mean 'cifar10'?", "imagenette", "hfds/NAME"]),
        ("hfd/imagenet-1k", ["unknown prefix 'hfd'; did you mean 'hfds'?", "hfd/imagenet-1k"]),
        ("HFDS/cifar10", ["unknown prefix 'HFDS'; did you mean 'hfds'?"]),
        ("my/photos", ["unknown prefix 'my'", "my/photos", "torch/image_folder reads {train,val}/CLASS"]),
        ("folder/", ["unknown prefix 'folder'", "torch/image_folder"]),
        ("/data/photos", ["unknown prefix ''", "/data/photos", "torch/image_folder"]),
        ("hfds/", ["'hfds/' names no data set", "hfds/uoft-cs/cifar10"]),
        ("torch/imagefolder", ["'imagefolder'; did you mean 'image_folder'?"]),
        ("torch/imagenet", ["unknown data set of torchvision's 'imagenet'"]),
        *((f"{prefix}/imagenet", [f"'{prefix}/imagenet' is a stream", "hfds/NAME"]) for prefix in datasets.STREAMS),
        ("", ["unknown data set ''"]),
    ],
)
def test_names_that_are_no_data_set(name, words):
    with pytest.raises(RequestError) as refused:
        datasets.require_name(name)
    assert all(word in str(refused.value) for word in words), refused.value


@pytest.mark.parametrize(
    "name", [*datasets.LAYOUTS, "synthetic", "hfds/uoft-cs/cifar10", "hfds//a/folder", "torch/mnist"]
)
def test_names_of_data_sets(name):
    datasets.require_name(name)


def test_images_count_by_torchvisions_suffixes():
    assert datasets.IMAGE_SUFFIXES == IMG_EXTENSIONS


def refused(name, folder):
    with pytest.raises(RequestError) as error:
        datasets.require_folders(name, folder)
    text = str(error.value)
    assert "\n" not in text
    with pytest.raises(RequestError):  # and by what opens them, wherever that is
        [data.open_images(name, split, str(folder)) for split in ("train", "val")]
    return text


def test_class_folders_without_splits_are_no_data_set(tmp_path):
    folders(tmp_path, "a", "b", "c", "d")
    text = refused("torch/image_folder", tmp_path)
    assert f"no torch/image_folder images in '{tmp_path}/train' (nor training/); choose the folder that holds" in text
    assert "if its folders (a, b, c ...) are classes, sort their images into train/CLASS/ and val/CLASS/" in text
    folders(tmp_path / "train", "a", "b")
    assert f"'{tmp_path}/validation' (nor val/, valid/, " in refused("torch/image_folder", tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert f"no folder '{tmp_path}/nowhere'" in refused("torch/folder", tmp_path / "nowhere")
    assert f"no folder '{tmp_path}/nowhere'" in refused("imagenet", tmp_path / "nowhere")


def test_flat_validation_images_of_imagenet_are_refused_with_the_way_to_sort_them(tmp_path):
    folders(tmp_path / "imagenet" / "train", "n01440764", "n01443537")
    for i in (1, 2):
        draw(tmp_path / "imagenet" / "val" / f"ILSVRC2012_val_0000000{i}.JPEG")
    text = refused("imagenet", tmp_path)
    assert f"'{tmp_path}/imagenet/val' holds 2 images and no class folders" in text
    assert f"cd {tmp_path}/imagenet/val && wget -qO- https://raw.githubusercontent.com/" in text
    assert "valprep.sh | bash" in text


def test_archives_that_were_not_unpacked_are_named(tmp_path):
    folders(tmp_path / "val", "n01440764")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "n01440764.tar").touch()
    assert "holds 1 archives (n01440764.tar ...) and no class folders; unpack them once" in refused(
        "imagenet", tmp_path
    )


def test_other_flat_folders_and_empty_ones_are_refused(tmp_path):
    folders(tmp_path / "train", "a")
    (tmp_path / "val").mkdir()
    assert "holds neither class folders nor images" in refused("torch/image_folder", tmp_path)
    draw(tmp_path / "val" / "1.png")
    assert "sort them into a folder a class, as in val/CLASS/1.png" in refused("torch/image_folder", tmp_path)


def test_an_empty_class_folder_is_named(tmp_path):
    for split in ("train", "val"):
        folders(tmp_path / split, "a", "b")
    (tmp_path / "val" / "c").mkdir()
    (tmp_path / "val" / "c" / "notes.txt").touch()
    text = refused("torch/image_folder", tmp_path)
    assert f"class folder 'c' in '{tmp_path}/val' holds no images (.jpg, " in text
    assert "put its images there, or remove it from both splits" in text


def test_splits_with_other_class_folders_are_refused_beforehand(tmp_path):
    folders(tmp_path / "train", "a", "b")
    folders(tmp_path / "val", "a", "c")
    with pytest.raises(RequestError, match="not the same; 'b' is only in the training images"):
        datasets.require_folders("torch/image_folder", tmp_path)


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["Train", "Test"], ["Train", "Test"]),
        (["train", "test", "val"], ["train", "val"]),
        (["training", "testing"], ["training", "testing"]),
        (["train", "validation", "val"], ["train", "validation"]),
    ],
)
def test_splits_by_the_names_that_others_give_them(tmp_path, there, taken):
    for split in there:
        folders(tmp_path / split, "a", "b")
    datasets.require_folders("torch/image_folder", tmp_path)
    train, val = (data.open_images("torch/image_folder", split, str(tmp_path)) for split in ("train", "val"))
    assert [train.split, val.split] == taken
    spec = RunSpec(model="t2t_vit_7", dataset="torch/image_folder", recipe=None, img_size=32)
    assert data.survey(spec, train, val).get("val_split") == (taken[1] if "est" in taken[1] else None)


def test_cifar_by_torchvisions_files_is_found_or_fetched(tmp_path):
    folders(tmp_path / "cifar100" / "train", "apple")  # one split as folders, the other one nowhere
    assert "torchvision's files (cifar-100-python/)" in refused("cifar100", tmp_path)
    datasets.require_folders("cifar100", tmp_path, download=True)
    (tmp_path / "cifar100" / "cifar-100-python").mkdir()
    for name in ("meta", "train", "test"):
        assert f"cifar100: {name} is missing in" in refused("cifar100", tmp_path)
        (tmp_path / "cifar100" / "cifar-100-python" / name).touch()
    datasets.require_folders("cifar100", tmp_path)
    with pytest.raises(RequestError, match="is not whole; fetch it with --download"):  # by its checksums
        data.open_images("cifar100", "val", str(tmp_path))


# The command line


@pytest.mark.parametrize("name", ["hfd/imagenet-1k", "torch/image_folder", "wds/imagenet"])
@pytest.mark.parametrize("how", [("local",), ("local", "--dry-run"), ("slurm",)])
def test_nothing_is_planned_submitted_or_written_for_data_that_cannot_be(run_all, tmp_path, name, how):
    folders(tmp_path / "data", "a", "b")
    where = ("--data", tmp_path / "data", "--runs", tmp_path / "runs", "--reports", tmp_path / "reports")
    done = run_all(*TINY, "--dataset", name, *where, "--run", *how)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert ("--data-on-nodes" in line) == (name == "torch/image_folder" and how == ("slurm",))
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_data_that_only_nodes_see_are_planned_unseen_by_name(run_all, tmp_path):
    where = ("--data", tmp_path / "nowhere", "--runs", tmp_path / "runs")
    options = (*TINY, *where, "--run", "slurm", "--dry-run", "--json", "--data-on-nodes", "--dataset")
    done = run_all(*options, "torch/image_folder")
    assert [line["action"] for line in json.loads(done.stdout)["plan"]] == ["submit"]
    assert run_all(*options, "torch/image_floder").returncode == 2
    done = run_all(*TINY, *where, "--run", "local", "--data-on-nodes")
    assert "--data-on-nodes does nothing without --run slurm" in done.stderr


def test_what_is_done_needs_no_data_any_more(run_all, tmp_path):
    """A run on a test split, beside files that are no images: the record and the log say so."""
    for split in ("train", "test"):
        folders(tmp_path / "data" / split, "a", "b", ".ipynb_checkpoints", images=4)
        (tmp_path / "data" / split / "a" / "._0.png").write_bytes(b"\0\5\26\7")
    where = ("--data", tmp_path / "data", "--runs", tmp_path / "runs", "--reports", tmp_path / "reports")
    command = (*TINY, "--dataset", "torch/image_folder", *where, "--run", "local")
    done = run_all(*command)
    assert done.returncode == 0, done.stderr
    for split in ("train", "test"):
        counts = "1 folder .ipynb_checkpoints, 1 hidden image"
        assert f"  passed over in {tmp_path}/data/{split}: {counts}\n" in done.stderr
    assert "  validated on the split 'test': there is none for validation\n" in done.stderr
    (record,) = (tmp_path / "runs").glob("*/record.json")
    survey = json.loads(record.read_text())["data"]
    assert (survey["classes"], survey["train_images"], survey["val_split"]) == (2, 8, "test")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert run_all(*command).returncode == 0
    assert run_all(*command, "--seeds", "1").returncode == 2
