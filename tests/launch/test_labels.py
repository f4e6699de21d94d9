"""What tells runs apart, in few words."""

import dataclasses

import pytest

from bench.experiments.budgets import SUITES
from bench.experiments.recipes import override
from bench.launch.labels import labels, number, settings

T2T, TUNED, RESNET = SUITES["smoke"].values()


def changed(spec, *values):
    return dataclasses.replace(spec, recipe=override(spec.recipe, values))


def by_id(specs):
    return settings({spec.run_id: spec for spec in specs})


def test_a_sweep_is_told_apart_by_its_values_and_nothing_else():
    specs = [changed(RESNET, f"lr={lr}", f"auto_augment={policy}") for lr in (".001", "5e-4") for policy in ("", "v0")]
    assert list(by_id(specs).values()) == [
        "lr=1e-3 auto_augment=",
        "lr=1e-3 auto_augment=v0",
        "lr=5e-4 auto_augment=",
        "lr=5e-4 auto_augment=v0",
    ]
    assert set(by_id([changed(RESNET, "lr=.001")]).values()) == {""}


def test_seeds_are_alike_also_of_what_they_start_from():
    specs = [TUNED.with_seed(seed) for seed in (1, 2)]
    assert set(by_id(specs).values()) == {""}
    assert list(labels(specs).values()) == ["t2t_vit_7 s1", "t2t_vit_7 s2"]


def test_labels_name_what_differs():
    assert list(labels([RESNET]).values()) == ["test_resnet"]
    assert list(labels([T2T, TUNED, RESNET]).values()) == [
        "t2t_vit_7 smoke",
        "t2t_vit_7 smoke_tune",
        "test_resnet smoke",
    ]
    other = dataclasses.replace(RESNET, dataset="cifar10")
    assert list(labels([RESNET, other]).values()) == ["test_resnet synthetic", "test_resnet cifar10"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "1e-3"),
        (0.0005, "5e-4"),
        (0.05, "0.05"),
        (0.0015, "0.0015"),
        (1.5, "1.5"),
        (0.0, "0.0"),
        (100, "100"),
        (1e-5, "1e-5"),
        (1 / 3, "0.3333333333333333"),
        (True, "True"),
        ("cosine", "cosine"),
    ],
)
def test_numbers_are_short_and_exact(value, text):
    assert number(value) == text
