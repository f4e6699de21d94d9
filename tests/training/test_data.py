"""Data: the same pixels whatever the machine, every validation image once, and every bad image named."""

import collections
import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from bench.experiments.recipes import T2T_LITE, override
from bench.spec.batch_layout import lay_out
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec
from bench.training import data, identity
from bench.training.distributed import World

CPU = torch.device("cpu")
SPEC = RunSpec(model="t2t_vit_7", dataset="synthetic", recipe=T2T_LITE, img_size=32)


def layout(global_batch, rank, world_size, local_batch):
    settings = [f"global_batch={global_batch}", f"local_batch={local_batch}", "mixup=0", "cutmix=0"]
    return lay_out(override(T2T_LITE, settings), rank, world_size, local_batch)


def batches(*, workers=0, rank=0, world_size=1, local_batch=8, epoch=0, start=0, images=None, seed=0):
    """A process's training batches of an epoch, with the recipe's full augmentation."""
    images = images or data.Synthetic("train")
    transform = data.train_transform(T2T_LITE, 32, data.KNOWN["synthetic"])
    samples = data.Samples(images, transform, seed, training=True)
    order = data.TrainBatches(96, layout(32, rank, world_size, local_batch), seed)
    order.epoch, order.start_step = epoch, start
    return list(data.TrainLoader(samples, order, workers, CPU))


def pixels(found):
    return torch.cat([batch.images for batch in found])


def test_workers_change_no_pixel():
    assert torch.equal(pixels(batches(workers=0)), pixels(batches(workers=2)))


def test_neither_processes_nor_local_batches_change_a_pixel():
    alone = pixels(batches()).unflatten(0, (3, 32))
    halves = [pixels(batches(rank=rank, world_size=2, local_batch=4)).unflatten(0, (3, 16)) for rank in (0, 1)]
    assert torch.equal(alone, torch.cat(halves, dim=1))


def test_a_restart_inside_an_epoch_changes_no_pixel():
    assert torch.equal(pixels(batches())[32:], pixels(batches(start=1)))


def test_epochs_and_seeds_change_order_and_pixels():
    assert not torch.equal(pixels(batches()), pixels(batches(epoch=1)))
    assert not torch.equal(pixels(batches()), pixels(batches(seed=1)))
    one = data.Samples(
        data.Synthetic("train"), data.train_transform(T2T_LITE, 32, data.KNOWN["synthetic"]), 0, training=True
    )
    assert np.array_equal(one[0, 5][0].levels, one[0, 5][0].levels)
    assert not np.array_equal(one[0, 5][0].levels, one[1, 5][0].levels)


def test_loading_leaves_the_trainings_generators_alone():
    torch.manual_seed(0)
    expected = torch.rand(3), np.random.RandomState(0).rand()
    torch.manual_seed(0)
    np.random.seed(0)
    batches()
    assert torch.equal(torch.rand(3), expected[0])
    assert np.random.rand() == expected[1]


def test_an_epoch_holds_each_sample_once():
    order = data.TrainBatches(103, layout(32, 0, 1, 8), 0)
    indices = [index for batch in order for _, index in batch]
    assert order.steps == 3
    assert len(indices) == len(set(indices)) == 96


def test_repeats_come_in_a_batch_apart_and_each_augmented_anew():
    order = data.TrainBatches(103, layout(30, 0, 1, 10), 0, repeats=3)
    batches = _by_step(order, 3)
    keys = [key for batch in batches for key in batch]
    assert len(keys) == len(set(keys)) == 90
    once = [index for batch in data.TrainBatches(103, layout(30, 0, 1, 10), 0) for _, index in batch]
    for step, batch in enumerate(batches):
        indices = [index for _, index in batch]
        assert indices[:10] == indices[10:20] == indices[20:] == once[10 * step : 10 * step + 10]
    transform = data.train_transform(T2T_LITE, 32, data.KNOWN["synthetic"])
    samples = data.Samples(data.Synthetic("train"), transform, 0, training=True)
    first, second, third = (samples[key][0].levels for key in (keys[0], keys[10], keys[20]))
    assert not np.array_equal(first, second)
    assert not np.array_equal(second, third)
    assert not np.array_equal(first, third)


def test_repeats_of_a_batch_that_they_do_not_divide_are_all_there():
    """DeiT's: three times in batches of 1024."""
    batches = _by_step(data.TrainBatches(100, layout(32, 0, 1, 8), 0, repeats=3), 4)
    counts = collections.Counter(index for batch in batches for _, index in batch)
    assert sorted(counts.values()) == [3] * 32
    halves = [_by_step(data.TrainBatches(100, layout(32, rank, 2, 8), 0, repeats=3), 2) for rank in (0, 1)]
    assert [a + b for a, b in zip(*halves, strict=True)] == batches


def _by_step(order, micro_batches):
    """The keys of each step, over its micro-batches."""
    listed = list(order)
    steps = (listed[i : i + micro_batches] for i in range(0, len(listed), micro_batches))
    return [[key for batch in step for key in batch] for step in steps]


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_validation_sees_every_image_exactly_once(world_size):
    images = data.Synthetic("val")
    images.size = 101
    transform = data.eval_transform(T2T_LITE, 32, data.KNOWN["synthetic"])
    samples = data.Samples(images, transform, 0, training=False)
    seen = []
    for rank in range(world_size):
        loader = data.eval_loader(samples, 8, 0, World(rank=rank, size=world_size, device=CPU))
        seen += [index for batch in loader.batch_sampler for _, index in batch]
        assert sum(len(batch.labels) for batch in loader) in (101 // world_size, 101 // world_size + 1)
    assert sorted(seen) == list(range(101))


@pytest.fixture
def cifar(tmp_path):
    """CIFAR-10 as class folders: 4 training and 2 test images a class, one more in the first."""
    generator = np.random.RandomState(0)
    for split, count in (("train", 4), ("test", 2)):
        for label in range(10):
            folder = tmp_path / "cifar10" / split / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count + (label == 0)):
                Image.fromarray(generator.randint(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{i}.png")
    return tmp_path


def test_class_folders_and_their_counts(cifar):
    train, val = (data.open_images("cifar10", split, str(cifar)) for split in ("train", "val"))
    survey = data.survey(dataclasses.replace(SPEC, dataset="cifar10"), train, val)
    assert (survey["classes"], survey["train_images"], survey["val_images"]) == (10, 41, 21)
    assert survey["complete"] is False
    assert survey["expected"]["train_images"] == 50_000
    assert data.survey(SPEC, data.Synthetic("train"), data.Synthetic("val"))["complete"] is True


def test_splits_with_other_classes_are_refused(cifar):
    (cifar / "cifar10" / "test" / "class3").rename(cifar / "cifar10" / "test" / "dog")
    train, val = (data.open_images("cifar10", split, str(cifar)) for split in ("train", "val"))
    with pytest.raises(RequestError, match="same class folders"):
        data.survey(dataclasses.replace(SPEC, dataset="cifar10"), train, val)


def test_an_unreadable_image_is_named_and_another_takes_its_place(cifar):
    images = data.open_images("cifar10", "train", str(cifar))
    broken = cifar / "cifar10" / "train" / "class2" / "1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    index = [path for path, _ in images.samples].index(str(broken))
    transform = data.eval_transform(T2T_LITE, 32, data.KNOWN["cifar10"])
    image, label, loaded, unreadable = data.Samples(images, transform, 0, training=True)[0, index]
    assert loaded == index + 1
    expected, expected_label, _, _ = data.Samples(images, transform, 0, training=True)[0, index + 1]
    assert torch.equal(image, expected)
    assert label == expected_label
    assert len(unreadable) == 1
    assert "class2/1.png" in unreadable[0]
    loader = data.eval_loader(
        data.Samples(images, transform, 0, training=False), 8, 0, World(rank=0, size=1, device=CPU)
    )
    found = list(loader)
    assert sum(len(batch.labels) for batch in found) == 40
    assert [line for batch in found for line in batch.unreadable] == unreadable


@pytest.mark.parametrize("name", ["imagenet", "cifar10", "cifar100"])
def test_data_that_are_not_there_are_named(tmp_path, name):
    with pytest.raises(RequestError, match=f"{name}.*--data DIR"):
        data.open_images(name, "train", str(tmp_path))


def test_an_unknown_data_set_is_named_with_the_choices(tmp_path):
    with pytest.raises(RequestError, match="unknown data set 'cifar11'; did you mean 'cifar10'"):
        data.open_images("cifar11", "train", str(tmp_path))


def test_imagenet_folders_are_read_by_wordnet_id(tmp_path):
    for split in ("train", "val"):
        for wnid in ("n01440764", "n01443537"):
            (tmp_path / "imagenet" / split / wnid).mkdir(parents=True)
            Image.new("L", (40, 30)).save(tmp_path / "imagenet" / split / wnid / "a.JPEG")
    images = data.open_images("imagenet", "val", str(tmp_path))
    assert images.classes == ["n01440764", "n01443537"]
    transform = data.eval_transform(T2T_LITE, 32, data.KNOWN["imagenet"])
    image, label, *_ = data.Samples(images, transform, 0, training=False)[0, 1]  # grey on disk, RGB here
    assert (image.shape, label) == ((3, 32, 32), 1)


def in_folders(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (40, 30)).save(folder / name / "a.JPEG")


@pytest.mark.parametrize("above", ["imagenet", "."])
def test_imagenets_classes_have_their_numbers_though_some_are_missing(tmp_path, above):
    in_folders(tmp_path / above / "val", "n01484850", "n15075141")
    images = data.open_images("imagenet", "val", str(tmp_path))
    assert [label for _, label in images.samples] == [2, 999]
    data.require_all_classes("imagenet", images)
    first = identity.identify(images).sha256
    (tmp_path / above / "val" / "n15075141").rename(tmp_path / above / "val" / "n13133613")
    assert identity.identify(data.open_images("imagenet", "val", str(tmp_path))).sha256 != first


def test_folders_that_a_trained_head_does_not_know_are_refused(tmp_path):
    in_folders(tmp_path / "imagenet" / "val", "n01484850", "cat", "dog")
    images = data.open_images("imagenet", "val", str(tmp_path))
    assert [label for _, label in images.samples] == [0, 1, 2]
    with pytest.raises(RequestError, match=r"class folder 'cat' and 1 more in .* is no WordNet id of ImageNet-1k"):
        data.require_all_classes("imagenet", images)


def test_both_places_of_imagenet_are_named(tmp_path):
    with pytest.raises(RequestError, match=r"/imagenet/val' nor in '.*/val'; .* imagenet/ or val/ with --data DIR"):
        data.open_images("imagenet", "val", str(tmp_path))


def test_in_evaluation_all_processes_take_the_next_images_of_each_step():
    samples = data.Samples(data.Synthetic("val"), lambda image: torch.zeros(1), 0, training=False)
    loaders = [data.ordered_loader(samples, 8, 0, World(rank=rank, size=3, device=CPU), start=100) for rank in range(3)]
    steps = list(zip(*(list(loader.batch_sampler) for loader in loaders), strict=True))
    assert [index for step in steps for keys in step for _, index in keys] == list(range(100, 256))
    assert [len(batch.labels) for batch in loaders[2]] == [8] * 6 + [0]  # as many steps, the last one empty


def test_timms_data_sets_by_prefix(cifar):
    name = "torch/image_folder"
    train, val = (data.open_images(name, split, str(cifar / "cifar10")) for split in ("train", "val"))
    assert (len(train), len(val)) == (41, 21)
    assert data.describe(dataclasses.replace(SPEC, dataset=name), train, val).num_classes == 10


def test_generated_images_are_the_same_everywhere_and_differ_by_class():
    image, label = data.Synthetic("train")[3]
    again, _ = data.Synthetic("train")[3]
    assert label == 3
    assert image.tobytes() == again.tobytes()
    assert image.tobytes() != data.Synthetic("val")[3][0].tobytes()
    assert int(np.asarray(image).astype(int).sum()) == 394945
