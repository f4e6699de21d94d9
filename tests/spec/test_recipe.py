"""Recipes value by value, and the library defaults that must not creep into them."""

import dataclasses
import inspect
import json
import math

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import Mixup, create_transform
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3

from bench.experiments import recipes
from bench.experiments.budgets import PILOT, SMOKE, SUITES, under
from bench.experiments.recipes import (
    CIFAR_TRANSFER,
    CNN_T2T,
    CNN_T2T_JANUARY,
    CNN_T2T_NO_DROP_PATH,
    DEIT,
    T2T_DEEP,
    T2T_LITE,
    T2T_MEDIUM,
    T2T_MEDIUM_JANUARY,
    TORCHVISION,
    VIT_T2T,
    override,
)
from bench.paper import RECIPE_TABLES, TABLES
from bench.results.codec import plain
from bench.results.spec_file import load_spec, save_spec
from bench.spec.errors import RequestError
from bench.spec.recipe import YOUNGER_FIELDS, Recipe
from bench.spec.run import RunSpec, imagenet
from bench.training.build import build_network, build_optimizer, build_scheduler
from bench.training.data import KNOWN, train_transform
from tests.conftest import ROOT

AUTHORS = {  # the authors' README and main.py, transcribed
    "optimizer": "adamw",
    "lr": 5e-4,
    "global_batch": 512,
    "momentum": 0.9,
    "weight_decay": 0.05,
    "decay_1d": False,
    "schedule": "cosine",
    "epochs": 300,
    "cooldown_epochs": 10,
    "min_lr": 1e-5,
    "warmup_epochs": 10,
    "warmup_lr": 1e-6,
    "drop_path": 0.1,
    "dropout": 0.0,
    "label_smoothing": 0.1,
    "mixup": 0.8,
    "cutmix": 1.0,
    "mixup_prob": 1.0,
    "mixup_switch_prob": 0.5,
    "mixup_mode": "batch",
    "auto_augment": "rand-m9-mstd0.5-inc1",
    "color_jitter": 0.4,
    "random_erasing": 0.25,
    "random_erasing_mode": "pixel",
    "crop_scale_min": 0.08,
    "crop_scale_max": 1.0,
    "hflip": 0.5,
    "interpolation": "random",
    "crop_pct": 0.9,
    "eval_interpolation": "bicubic",
    "ema_decay": 0.99996,
    "local_batch": 64,  # 8 GPUs with -b 64
}

ALL = [
    *dict.fromkeys(recipe for table in RECIPE_TABLES.values() for recipe in table.recipes),
    *(PILOT, SMOKE, T2T_MEDIUM_JANUARY, CNN_T2T_JANUARY),
]
NEUTRAL = {
    "augmentation_repeats": 1,
    "crop_padding": 0,
    "backbone_lr_scale": 1,
    "backbone_min_lr_scale": 1,
    "freeze_class_token_and_norm": False,
    "erase_after_mixing": False,
}
JANUARY = {"mixup": 0.2, "random_erasing": 0, "dropout": 0.1, "warmup_epochs": 3}
"""what the authors' commit 70ffcf2 changed, as it was before; it also changed the defaults of learning rate and batch,
which the README gives for T2T-ViT-14, the same before and after"""


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        (T2T_MEDIUM, NEUTRAL),
        (VIT_T2T, NEUTRAL),
        (CNN_T2T_NO_DROP_PATH, {"crop_pct": 0.875, "drop_path": 0}),
        (CNN_T2T, {"crop_pct": 0.875}),
        (T2T_DEEP, {"weight_decay": 0.065}),
        (T2T_LITE, {"lr": 1e-3, "weight_decay": 0.03}),
        (T2T_MEDIUM_JANUARY, JANUARY | NEUTRAL),
        (CNN_T2T_JANUARY, JANUARY | {"crop_pct": 0.875}),
        (
            TORCHVISION,
            {
                "optimizer": "momentum", "lr": 0.1, "global_batch": 256, "weight_decay": 1e-4, "decay_1d": True,
                "schedule": "step", "epochs": 90, "cooldown_epochs": 0, "min_lr": 0, "warmup_epochs": 0,
                "warmup_lr": 0, "decay_epochs": 30, "decay_rate": 0.1, "drop_path": 0, "label_smoothing": 0,
                "mixup": 0, "cutmix": 0, "mixup_prob": 0, "mixup_switch_prob": 0, "auto_augment": "",
                "color_jitter": 0, "random_erasing": 0, "random_erasing_mode": "const", "interpolation": "bilinear",
                "crop_pct": 0.875, "eval_interpolation": "bilinear", "ema_decay": 0, "local_batch": 32,
            },
        ),
        (
            DEIT,
            {
                "lr": 1e-3, "global_batch": 1024, "cooldown_epochs": 0, "warmup_epochs": 5, "interpolation": "bicubic",
                "crop_pct": 0.875, "ema_decay": 0, "augmentation_repeats": 3, "local_batch": 256,
            },
        ),
        (
            CIFAR_TRANSFER,
            {
                "optimizer": "momentum", "lr": 0.05, "global_batch": 64, "weight_decay": 5e-4, "decay_1d": True,
                "epochs": 60, "cooldown_epochs": 0, "min_lr": 2e-4, "warmup_epochs": 0, "warmup_lr": 0,
                "label_smoothing": 0, "mixup": 0, "cutmix": 0, "mixup_prob": 0, "mixup_switch_prob": 0,
                "auto_augment": "", "color_jitter": 0, "random_erasing": 0, "random_erasing_mode": "const",
                "crop_scale_min": 1, "interpolation": "bilinear", "crop_pct": 1, "eval_interpolation": "bilinear",
                "ema_decay": 0, "crop_padding": 0.125, "backbone_lr_scale": 0.01, "backbone_min_lr_scale": 1,
                "freeze_class_token_and_norm": True,
            },
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_values(recipe, changes):
    for name, value in {**AUTHORS, **changes}.items():
        assert getattr(recipe, name) == value, name


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)
def test_every_value_has_a_source(recipe):
    for field in dataclasses.fields(Recipe):
        if field.compare and field.name != "name":
            assert recipe.sources[field.name], field.name


def test_a_value_without_a_source_is_refused():
    with pytest.raises(ValueError, match="no source for lr"):
        dataclasses.replace(T2T_MEDIUM, sources={k: v for k, v in T2T_MEDIUM.sources.items() if k != "lr"})


def test_rows_name_the_recipe_of_their_printed_accuracy():
    names = {row.name: row.run.recipe for row in TABLES[3].rows}
    assert names["T2T-ViT-14"] is T2T_MEDIUM
    assert names["T2T-ViT-24"] is names["T2T-ViT_t-19"] is T2T_DEEP
    assert names["ResNet101*"] is CNN_T2T
    assert names["ResNet101"] is TORCHVISION


TRAIN_PY = {  # defaults of timm's train.py, 1.0.29.dev0, commit aa4b585, as argparse has them
    "optimizer": "sgd",
    "lr": None,  # 0.1 at batch 256, scaled
    "global_batch": 128,  # a GPU
    "momentum": 0.9,
    "weight_decay": 2e-5,
    "schedule": "cosine",
    "epochs": 300,
    "cooldown_epochs": 0,
    "min_lr": 0,
    "warmup_epochs": 5,
    "warmup_lr": 1e-5,
    "drop_path": None,
    "label_smoothing": 0.1,
    "mixup": 0.0,
    "cutmix": 0.0,
    "mixup_prob": 1.0,
    "mixup_switch_prob": 0.5,
    "mixup_mode": "batch",
    "auto_augment": None,
    "color_jitter": 0.4,
    "random_erasing": 0.0,
    "random_erasing_mode": "pixel",
    "crop_scale_min": 0.08,
    "crop_scale_max": 1.0,
    "hflip": 0.5,
    "interpolation": "random",
    "ema_decay": 0.9998,  # and off unless asked for
}


def test_where_timms_train_py_would_train_another_recipe():
    """Fourteen values that a run through today's train.py gets wrong unless each is passed."""
    differing = {name for name, default in TRAIN_PY.items() if getattr(T2T_MEDIUM, name) != default}
    assert differing == {
        "optimizer", "lr", "global_batch", "weight_decay", "cooldown_epochs", "min_lr", "warmup_epochs", "warmup_lr",
        "drop_path", "mixup", "cutmix", "auto_augment", "random_erasing", "ema_decay",
    }  # fmt: skip
    for name in TRAIN_PY.keys() - differing:
        assert getattr(T2T_MEDIUM, name) == AUTHORS[name] == TRAIN_PY[name]


TIMM_DEFAULTS = {  # what timm 1.0 would fill in where we passed nothing; a move shows here
    create_scheduler_v2: {
        "sched": "cosine", "num_epochs": 300, "cooldown_epochs": 0, "min_lr": 0.0, "warmup_lr": 1e-5,
        "warmup_epochs": 0, "warmup_prefix": False, "noise": None, "cycle_mul": 1.0, "cycle_decay": 0.1,
        "cycle_limit": 1, "k_decay": 1.0, "step_on_epochs": True, "decay_rate": 0.1,
    },
    create_optimizer_v2: {"opt": "sgd", "lr": None, "weight_decay": 0.0, "momentum": 0.9, "filter_bias_and_bn": True},
    ModelEmaV3.__init__: {"decay": 0.9999, "min_decay": 0.0, "update_after_step": 0, "use_warmup": False,
                          "exclude_buffers": False},
    Mixup.__init__: {
        "mixup_alpha": 1.0, "cutmix_alpha": 0.0, "cutmix_minmax": None, "prob": 1.0, "switch_prob": 0.5,
        "mode": "batch", "correct_lam": True, "label_smoothing": 0.1, "num_classes": 1000,
    },
    create_transform: {
        "hflip": 0.5, "vflip": 0.0, "color_jitter": 0.4, "color_jitter_prob": None, "grayscale_prob": 0.0,
        "gaussian_blur_prob": 0.0, "auto_augment": None, "interpolation": "bilinear", "re_prob": 0.0,
        "re_mode": "const", "re_count": 1, "re_num_splits": 0, "crop_pct": None, "crop_mode": None,
        "crop_border_pixels": None, "train_crop_mode": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("function", TIMM_DEFAULTS, ids=lambda function: function.__qualname__)
def test_timms_defaults_are_where_we_left_them(function):
    found = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    for name, value in TIMM_DEFAULTS[function].items():
        assert found[name] == value, name


def test_learning_rate_of_every_epoch():
    """Warm-up overwrites ten epochs of the cosine, epoch 0 runs at the warm-up rate, the last ten at the floor."""
    optimizer = build_optimizer(T2T_MEDIUM, torch.nn.Linear(2, 2))
    scheduler = build_scheduler(T2T_MEDIUM, optimizer)
    for epoch in range(T2T_MEDIUM.total_epochs):
        scheduler.step(epoch)
        if epoch < 10:
            expected = 1e-6 + epoch * (5e-4 - 1e-6) / 10
        elif epoch < 300:
            expected = 1e-5 + (5e-4 - 1e-5) * (1 + math.cos(math.pi * epoch / 300)) / 2
        else:
            expected = 1e-5
        for group in optimizer.param_groups:
            assert group["lr"] == pytest.approx(expected, rel=1e-9), epoch
    assert T2T_MEDIUM.total_epochs == 310


def test_the_step_schedule():
    optimizer = build_optimizer(TORCHVISION, torch.nn.Linear(2, 2))
    scheduler = build_scheduler(TORCHVISION, optimizer)
    rates = []
    for epoch in range(90):
        scheduler.step(epoch)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1] * 30 + [0.01] * 30 + [0.001] * 30)


def test_weight_decay_skips_what_the_recipe_says():
    spec = RunSpec(model="t2t_vit_7", model_args=(("depth", 1),), dataset="cifar10", recipe=T2T_LITE, img_size=32)
    network = build_network(spec, 10)
    names = {id(p): name for name, p in network.named_parameters()}
    decayed = {
        names[id(p)]
        for group in build_optimizer(T2T_LITE, network).param_groups
        if group["weight_decay"]
        for p in group["params"]
    }
    assert {"head.weight", "blocks.0.attn.qkv.weight"} <= decayed
    assert not {"cls_token", "pos_embed", "norm.weight", "head.bias", "tokens_to_token.attention1.w"} & decayed
    everything = build_optimizer(TORCHVISION, build_network(imagenet("resnet18", TORCHVISION), 10)).param_groups
    assert all(group["weight_decay"] == 1e-4 for group in everything)
    assert not everything[0]["nesterov"]


def test_a_cnn_takes_drop_path_and_no_img_size():
    network = build_network(imagenet("resnet18", CNN_T2T, img_size=96), 10)
    assert network.layer4[1].drop_path.drop_prob == pytest.approx(0.1)
    assert build_network(imagenet("resnet18", TORCHVISION), 10).layer4[1].drop_path is None


def test_a_network_that_takes_no_drop_path_is_trained_without():
    network = build_network(imagenet("densenet201", CNN_T2T_NO_DROP_PATH), 10)
    assert network.classifier.out_features == 10
    with pytest.raises(RequestError, match=r"vgg11 has no stochastic depth.*drop_path=0\.1; choose --set drop_path=0"):
        build_network(imagenet("vgg11", CNN_T2T), 10)


def test_dropout_is_where_the_authors_drop_rate_puts_it():
    def rates(model, recipe):
        network = build_network(imagenet(model, recipe), 10)
        return network, {
            name: module.p for name, module in network.named_modules() if isinstance(module, torch.nn.Dropout)
        }

    _, january = rates("t2t_vit_7", T2T_MEDIUM_JANUARY)
    block = ("attn.proj_drop", "mlp.drop1", "mlp.drop2")
    behind = {"pos_drop", *(f"blocks.{i}.{name}" for i in range(7) for name in block)}
    assert {name for name, p in january.items() if p and name.startswith(("pos", "blocks"))} == behind
    assert {january[name] for name in behind} == {0.1}
    _, now = rates("t2t_vit_7", T2T_MEDIUM)
    assert not any(p for name, p in now.items() if name in behind)
    resnet, _ = rates("resnet18", CNN_T2T_JANUARY)
    assert resnet.drop_rate == 0.1
    _, alexnet = rates("alexnet", TORCHVISION)
    assert set(alexnet.values()) == {0.5}  # its own


# Fine-tuning


def transfer(**changes):
    """A tiny T2T-ViT as the transfer recipe, perhaps changed, trains it: network and optimizer by parameter."""
    recipe = dataclasses.replace(CIFAR_TRANSFER, drop_path=0.0, **changes)
    args = (("embed_dim", 32), ("depth", 2), ("num_heads", 2))
    spec = RunSpec(model="t2t_vit_7", model_args=args, dataset="cifar10", recipe=recipe, img_size=32)
    network = build_network(spec, 10)
    optimizer = build_optimizer(recipe, network)
    return recipe, network, optimizer


def lrs(network, optimizer):
    """Learning rate now, by name of the parameter."""
    of = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    return {name: of[id(p)] for name, p in network.named_parameters() if id(p) in of}


def test_the_authors_transfer_leaves_class_token_and_final_norm_as_they_were():
    _, network, optimizer = transfer()
    trained = set(lrs(network, optimizer))
    left = {name for name, _ in network.named_parameters()} - trained
    assert left == {"cls_token", "norm.weight", "norm.bias"}
    assert not any(network.get_parameter(name).requires_grad for name in left)
    distilled = RunSpec(model="deit_tiny_distilled_patch16_224", dataset="cifar10", recipe=CIFAR_TRANSFER, img_size=224)
    frozen = {name for name, p in build_network(distilled, 10).named_parameters() if not p.requires_grad}
    assert frozen == {"cls_token", "dist_token", "pos_embed", "norm.weight", "norm.bias"}
    _, network, optimizer = transfer(freeze_class_token_and_norm=False)
    assert {"cls_token", "norm.weight", "norm.bias"} <= set(lrs(network, optimizer))


@pytest.mark.parametrize(("min_scale", "floor"), [(1.0, 2e-4), (0.01, 2e-6)])
def test_the_backbone_learns_slower_and_ends_at_its_own_floor(min_scale, floor):
    """The first is torch's CosineAnnealingLR over groups, as the authors call it; the second its correction."""
    recipe, network, optimizer = transfer(backbone_min_lr_scale=min_scale)
    scheduler = build_scheduler(recipe, optimizer)
    for epoch in (0, 7, 30, 59):
        scheduler.step(epoch)
        found = lrs(network, optimizer)
        for base, low, names in (
            (0.05, 2e-4, ("head.weight", "head.bias")),
            (5e-4, floor, ("blocks.0.attn.qkv.weight", "tokens_to_token.project.bias")),
        ):
            expected = low + (base - low) * (1 + math.cos(math.pi * epoch / 60)) / 2
            for name in names:
                assert found[name] == pytest.approx(expected), (epoch, name)


def test_fine_tuning_decays_all_or_only_matrices():
    for decay_1d in (True, False):
        _, _, optimizer = transfer(decay_1d=decay_1d)
        decay = {(p.ndim == 1, group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
        assert decay == {(False, 5e-4), (True, 5e-4 if decay_1d else 0)}


def test_fine_tuning_spares_the_tokens_that_training_spares():
    """Of a recipe that spares 1-D parameters: the class token too, though it has three dimensions."""
    _, network, optimizer = transfer(decay_1d=False, freeze_class_token_and_norm=False)
    free = {id(p) for group in optimizer.param_groups if not group["weight_decay"] for p in group["params"]}
    assert id(network.cls_token) in free
    assert id(network.head.weight) not in free


def test_images_are_resized_padded_and_cropped():
    transform = train_transform(CIFAR_TRANSFER, 224, KNOWN["cifar10"])
    corner = Image.new("RGB", (32, 32), "white")
    torch.manual_seed(0)
    crops = np.stack([transform(corner).levels for _ in range(40)])
    assert crops.shape == (40, 3, 224, 224)
    black = crops.max(axis=1) == 0  # padding, (40, 224, 224)
    rows = black.all(axis=2).sum(axis=1)
    assert rows.max() > 15
    assert rows.max() <= 28
    assert rows.mean() == pytest.approx(14, abs=5)


def test_padded_images_are_flipped_and_interpolated_bilinearly():
    half = Image.fromarray(np.repeat(np.arange(32, dtype=np.uint8)[None], 32, axis=0) * 8)  # darker on the left
    transform = train_transform(CIFAR_TRANSFER, 64, KNOWN["synthetic"])
    torch.manual_seed(0)
    crops = np.stack([transform(half.convert("RGB")).levels for _ in range(40)])[:, 0, 32]
    rising = (crops[:, 40] > crops[:, 24]).sum()
    assert 10 < rising < 30
    assert (crops % 8 != 0).any()  # between two pixels' values


@pytest.mark.parametrize("setting", ["auto_augment=rand-m9", "random_erasing=0.25", "interpolation=random"])
def test_padding_goes_with_flips_alone(setting):
    with pytest.raises(RequestError, match=r"crop_padding=0.125 goes with flips alone"):
        override(CIFAR_TRANSFER, [setting])


# Identity


def test_specs_from_before_fine_tuning_keep_their_ids_and_are_read(tmp_path):
    spec = imagenet("t2t_vit_14", T2T_MEDIUM)
    save_spec(tmp_path, spec)
    path = tmp_path / "spec.json"
    values = json.loads(path.read_text())
    for name in YOUNGER_FIELDS:
        del values["recipe"][name], values["recipe"]["sources"][name]
    path.write_text(json.dumps(values))
    read = load_spec(tmp_path)
    assert read == spec
    assert read.run_id == spec.run_id
    assert not YOUNGER_FIELDS.keys() & spec.identity()["recipe"].keys()
    transferred = imagenet("t2t_vit_14", CIFAR_TRANSFER).identity()["recipe"]
    assert transferred["crop_padding"] == 0.125
    assert "backbone_min_lr_scale" not in transferred  # as it was before there was one


def test_ids_of_all_registered_runs_are_what_they_were(request):
    """Records, folders and reports go by them; one that changes must be meant to."""
    rows = [run for table in TABLES.values() for row in table.rows for run in row.runs]
    ids = sorted({run.run_id for run in [*rows, *(run for suite in SUITES.values() for run in suite.values())]})
    path = ROOT / "tests/golden/run_ids.txt"
    if request.config.getoption("--update-golden"):
        path.write_text("\n".join(ids) + "\n")
    assert ids == path.read_text().split()


def test_run_id_is_made_of_what_changes_the_result():
    spec = imagenet("t2t_vit_14", T2T_MEDIUM)
    assert spec.run_id.startswith("t2t_vit_14-imagenet-t2t_medium-s42-")
    assert len(spec.run_id.rpartition("-")[2]) == 8
    assert imagenet("t2t_vit_14", dataclasses.replace(T2T_MEDIUM, summary="in other words")).run_id == spec.run_id
    changed = [
        dataclasses.replace(spec, seed=0),
        dataclasses.replace(spec, img_size=384),
        dataclasses.replace(spec, model_args=(("depth", 3),)),
        dataclasses.replace(spec, recipe=override(T2T_MEDIUM, ["global_batch=1024"])),
        dataclasses.replace(spec, recipe=override(T2T_MEDIUM, ["lr=1e-3"])),
    ]
    assert len({spec.run_id, *(s.run_id for s in changed)}) == 6


def test_run_ids_do_not_move():
    """The name of a folder in which somebody's days of training lie."""
    assert imagenet("t2t_vit_14", T2T_MEDIUM).run_id == "t2t_vit_14-imagenet-t2t_medium-s42-69abdc03"


def test_a_spec_survives_json(tmp_path):
    whole_number = dataclasses.replace(T2T_MEDIUM, lr=1)  # 1.0 would be another run
    for spec in (imagenet("t2t_vit_14", whole_number), *SUITES["smoke"].values()):
        save_spec(tmp_path, spec)
        read = load_spec(tmp_path)
        assert read == spec
        assert read.run_id == spec.run_id
        assert plain(read) == (tmp_path / "spec.json").read_text()


def test_override():
    recipe = override(T2T_MEDIUM, ["lr=1e-3", "epochs=15", "decay_1d=true", "auto_augment="])
    assert (recipe.lr, recipe.epochs, recipe.decay_1d, recipe.auto_augment) == (1e-3, 15, True, "")
    assert recipe.sources["lr"] == "--set on the command line"
    assert recipe.sources["weight_decay"] == T2T_MEDIUM.sources["weight_decay"]
    impossible = (
        "epochs=0 epochs=1.5 epochs=1000000 schedule=linear schedule=step ema_decay=1 mixup_mode=all decay_1d=perhaps "
        "lr=nan lr=-1 lr=0 mixup=-1 drop_path=5 crop_pct=0 crop_scale_min=2 warmup_epochs=-3 cooldown_epochs=-3 "
        "optimizer=foo auto_augment=foo random_erasing_mode=foo interpolation=nearest global_batch=0 "
        "auto_augment=rand auto_augment=rand-zzz auto_augment=rand-m9-mstd auto_augment=rand-m-9 auto_augment=v0x "
        "auto_augment=rand-m9-m8 auto_augment=v0-m9 warmup_epochs=311 decay_epochs=30 epochs=3_0 "
        "epochs=\uff11\uff15 lr=\u0661"
    )
    for setting in impossible.split():
        with pytest.raises(RequestError, match=setting.partition("=")[0]):
            override(T2T_MEDIUM, [setting])


@pytest.mark.parametrize(
    "policy", ["rand-m9-mstd0.5-inc1", "rand-m9-n3-p0.3-mmax12", "v0r", "original-mstd0.5", "augmix-m5-w4"]
)
def test_policies_that_timm_takes_whole(policy):
    override(T2T_MEDIUM, [f"auto_augment={policy}"])
    timm.data.create_transform(224, is_training=True, auto_augment=policy)


def test_a_field_is_set_once_and_a_step_comes_within_the_epochs():
    with pytest.raises(RequestError, match="lr is given twice"):
        override(T2T_MEDIUM, ["lr=1e-3", "lr=2e-3"])
    override(T2T_MEDIUM, ["schedule=step", "decay_epochs=30", "decay_rate=0.1"])
    with pytest.raises(RequestError, match="no step comes within 310 epochs"):
        override(T2T_MEDIUM, ["schedule=step", "decay_epochs=310", "decay_rate=0.1"])


def test_small_budgets_never_share_a_run_with_the_paper():
    for row in TABLES[3].rows:
        assert under("paper", row) is row.run
        assert len({row.run.run_id, under("pilot", row).run_id, under("smoke", row).run_id}) == 3


def test_suites_are_of_networks_that_exist():
    for suite in SUITES.values():
        for spec in suite.values():
            assert timm.is_model(spec.model)
    assert recipes.__doc__
