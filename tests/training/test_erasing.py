"""Random erasing before and after images are mixed."""

import pytest
import torch

from tests.training.test_train_fraction import training

MIXED = ("mixup=100", "cutmix=0", "auto_augment=")  # two halves, or nearly so


def batch(*settings):
    """The first local batch of a run, as its step takes it, and the state of the generator behind it."""
    run = training(*MIXED, *settings)
    images, _ = run._next(iter(run.train_loader), run.layout.parts[0], 0)
    return images, torch.get_rng_state()


def correlation(images, whole):
    """Of the pixels that erasing changed with what they would have been."""
    erased = images != whole
    return torch.corrcoef(torch.stack([images[erased], whole[erased]]))[0, 1]


def test_what_is_erased_after_mixing_is_noise_alone():
    """Before mixing, the partner of an image shows through its noise."""
    whole, untouched = batch("random_erasing=0")
    before, _ = batch("random_erasing=1")
    after, state = batch("random_erasing=1", "erase_after_mixing=true")
    assert correlation(before, whole) > 0.3
    assert abs(correlation(after, whole)) < 0.02
    erased = after != whole
    assert after[erased].mean() == pytest.approx(0, abs=0.03)
    assert after[erased].std() == pytest.approx(1, abs=0.03)
    for image in erased.any(dim=1):  # (S, S): one rectangle
        rows, columns = image.any(dim=1).sum(), image.any(dim=0).sum()
        assert image.sum() == rows * columns > 0
    assert torch.equal(state, untouched)  # so that dropout and stochastic depth draw the same


def test_some_images_are_erased_from_and_by_the_recipes_mode():
    whole, _ = batch("random_erasing=0")
    some, _ = batch("random_erasing=0.25", "erase_after_mixing=true")
    changed = (some != whole).flatten(1).any(dim=1)
    assert 0 < changed.sum() < len(changed) / 2
    black, _ = batch("random_erasing=1", "random_erasing_mode=const", "erase_after_mixing=true")
    assert (black[black != whole] == 0).all()
