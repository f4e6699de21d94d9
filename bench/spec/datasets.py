"""Names of data sets, and where in ``--data DIR`` their images lie. Standard library only.

Everything here can be checked before a run is planned, on a machine that has neither torch nor a GPU.
"""

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.spec.class_names import WORDNET_IDS
from bench.spec.contents import DATASETS
from bench.spec.errors import RequestError, unknown
from bench.spec.regular_files import regular_file

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""of the files that count as images: torchvision's IMG_EXTENSIONS"""

TORCHVISION = ("cifar10", "cifar100", "mnist", "kmnist", "fashion_mnist", "qmnist", "places365", "inaturalist")
"""data sets that timm's create_dataset takes from torchvision as torch/NAME, beside class folders"""

CLASS_FOLDERS = ("image_folder", "folder")
"""timm's two names, after torch/, for class folders of the user's own"""

PREFIXES = {
    "hfds": "hfds/NAME reads a data set of the Hugging Face hub, as in hfds/uoft-cs/cifar10",
    "torch": "torch/image_folder reads {train,val}/CLASS/*.png in --data DIR",
}
STREAMS = ("hfids", "tfds", "wds")
"""timm's prefixes of data sets that can only be read from their beginning to their end"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Folders that hold a data set, a folder a split with a folder a class in it."""

    folders: tuple[str, ...]
    """names that its folder may have in DIR; "." where DIR itself may be it"""
    train: tuple[str, ...] = ("train",)
    """names that the folder of the training images may have, the preferred one first"""
    val: tuple[str, ...] = ("val",)
    """likewise of the images to validate on"""


TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("validation", "val", "valid", "eval", "evaluation", "test", "testing")
"""of splits that others made, in timm's order; a test split is taken where there is no other"""
_FASTAI = ("{}", "{}2", "{}2-320", "{}2-160", ".")
"""a folder of the name, or named as one of the archives"""
_OWN = Layout(folders=(".",), train=TRAIN_NAMES, val=VAL_NAMES)
LAYOUTS = {
    "imagenet": Layout(folders=("imagenet", ".")),
    "cifar10": Layout(folders=("cifar10",), val=("test",)),
    "cifar100": Layout(folders=("cifar100",), val=("test",)),
    "imagenette": Layout(folders=tuple(name.format("imagenette") for name in _FASTAI)),
    "imagewoof": Layout(folders=tuple(name.format("imagewoof") for name in _FASTAI)),
    "tiny-imagenet-200": Layout(folders=("tiny-imagenet-200", ".")),
    **{f"torch/{name}": _OWN for name in CLASS_FOLDERS},
}

_CIFAR_FILES = {
    "cifar10": ("cifar-10-batches-py", ("batches.meta", *(f"data_batch_{n}" for n in range(1, 6)), "test_batch")),
    "cifar100": ("cifar-100-python", ("meta", "train", "test")),
}
"""torchvision's folder, and the files in it"""
FETCHED = ("cifar10", "cifar100", "imagenette")
"""what torchvision downloads"""

NAMES = tuple(dict.fromkeys([*DATASETS, *(name for name in LAYOUTS if "/" not in name)]))
"""data sets that need no prefix; of those that only ``LAYOUTS`` has, classes and images are counted where they lie"""


LONGEST = 100
"""characters of a name"""


def require_name(name: str) -> None:
    """Check the name of a data set.

    Raises:
        RequestError: there is no such data set, or it is a stream; says which there are.
    """
    prefix, slash, rest = name.partition("/")
    if len(name) > LONGEST:
        raise RequestError(f"--dataset: a name of {len(name)} characters; at most {LONGEST} fit a folder's name")
    if not slash:
        if name not in NAMES:
            raise unknown("data set", name, NAMES, "; ".join(["others have a prefix", *PREFIXES.values()]))
        return
    if prefix in STREAMS:
        raise RequestError(
            f"--dataset {name!r} is a stream without random access, and a run draws its images in an order of its own; "
            f"choose a data set that lies on disk as a whole: {'; '.join(PREFIXES.values())}"
        )
    if prefix not in PREFIXES:
        raise unknown("prefix", prefix, PREFIXES, f"--dataset {name!r} begins with it; {'; '.join(PREFIXES.values())}")
    if prefix == "hfds" and not rest.strip("/"):
        raise RequestError(f"--dataset {name!r} names no data set; {PREFIXES['hfds']}")
    if prefix == "hfds" and ("%" in rest or not rest.isprintable()):
        raise RequestError(f"--dataset {name!r}: no data set of the hub has such a name; {PREFIXES['hfds']}")
    if prefix == "torch" and rest not in (*CLASS_FOLDERS, *TORCHVISION):
        raise unknown("data set of torchvision's", rest, (*CLASS_FOLDERS, *TORCHVISION), PREFIXES["torch"])


def require_folders(name: str, data: Path, *, download: bool = False) -> None:
    """Check that both splits of a data set in folders are there, with the same classes and an image of each.

    Args:
        name: one of ``LAYOUTS``.
        data: the folder of ``--data``.
        download: what torchvision can fetch may be missing.

    Raises:
        RequestError: they are not; says what is missing, and what helps.
    """
    train, val = (split_folder(name, split, data, download=download) for split in ("train", "val"))
    if train and val:
        require_same_classes(name, split_classes(name, train), split_classes(name, val))
    elif not download:
        archive, files = _CIFAR_FILES[name]
        folder = root_folder(name, data) / archive
        if missing := [file for file in files if not (folder / file).is_file()]:
            raise RequestError(f"{name}: {missing[0]} is missing in {str(folder)!r}; fetch it with --download")


def require_same_classes(name: str, train: Sequence[str], val: Sequence[str]) -> None:
    """Check that two splits have the same classes.

    Raises:
        RequestError: they have not.
    """
    if list(train) != list(val):
        strange = next(iter(sorted(set(train) ^ set(val))), "")
        where = "training" if strange in train else "validation"
        only = f"; {strange!r} is only in the {where} images" if strange else ""
        raise RequestError(
            f"{name}: {len(train)} training classes and {len(val)} validation classes are not the same{only}; both "
            "splits need the same class folders"
        )


def split_folder(name: str, split: str, data: Path, *, download: bool = False) -> Path | None:
    """Find the folder of a split.

    Args:
        name: one of ``LAYOUTS``.
        split: "train" or "val".
        data: the folder of ``--data``.
        download: what torchvision can fetch may be missing.

    Returns:
        The folder, named as the data set calls the split; None where torchvision's files of CIFAR take its place, or
        what is missing is to be fetched.

    Raises:
        RequestError: it is not there, or in several places.
    """
    layout = LAYOUTS[name]
    names = layout.train if split == "train" else layout.val
    root = root_folder(name, data)
    if folder := _child(root, names):
        return folder
    if download and name in FETCHED:
        return None
    if name in _CIFAR_FILES:
        archive, _ = _CIFAR_FILES[name]
        if (root / archive).is_dir():
            return None
        raise RequestError(
            f"no {name} in {str(data / name)!r}: neither class folders ({names[0]}/CLASS/*.png) nor torchvision's "
            f"files ({archive}/); choose the folder above it with --data DIR, or fetch it with --download"
        )
    raise _not_there(name, names, data, layout)


def root_folder(name: str, data: Path) -> Path:
    """Find the folder of a data set, which holds its splits; the whole folder of data for one without a layout.

    Raises:
        RequestError: there are several.
    """
    folders = LAYOUTS[name].folders if name in LAYOUTS else (".",)
    there = [folder for folder in folders if folder != "." and (data / folder).is_dir()]
    if len(there) > 1:
        raise RequestError(
            f"{name} is in {str(data)!r} as {' and as '.join(there)}; choose one of them with --data, as in --data "
            f"{data / there[0]}"
        )
    return data / next(iter(there), folders[-1])


def _child(folder: Path, names: Sequence[str]) -> Path | None:
    """The folder in it that has the first of the names."""
    found = first_named(names, [child.name for child in _visible_folders(folder)])
    return folder / found if found else None


def first_named(names: Sequence[str], found: Iterable[str]) -> str | None:
    """The one found that has the first of the names, in upper case or lower."""
    by_lower = {name.lower(): name for name in sorted(found, reverse=True)}
    return next((by_lower[name] for name in names if name in by_lower), None)


def is_test(split: str) -> bool:
    """Whether a split has the name of one to test on."""
    return split.lower() in ("test", "testing")


def _not_there(name: str, names: Sequence[str], data: Path, layout: Layout) -> RequestError:
    places = list(dict.fromkeys([data / layout.folders[0] / names[0], data / layout.folders[-1] / names[0]]))
    looked = " nor in ".join(repr(str(place)) for place in places)
    others = f" (nor {', '.join(f'{other}/' for other in names[1:])})" if names[1:] else ""
    if not data.is_dir():
        return RequestError(f"no {name} images in {looked}: no folder {str(data)!r}; choose one with --data DIR")
    own = "" if layout.folders[0] == "." else f"{layout.folders[0]}/ or "
    remedy = f"choose the folder that holds {own}{names[0]}/ with --data DIR"
    listed = [child.name for child in sorted(_visible_folders(data)) if child.name not in (*layout.train, *layout.val)]
    if layout.folders == (".",) and listed:
        shown = ", ".join(listed[:3]) + (" ..." if listed[3:] else "")
        remedy += f"; if its folders ({shown}) are classes, sort their images into train/CLASS/ and val/CLASS/"
    return RequestError(f"no {name} images in {looked}{others}; {remedy}")


def split_classes(name: str, folder: Path) -> list[str]:
    """Names of the classes in a split, sorted; each has an image.

    Args:
        name: of the data set.
        folder: of the split.

    Raises:
        RequestError: there are none, since the images lie in no folders or in archives, say; or one is empty, or no
            class of the data set.
    """
    annotated = is_annotated(name, folder)
    named = annotations(folder).values() if annotated else (child.name for child in _visible_folders(folder))
    classes = sorted(set(named))
    if not classes:
        raise _flat(name, folder)
    if name in WORDNET_IDS and (strange := [label for label in classes if label not in WORDNET_IDS[name]]):
        raise RequestError(
            f"{name}: {strange[0]!r} in {str(folder)!r} is none of its {len(WORDNET_IDS[name])} classes; choose the "
            f"folder of {name} with --data DIR, or another --dataset"
        )
    if not annotated and (empty := [label for label in classes if not _holds_image(folder / label)]):
        more = f" and {len(empty) - 1} more" if empty[1:] else ""
        raise RequestError(
            f"{name}: class folder {empty[0]!r}{more} in {str(folder)!r} holds no images "
            f"({', '.join(IMAGE_SUFFIXES)}); put its images there, or remove it from both splits"
        )
    return classes


def _flat(name: str, folder: Path) -> RequestError:
    """The error for a split without class folders."""
    where, shell_folder = f"{name}: {str(folder)!r} holds", shlex.quote(str(folder))
    files = sorted(path for path in folder.iterdir() if path.is_file() and not is_passed_over(path.name))
    if archives := [path for path in files if path.suffix == ".tar"]:
        return RequestError(
            f"{where} {len(archives)} archives ({archives[0].name} ...) and no class folders; unpack them once: "
            f"cd {shell_folder} && for f in *.tar; do mkdir -p ${{f%.tar}} && tar xf $f -C ${{f%.tar}}; done"
        )
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    if images and (images[0].name.startswith("ILSVRC2012_val_") or (name == "imagenet" and folder.name == "val")):
        return RequestError(
            f"{where} {len(images):,} images and no class folders; sort them into theirs once: cd {shell_folder} && "
            "wget -qO- https://raw.githubusercontent.com/soumith/imagenetloader.torch/master/valprep.sh | bash"
        )
    if images:
        return RequestError(
            f"{where} {len(images):,} images and no class folders; sort them into a folder a class, as in "
            f"{folder.name}/CLASS/{images[0].name}"
        )
    return RequestError(f"{where} neither class folders nor images; choose another folder with --data DIR")


_ANNOTATIONS = "val_annotations.txt"


def is_annotated(name: str, folder: Path) -> bool:
    """Whether a split is as Tiny ImageNet comes: all images in one folder, their classes in a file beside it."""
    return name == "tiny-imagenet-200" and (folder / _ANNOTATIONS).is_file()


def annotations(folder: Path) -> dict[str, str]:
    """Classes of Tiny ImageNet's validation images by file name in ``images``, of those that are there.

    Raises:
        RequestError: the file with the classes is damaged, or cannot be read.
    """
    path = folder / _ANNOTATIONS
    try:
        with regular_file(path) as file:
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}; unpack tiny-imagenet-200.zip again") from error
    rows = [line.split("\t") for line in lines if line.strip()]
    if damaged := next((row for row in rows if len(row) < 2), None):
        raise RequestError(f"{path}: line {damaged[0]!r} is no file and class; unpack tiny-imagenet-200.zip again")
    there = {path.name for path in (folder / "images").glob("*")}
    return {row[0]: row[1] for row in rows if row[0] in there}


_SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "lost+found")
"""of archives packed on macOS, of Synology's thumbnails, of ext4"""


def is_passed_over(name: str) -> bool:
    """Whether a file or folder belongs to a file system or a program, whatever it holds, such as ``._a.png``."""
    return name.startswith(".") or name in _SYSTEM_FOLDERS


def is_image(name: str) -> bool:
    """Whether a file counts as an image, by its name."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not is_passed_over(name)


def _holds_image(folder: Path | str) -> bool:
    """Whether there is an image in it or below it: stops at the first, in folders of a thousand."""
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_image(entry.name) and entry.is_file():
                return True
            if entry.is_dir() and not is_passed_over(entry.name):
                below.append(entry.path)
    return any(map(_holds_image, below))


def _visible_folders(folder: Path) -> list[Path]:
    """The subfolders that are not passed over; none if it is not a folder."""
    if not folder.is_dir():
        return []
    return [child for child in folder.iterdir() if child.is_dir() and not is_passed_over(child.name)]
