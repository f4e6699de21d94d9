"""Images of all kinds: made RGB rightly or counted as unreadable with the reason, and nothing else counts as one."""

import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image

from bench.spec import datasets
from bench.training import data
from bench.training.pixels import UnknownRange, decode, to_rgb


def folder_of(tmp_path, **files):
    """One class folder with these files, as bytes or images, as a split of the user's own."""
    folder = tmp_path / "train" / "a"
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content.save(path)
    return data.open_images("torch/image_folder", "train", str(tmp_path))


def pixel(tmp_path, name, image, **options):
    """The first pixel of an image that was saved and read back."""
    path = tmp_path / "train" / "a" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    images = data.open_images("torch/image_folder", "train", str(tmp_path))
    found, label, problem = data.read_image(images, 0)
    assert (label, problem) == (0, "")
    assert (found.mode, found.size) == ("RGB", image.size)
    return found.getpixel((0, 0))


def sixteen(level):
    return Image.fromarray(np.full((4, 6), level, np.uint16))


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_16_bits_are_scaled(tmp_path, suffix, level):
    assert pixel(tmp_path, f"a.{suffix}", sixteen(257 * level)) == (level,) * 3
    assert pixel(tmp_path, f"a.{suffix}", sixteen(max(257 * level - 128, 0))) == (level,) * 3


def test_16_bits_in_the_other_byte_order_are_scaled(tmp_path):
    data_ = np.full((4, 6), 257 * 77, ">u2").tobytes()
    image = Image.frombytes("I;16B", (6, 4), data_)
    assert image.mode == "I;16B"
    assert to_rgb(image).getpixel((0, 0)) == (77, 77, 77)


def test_12_bits_of_a_tiff_are_scaled_by_their_own_range(tmp_path):
    """Two pixels in three bytes; PIL reads them as values of 16 bits."""
    found = decode(io.BytesIO(_twelve_bits([0, 4095, 2048, 16, 0, 4095, 2048, 16], 4, 2)))
    assert found.mode == "I;16"
    assert list(np.asarray(to_rgb(found))[0, :, 0]) == [0, 255, 128, 1]


def _twelve_bits(values, width, height):
    bits = "".join(f"{value:012b}" for value in values)
    pixels = int(bits, 2).to_bytes(len(bits) // 8, "big")
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 12),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(pixels)),
    ]
    start = 8 + len(pixels)
    ifd = len(entries).to_bytes(2, "little")
    for tag, kind, value in entries:
        ifd += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little")
        ifd += value.to_bytes(4, "little")
    return b"II*\0" + start.to_bytes(4, "little") + pixels + ifd + bytes(4)


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (np.linspace(0, 1, 24, dtype=np.float32), "floats from 0 to 1"),
        (np.linspace(-3, 900, 24, dtype=np.float32), "floats from -3 to 900"),
        (np.arange(24, dtype=np.int32) * 1000, "32-bit integers from 0 to 23000"),
    ],
)
def test_pixels_of_no_known_range_are_unreadable_with_the_reason(tmp_path, pixels, kind):
    images = folder_of(tmp_path, a__tif=Image.fromarray(pixels.reshape(4, 6)))
    image, _, problem = data.read_image(images, 0)
    assert image is None
    assert f"a.tif: UnknownRange: pixels are {kind}, and which of them is white is not known; save it with" in problem


def rgba():
    return Image.new("RGBA", (6, 4), (200, 100, 50, 0))


def palette():
    image = Image.new("P", (6, 4), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    return image


@pytest.mark.parametrize(
    ("name", "image", "options", "expected"),
    [
        ("1bit.png", Image.new("1", (6, 4), 1), {}, (255, 255, 255)),
        ("grey.png", Image.new("L", (6, 4), 77), {}, (77, 77, 77)),
        ("la.png", Image.new("LA", (6, 4), (77, 0)), {}, (77, 77, 77)),
        ("rgba.png", rgba(), {}, (200, 100, 50)),
        ("rgba.webp", rgba(), {"lossless": True, "exact": True}, (200, 100, 50)),
        ("palette.png", palette(), {}, (200, 100, 50)),
        ("one.png", palette(), {"transparency": 1}, (200, 100, 50)),
        ("each.png", palette(), {"transparency": b"\0\0"}, (200, 100, 50)),
        ("cmyk.jpg", Image.new("CMYK", (6, 4), (0, 0, 0, 0)), {}, (255, 255, 255)),
        ("lab.tif", Image.new("LAB", (6, 4), (255, 128, 128)), {}, (254, 255, 254)),
        ("cmyk.tif", Image.new("CMYK", (6, 4), (255, 255, 0, 0)), {}, (0, 0, 255)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_mode_becomes_rgb(tmp_path, name, image, options, expected):
    assert pixel(tmp_path, name, image, **options) == expected


def test_an_animation_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (6, 4), color) for color in ((200, 100, 50), (0, 0, 255))]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    images = folder_of(tmp_path, a__png=file.getvalue())  # by content, whatever its suffix says
    found = data.read_image(images, 0)[0]
    assert np.abs(np.asarray(found)[0, 0].astype(int) - (200, 100, 50)).max() < 8


def test_the_orientation_of_a_camera_is_not_applied(tmp_path):
    """As in timm and torchvision, on whose images the released networks were trained."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("RGB", (6, 4))
    image.putpixel((0, 0), (255, 255, 255))
    assert pixel(tmp_path, "a.png", image, exif=exif) == (255, 255, 255)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_damaged_files_are_unreadable_with_the_reason(tmp_path, suffix, capfd):
    """And nothing that a decoder says of them is printed."""
    file = io.BytesIO()
    noise = np.random.RandomState(0).randint(0, 256, (40, 40, 3), np.uint8)
    form = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    options = {"compression": "tiff_lzw"} if suffix == "tif" else {}
    Image.fromarray(noise).save(file, form, **options)
    whole = file.getvalue()
    images = folder_of(
        tmp_path, **{f"empty__{suffix}": b"", f"half__{suffix}": whole[: len(whole) // 2], f"text__{suffix}": b"text"}
    )
    for index, name in enumerate(("empty", "half", "text")):
        image, _, problem = data.read_image(images, index)
        assert image is None
        assert f"/{name}.{suffix}: " in problem
        assert "\n" not in problem
    assert capfd.readouterr() == ("", "")


def test_a_very_large_image_is_read_without_a_warning_and_a_bomb_is_not(tmp_path, monkeypatch, recwarn):
    images = folder_of(tmp_path, a__png=Image.new("L", (60, 40), 7))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    assert data.read_image(images, 0)[0].getpixel((0, 0)) == (7, 7, 7)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    image, _, problem = data.read_image(images, 0)
    assert image is None
    assert "a.png: DecompressionBombError: " in problem
    assert not recwarn.list


def test_what_a_library_warns_of_is_not_printed(tmp_path, capfd):
    class Warns:
        def __len__(self):
            return 1

        def __getitem__(self, index):
            warnings.warn("Corrupt EXIF data", stacklevel=1)
            return Image.new("L", (1, 1)), 0

    assert data.read_image(Warns(), 0)[2] == ""
    assert capfd.readouterr() == ("", "")


def test_hidden_files_and_folders_are_neither_images_nor_classes(tmp_path):
    for folder in ("a", "b", ".ipynb_checkpoints", "__MACOSX/a", "a/.thumbnails", "a/@eaDir/0.png", "._b"):
        (tmp_path / "train" / folder).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "train" / folder / "0.png")
    for path in ("a/._0.png", "b/._0.png", "a/.DS_Store", "._a"):
        (tmp_path / "train" / path).write_bytes(b"\0\5\26\7")
    for path in ("b/1.gif", "b/2.GIF", "0.png", "labels.txt"):
        (tmp_path / "train" / path).touch()
    images = data.open_images("torch/image_folder", "train", str(tmp_path))
    assert images.classes == ["a", "b"]
    assert [os.path.relpath(path, tmp_path / "train") for path, _ in images.samples] == ["a/0.png", "b/0.png"]
    assert data.notes(images) == [
        f"passed over in {tmp_path}/train: .gif files (2), folder ._b, folder .ipynb_checkpoints, folder __MACOSX, "
        "hidden images (4), images in no class folder (1)"
    ]


@pytest.mark.parametrize("name", ["imagenet", "cifar10", "imagenette"])
def test_hidden_folders_are_no_classes_of_any_data_set(tmp_path, name):
    layout = datasets.LAYOUTS[name]
    labels = {"imagenet": "n01440764", "cifar10": "airplane", "imagenette": "n01440764"}
    folder = tmp_path / layout.folders[0] / layout.val[0]
    for label in (labels[name], ".cache"):
        (folder / label).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(folder / label / "0.png")
    assert data.class_count(data.open_images(name, "val", str(tmp_path))) == 1


def test_a_hidden_folder_above_hides_nothing(tmp_path):
    for label in ("a", "b"):
        (tmp_path / ".cache" / "train" / label).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / ".cache" / "train" / label / "0.png")
    assert len(data.open_images("torch/image_folder", "train", str(tmp_path / ".cache"))) == 2


def test_the_reason_names_what_is_not_known():
    with pytest.raises(UnknownRange, match="floats from nan to nan"):
        to_rgb(Image.fromarray(np.full((2, 2), np.nan, np.float32)))
