"""Data sets by name: what is no data set, not there or not sorted is refused before anything is planned or written."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, ImageNetInfo
from torchvision.datasets.folder import IMG_EXTENSIONS

from bench.results import fingerprints
from bench.spec import class_names, datasets
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec
from bench.training import data, identity

TINY = ("--budget", "smoke", "--only", "tiny T2T-ViT", "--set", "global_batch=8", "epochs=1", "warmup_epochs=0")


def draw(path, level=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 40, 3), level, np.uint8)).save(path)


def folders(root, *names, images=2, suffix="png"):
    for label, name in enumerate(names):
        for i in range(images):
            draw(root / name / f"{i}.{suffix}", 40 * label + i)
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


def test_a_layout_alone_is_a_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "NAMES", (*datasets.NAMES, "flowers"))
    monkeypatch.setitem(datasets.LAYOUTS, "flowers", datasets.Layout(folders=("flowers102",), val=("test",)))
    for split in ("train", "test"):
        folders(tmp_path / "flowers102" / split, "iris", "rose", "tulip")
    datasets.require_name("flowers")
    datasets.require_folders("flowers", tmp_path)
    images = [data.open_images("flowers", split, str(tmp_path)) for split in ("train", "val")]
    known = data.describe(RunSpec(model="t2t_vit_7", dataset="flowers", recipe=None, img_size=32), *images)
    assert (known.num_classes, known.train_images, known.val_images) == (3, 6, 6)


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


@pytest.mark.parametrize(
    ("name", "file"),
    [("imagenet", "1.JPEG"), ("torch/image_folder", "ILSVRC2012_val_00000001.JPEG")],
)
def test_flat_validation_images_of_imagenet_are_refused_with_the_way_to_sort_them(tmp_path, name, file):
    """Known by the data set's name, or by the files'."""
    folders(tmp_path / "imagenet" / "train", "n01440764", "n01443537")
    draw(tmp_path / "imagenet" / "val" / file)
    text = refused(name, tmp_path / "imagenet")
    assert f"'{tmp_path}/imagenet/val' holds 1 images and no class folders" in text
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
    with pytest.raises(
        RequestError, match=r"cannot be read \(Dataset not found or corrupted.*; fetch it with --download"
    ):  # by its checksums
        data.open_images("cifar100", "val", str(tmp_path))


def test_imagenettes_archive_is_fetched_and_unpacked_by_torchvision(tmp_path, monkeypatch):
    for split in ("train", "val"):
        folders(tmp_path / "archive" / "imagenette2" / split, *WNIDS["imagenette"], suffix="JPEG")
    archive = tmp_path / "data" / "imagenette2.tgz"  # as if downloaded, which torchvision knows by its checksum
    archive.parent.mkdir()
    Path(shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path / "archive")).rename(archive)
    where = "http://127.0.0.1:9/imagenette2.tgz", hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(torchvision.datasets.Imagenette._ARCHIVES, "full", where)
    assert "no imagenette images in" in refused("imagenette", archive.parent)
    datasets.require_folders("imagenette", archive.parent, download=True)
    train, val = (data.open_images("imagenette", s, str(archive.parent), download=True) for s in ("train", "val"))
    assert (len(train), len(val), val.root) == (4, 4, str(archive.parent / "imagenette2" / "val"))
    assert len(data.open_images("imagenette", "val", str(archive.parent))) == 4
    shutil.rmtree(archive.parent)
    with pytest.raises(RequestError, match=r"imagenette in '.*/data' cannot be read \(.*refused.*; fetch it with"):
        data.open_images("imagenette", "train", str(archive.parent), download=True)


# Named data sets in folders

WNIDS = {
    "imagenette": ("n03888257", "n01440764"),
    "imagewoof": ("n02115641", "n02086240"),
    "tiny-imagenet-200": ("n12267677", "n01443537"),
}


PLACES = [(name, place) for name in WNIDS for place in datasets.LAYOUTS[name].folders]


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_data_sets_by_name_wherever_their_folder_is_and_however_it_is_called(tmp_path, name, place):
    for split, images in (("train", 3), ("val", 2)):
        folders(tmp_path / place / split, *WNIDS[name], images=images)
    datasets.require_folders(name, tmp_path)
    train, val = (data.open_images(name, split, str(tmp_path)) for split in ("train", "val"))
    last = datasets.DATASETS[name].num_classes - 1
    assert [label for _, label in train.samples] == [0] * 3 + [last] * 3  # their own numbers, though most are missing
    assert [label for _, label in val.samples] == [0] * 2 + [last] * 2
    spec = RunSpec(model="t2t_vit_7", dataset=name, recipe=None, img_size=32)
    survey = data.survey(spec, train, val)
    assert (survey["classes"], survey["complete"]) == (2, False)
    known = data.describe(spec, train, val)
    assert (known.num_classes, known.mean, known.std) == (last + 1, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)


def test_classes_have_the_order_of_their_wordnet_ids():
    for name, labels in class_names.WORDNET_IDS.items():
        assert labels == sorted(set(labels))
        assert len(labels) == datasets.DATASETS[name].num_classes
        assert set(labels) <= set(ImageNetInfo().label_names())  # all three are subsets of ImageNet-1k
    assert class_names.WORDNET_IDS["imagenette"] == sorted(torchvision.datasets.Imagenette._WNID_TO_CLASS)


def test_other_classes_than_a_data_sets_own_are_refused(tmp_path):
    for split in ("train", "val"):
        folders(tmp_path / split, *WNIDS["imagewoof"])
    text = refused("imagenette", tmp_path)
    assert f"'n02086240' in '{tmp_path}/train' is none of its 10 classes; choose the folder of imagenette" in text


def test_a_data_set_in_several_places_is_not_chosen_for_the_user(tmp_path):
    for size in (160, 320):
        folders(tmp_path / f"imagenette2-{size}" / "train", *WNIDS["imagenette"])
        folders(tmp_path / f"imagenette2-{size}" / "val", *WNIDS["imagenette"])
    text = refused("imagenette", tmp_path)
    assert (
        f"as imagenette2-320 and as imagenette2-160; choose one of them with --data, as in --data {tmp_path}/" in text
    )
    datasets.require_folders("imagenette", tmp_path / "imagenette2-160")


@pytest.fixture
def tiny_imagenet(tmp_path):
    """Tiny ImageNet as its archive unpacks, with two images of each of two classes."""
    root = tmp_path / "tiny-imagenet-200"
    first, second = sorted(WNIDS["tiny-imagenet-200"])
    for label in (first, second):
        for i in range(2):
            draw(root / "train" / label / "images" / f"{label}_{i}.JPEG", 50 * i)
        (root / "train" / label / f"{label}_boxes.txt").write_text(f"{label}_0.JPEG\t0\t0\t62\t62\n")
    lines = [f"val_{i}.JPEG\t{label}\t0\t32\t44\t62\n" for i, label in enumerate([second, first, second])]
    for i in range(3):
        draw(root / "val" / "images" / f"val_{i}.JPEG", 80 * i)
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    draw(root / "test" / "images" / "test_0.JPEG")
    (root / "wnids.txt").write_text(f"{second}\n{first}\n")
    return tmp_path


def test_tiny_imagenet_as_its_archive_unpacks(tiny_imagenet):
    name = "tiny-imagenet-200"
    datasets.require_folders(name, tiny_imagenet)
    for place in (tiny_imagenet, tiny_imagenet / name):
        train, val = (data.open_images(name, split, str(place)) for split in ("train", "val"))
        assert (len(train), data.class_names(train)) == (4, data.class_names(val))
        assert [(path.rpartition("/")[2], label) for path, label in val.samples] == [
            ("val_0.JPEG", 199),
            ("val_1.JPEG", 0),
            ("val_2.JPEG", 199),
        ]
        assert [label for _, label in train.samples] == [0, 0, 199, 199]
        image, label, problem = data.read_image(val, 2)
        assert (image.mode, image.size, label, problem) == ("RGB", (40, 40), 199, "")
        assert data.notes(train) == data.notes(val) == []
    found, _ = identity.fingerprint(name, train, val)
    (tiny_imagenet / name / "val" / "val_annotations.txt").write_text(
        (tiny_imagenet / name / "val" / "val_annotations.txt")
        .read_text()
        .replace("val_0.JPEG\tn12267677", "val_0.JPEG\tn01443537")
    )
    again, _ = identity.fingerprint(name, train, data.open_images(name, "val", str(tiny_imagenet)))
    assert (again.train_sha256, again.val_sha256 == found.val_sha256) == (found.train_sha256, False)


def test_a_change_in_tiny_imagenets_folders_is_seen_without_listing_them(tiny_imagenet, monkeypatch):
    monkeypatch.setattr(fingerprints, "MANY", 0)
    name, runs = "tiny-imagenet-200", tiny_imagenet / "runs"

    def opened():
        return [data.open_images(name, split, str(tiny_imagenet)) for split in ("train", "val")]

    found, _ = identity.fingerprint(name, *opened())
    fingerprints.keep(runs, name, str(tiny_imagenet), found, identity.folders(*opened()))
    assert fingerprints.kept(runs, name, str(tiny_imagenet)) == found
    draw(tiny_imagenet / name / "train" / "n01443537" / "images" / "n01443537_9.JPEG")
    assert fingerprints.kept(runs, name, str(tiny_imagenet)) is None


def test_damaged_annotations_of_tiny_imagenet_are_refused(tiny_imagenet):
    path = tiny_imagenet / "tiny-imagenet-200" / "val" / "val_annotations.txt"
    whole = path.read_text()
    path.write_text(whole + "val_9.JPEG\n")
    assert f"{path}: line 'val_9.JPEG' is no file and class" in refused("tiny-imagenet-200", tiny_imagenet)
    path.write_text(whole.replace("n12267677", "n00000000"))
    assert "'n00000000' in " in refused("tiny-imagenet-200", tiny_imagenet)
    path.write_text("")
    assert "holds neither class folders nor images" in refused("tiny-imagenet-200", tiny_imagenet)


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
        counts = "folder .ipynb_checkpoints, hidden images (1)"
        assert f"  passed over in {tmp_path}/data/{split}: {counts}\n" in done.stderr
    assert "  validated on the split 'test': there is none for validation\n" in done.stderr
    (record,) = (tmp_path / "runs").glob("*/record.json")
    survey = json.loads(record.read_text())["data"]
    assert (survey["classes"], survey["train_images"], survey["val_split"]) == (2, 8, "test")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert run_all(*command).returncode == 0
    assert run_all(*command, "--seeds", "1").returncode == 2
