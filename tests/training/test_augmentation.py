"""Training images: timm's views and noise, and its pixels, to the bit or within what is stated."""

import io
import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from timm.data.random_erasing import RandomErasing
from torchvision import transforms

from bench.experiments.recipes import CIFAR_TRANSFER, T2T_LITE, override
from bench.spec.batch_layout import lay_out
from bench.training import data
from bench.training.augmentation import Augmented, Crop, Erased, Levels, Normalisation
from bench.training.jpeg import open_jpeg
from bench.training.pixels import open_image, to_rgb

CPU = torch.device("cpu")
KNOWN = data.KNOWN["imagenet"]
ERASING = override(T2T_LITE, ["random_erasing=0.6", "global_batch=16", "local_batch=16", "mixup=0", "cutmix=0"])


def picture(width, height, seed=0):
    """Smooth areas with noise, as in a photograph."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (7, 9, 3), np.uint8)).resize((width, height), Image.BICUBIC)
    noisy = np.asarray(coarse) + generator.normal(0, 12, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def saved(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def with_orientation(image):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    return saved(image, exif=exif)


def corrupt(content):
    """Damaged in the middle, where decoders go on."""
    return content[: len(content) // 2] + b"\x5a" * 40 + content[len(content) // 2 + 40 :]


PICTURE = picture(90, 70)
JPEGS = {
    "colour": saved(PICTURE),
    "no subsampling": saved(PICTURE, subsampling=0),
    "4:2:2": saved(PICTURE, subsampling=1),
    "progressive": saved(PICTURE, progressive=True),
    "RGB": saved(PICTURE, keep_rgb=True),
    "grey": saved(PICTURE.convert("L")),
    "CMYK": saved(PICTURE.convert("CMYK")),
    "turned": with_orientation(PICTURE),
    "one pixel": saved(PICTURE.crop((0, 0, 1, 1))),
    "odd sides": saved(PICTURE.crop((0, 0, 7, 5))),
    "damaged": corrupt(saved(PICTURE)),
    "ended early": saved(PICTURE)[:-600] + b"\xff\xd9",
    "more behind it": saved(PICTURE) + b"more" * 10,
}


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_has_the_pixels_that_pil_decodes(kind, tmp_path):
    path = tmp_path / "a.JPEG"
    path.write_bytes(JPEGS[kind])
    levels = open_jpeg(path)
    assert levels.dtype == torch.uint8
    assert np.array_equal(levels.permute(1, 2, 0).numpy(), np.asarray(to_rgb(open_image(path))))


def folders(folder, files):
    """Class folders of Imagenette with these training files."""
    for name, content in files.items():
        path = folder / "imagenette2/train/n01440764" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return data.open_images("imagenette", "train", str(folder))


def test_images_that_do_not_load_have_the_lines_that_evaluation_gives_them(tmp_path):
    contents = {
        "a.JPEG": JPEGS["colour"][:-600],
        "b.JPEG": JPEGS["colour"][:50],
        "c.JPEG": b"",
        "d.JPEG": JPEGS["CMYK"][:-600],
        "e.JPEG": JPEGS["colour"][:-2],  # of which PIL loads larger ones only
        "f.JPEG": JPEGS["grey"],
    }
    images = folders(tmp_path, contents)
    transform = data.train_transform(T2T_LITE, 32, KNOWN)
    *_, index, unreadable = data.Samples(images, transform, 0, training=True)[0, 0]
    assert index == 5
    assert unreadable == [data.read_image(images, n)[2] for n in range(5)]
    assert "a.JPEG: OSError: image file is truncated" in unreadable[0]


def test_a_png_in_a_jpegs_name_loads(tmp_path):
    file = io.BytesIO()
    PICTURE.save(file, "PNG")
    (image, *_, unreadable) = data.read_levels(folders(tmp_path, {"a.JPEG": file.getvalue()}), 0)
    assert isinstance(image, Image.Image)
    assert image.tobytes() == PICTURE.tobytes()
    assert not unreadable


def test_jpegs_of_a_part_of_a_data_set_are_its_own(tmp_path):
    images = folders(tmp_path, {f"{n}.JPEG": saved(picture(30, 20, seed=n)) for n in range(4)})
    levels, *_ = data.read_levels(data.Part(images, [3, 1]), 1)
    assert isinstance(levels, torch.Tensor)
    assert np.array_equal(levels.permute(1, 2, 0).numpy(), np.asarray(images[1][0]))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "random"])
@pytest.mark.parametrize("size", [(500, 375), (150, 220), (900, 1400), (5, 3)])
def test_crops_are_timms_within_two_levels(size, interpolation):
    image = picture(*size)
    levels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    crop = Crop(224, scale=(0.08, 1), ratio=(3 / 4, 4 / 3), interpolation=interpolation)
    differences = []
    for seed in range(6):
        random.seed(seed)
        expected = np.asarray(crop(image)).astype(int)
        after = random.random()
        random.seed(seed)
        differences.append(np.abs(np.asarray(crop(levels)) - expected))
        assert random.random() == after
    assert np.max(differences) <= 2
    assert np.mean(np.array(differences) > 0) < 0.02
    assert np.mean(differences) < 0.02


def reference(recipe, side):
    """timm's own transform, which returns normalised images."""
    return create_transform(
        side,
        is_training=True,
        scale=(recipe.crop_scale_min, recipe.crop_scale_max),
        hflip=recipe.hflip,
        color_jitter=recipe.color_jitter,
        auto_augment=recipe.auto_augment or None,
        interpolation=recipe.interpolation,
        mean=KNOWN.mean,
        std=KNOWN.std,
        re_prob=recipe.random_erasing,
        re_mode=recipe.random_erasing_mode,
        use_prefetcher=False,
    )


def padded_reference(side):
    return transforms.Compose(
        [
            transforms.Resize(side, transforms.InterpolationMode.BILINEAR),
            transforms.RandomCrop(side, padding=int(side * CIFAR_TRANSFER.crop_padding)),
            transforms.RandomHorizontalFlip(CIFAR_TRANSFER.hflip),
            transforms.ToTensor(),
            transforms.Normalize(KNOWN.mean, KNOWN.std),
        ]
    )


def batches(images, recipe, side, *, workers=0):
    recipe = override(recipe, ["global_batch=16", "local_batch=16"])
    samples = data.Samples(images, data.train_transform(recipe, side, KNOWN), 3, training=True)
    return list(data.TrainLoader(samples, data.TrainBatches(len(images), lay_out(recipe, 0, 1, 16), 3), workers, CPU))


@pytest.mark.parametrize(
    ("mode", "policy"),
    [("pixel", ERASING.auto_augment), ("rand", "3a"), ("const", "augmix-m3"), ("pixel", "")],
)
def test_images_of_other_formats_are_timms_bit_for_bit(mode, policy):
    recipe = override(ERASING, [f"random_erasing_mode={mode}", f"auto_augment={policy}"])
    images, transform = data.Part(data.Synthetic("train"), range(32)), reference(recipe, 32)
    for batch in batches(images, recipe, 32):
        for image, index in zip(batch.images, batch.indices.tolist(), strict=True):
            data.seed_everything(3, 0, index)
            expected = transform(images[index][0])
            assert torch.equal(image, expected)
    assert batch.images.is_contiguous()


def test_padded_images_are_torchvisions_bit_for_bit():
    images, transform = data.Part(data.Synthetic("train"), range(16)), padded_reference(48)
    (batch, *_) = batches(images, CIFAR_TRANSFER, 48)
    for image, index in zip(batch.images, batch.indices.tolist(), strict=True):
        data.seed_everything(3, 0, index)
        assert torch.equal(image, transform(images[index][0]))


def test_padded_jpegs_are_torchvisions_bit_for_bit(tmp_path):
    images = folders(tmp_path, {f"{n}.JPEG": saved(picture(60, 60, seed=n)) for n in range(16)})
    (batch,) = batches(images, CIFAR_TRANSFER, 48)
    for image, index in zip(batch.images, batch.indices.tolist(), strict=True):
        data.seed_everything(3, 0, index)
        assert torch.equal(image, padded_reference(48)(images[index][0]))


def test_workers_change_no_pixel_of_jpegs(tmp_path, capfd):
    contents = {f"{n}.JPEG": saved(picture(80, 60, seed=n)) for n in range(32)}
    images = folders(tmp_path, {**contents, "3.JPEG": corrupt(contents["3.JPEG"])})
    alone = batches(images, ERASING, 32)
    capfd.readouterr()
    shared = batches(images, ERASING, 32, workers=2)
    assert not capfd.readouterr().err  # of the corrupt one
    assert len(alone) == len(shared) == 2
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.indices, other.indices)


def normalised_on(device):
    """Every level in every channel, and a place that is erased."""
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(3, axis=0)
    noise = torch.arange(24.0).view(3, 2, 4)
    erased = Erased((slice(None), slice(1, 3), slice(4, 8)), noise)
    batch = Levels.stack([Augmented(levels, None), Augmented(levels, erased)])
    expected = transforms.Normalize(KNOWN.mean, KNOWN.std)(transforms.ToTensor()(levels.transpose(1, 2, 0)))
    changed = expected.clone()
    changed[:, 1:3, 4:8] = noise
    found = Normalisation(KNOWN.mean, KNOWN.std, device)(batch).cpu()
    return found, torch.stack([expected, changed])


def test_normalised_values_are_torchvisions_bit_for_bit():
    found, expected = normalised_on(CPU)
    assert torch.equal(found, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_normalises_to_the_same_bits():
    found, expected = normalised_on(torch.device("cuda"))
    assert torch.equal(found, expected)


def test_a_batch_that_somebody_holds_is_not_written_over():
    normalise = Normalisation(KNOWN.mean, KNOWN.std, CPU)
    black, white = (Levels.stack([Augmented(np.full((3, 4, 4), n, np.uint8), None)]) for n in (0, 255))
    held = normalise(black)
    assert normalise(white).min() > held.max()


def test_timms_erasing_is_of_one_area():
    """Which is all that an augmentation keeps."""
    erasing = data.train_transform(ERASING, 32, KNOWN).erasing
    assert isinstance(erasing, RandomErasing)
    assert erasing.max_count == 1
