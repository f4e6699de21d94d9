"""Build the parts of a run with timm (network, optimizer, scheduler, mixup, averaged weights), every value passed."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import Mixup
from timm.data.random_erasing import RandomErasing
from timm.optim import create_optimizer_v2, param_groups_weight_decay
from timm.scheduler import create_scheduler_v2
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from bench.spec.errors import RequestError, unknown
from bench.spec.recipe import Recipe
from bench.spec.run import Network, RunSpec, Teacher
from models.checkpoints import (  # importing models registers its networks with timm
    CheckpointError,
    head_parameters,
    load_into,
    read_checkpoint,
)

OURS = ("t2t_vit", "vit", "cnn")
"""modules of ``models`` that register networks"""


def create_network(
    network: Network, create: Callable[..., nn.Module] = timm.create_model, **arguments: Any
) -> nn.Module:
    """A network by name, for square images of its size.

    Args:
        network: what ``timm.create_model`` knows, ``models`` included; the image size is told to the factories that
            want to know.
        create: builds it; another implementation takes the same arguments.
        arguments: further ones of the factory; the network's own outrank them.

    Raises:
        RequestError: no such network.
    """
    if not timm.is_model(network.model):
        ours = [name for module in OURS for name in timm.list_models(module=module)]
        raise unknown("model", network.model, ours, "timm.list_models() prints the names timm adds")
    # Networks with positions want the size when they are built; a CNN's factory fails on the argument.
    cfg = timm.get_pretrained_cfg(network.model)
    if cfg is not None and cfg.fixed_input_size:
        arguments["img_size"] = network.img_size
    return create(network.model, **arguments | dict(network.model_args))


def build_network(spec: RunSpec, num_classes: int, create: Callable[..., nn.Module] = timm.create_model) -> nn.Module:
    """The spec's network with a fresh head for ``num_classes``, frozen where its recipe freezes; as ``create_network``.

    Raises:
        RequestError: no such network, or one without the stochastic depth that the recipe asks for.
    """
    asked = {"drop_path_rate": spec.recipe.drop_path, "drop_rate": spec.recipe.dropout}
    rates = {argument: rate for argument, rate in asked.items() if rate}
    try:
        network = create_network(spec.network, create, num_classes=num_classes, **rates)
    except TypeError as error:
        if "drop_path_rate" not in str(error):
            raise
        raise RequestError(
            f"{spec.network} has no stochastic depth, but recipe {spec.recipe.name!r} asks for "
            f"drop_path={spec.recipe.drop_path}; choose --set drop_path=0"
        ) from error
    if spec.teacher:
        if getattr(network, "dist_token", None) is None:
            raise RequestError(
                f"{spec.network} has no distillation token to learn from {spec.teacher}; choose a network with one, as "
                "t2t_vit_7_distilled"
            )
        network.set_distilled_training(True)  # type: ignore[operator]  # both logits, in training
    if spec.recipe.freeze_class_token_and_norm:
        for name in ("cls_token", "dist_token", "pos_embed", "norm"):
            part = getattr(network, name, None)
            if part is not None:
                part.requires_grad_(False)
    return network


class _Renormalised(nn.Module):
    """A network that sees images as it was trained to, given them as another was."""

    def __init__(self, network: nn.Module, given: Sequence[Sequence[float]], wanted: Sequence[Sequence[float]]) -> None:
        super().__init__()
        self.network = network
        self.scale: Tensor
        self.shift: Tensor
        (mean, std), (own_mean, own_std) = (torch.tensor(values)[..., None, None] for values in (given, wanted))
        self.register_buffer("scale", std / own_std)  # (3, 1, 1)
        self.register_buffer("shift", (mean - own_mean) / own_std)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) to logits (B, K)."""
        return self.network(images * self.scale + self.shift)


def build_teacher(
    teacher: Teacher,
    path: Path,
    num_classes: int | None,
    img_size: int,
    normalisation: tuple[Sequence[float], Sequence[float]],
) -> nn.Module:
    """Build a teacher with its trained weights, in evaluation mode.

    Args:
        teacher: names it. One of a file is taken to be trained on images normalised as the student's are; of timm's
            it is known.
        path: of its weights.
        num_classes: that it must know; None for as many as its architecture is registered with, or others.
        img_size: of the images that it will see, in pixels.
        normalisation: mean that was subtracted from them and deviation by which they were divided, by channel.

    Raises:
        RequestError: no such network, weights that are not its own, or of a head for other classes.
    """
    classes: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
    try:
        network = create_network(Network(teacher.model, img_size=img_size), **classes)
    except (AssertionError, TypeError, ValueError, RuntimeError) as error:  # as timm's factories raise them
        reason = " ".join(str(error).split())
        raise RequestError(f"teacher {teacher} takes no images of {img_size} px: {reason}; choose another") from error
    try:
        fit = load_into(network, read_checkpoint(path))
    except CheckpointError as error:
        raise RequestError(f"teacher {teacher}: {error}") from error
    except OSError as error:
        raise RequestError(f"teacher {teacher}: {path}: {error.strerror}; restore the file") from error
    if fit.left_out and num_classes is not None:
        raise RequestError(
            f"teacher {teacher} knows other classes than the {num_classes} of this data set; choose one that was "
            "trained on it"
        )
    cfg = None if teacher.weights else timm.get_pretrained_cfg(teacher.model)
    if cfg and (tuple(cfg.mean), tuple(cfg.std)) != (tuple(normalisation[0]), tuple(normalisation[1])):
        network = _Renormalised(network, normalisation, (cfg.mean, cfg.std))
    return network.requires_grad_(False).eval()


def build_optimizer(recipe: Recipe, network: nn.Module, *, fused: bool = True) -> torch.optim.Optimizer:
    """timm's optimizer with its parameter groups.

    Args:
        recipe: its values.
        network: on the device.
        fused: one kernel over all parameters: 3 to 6 times as fast as a loop over them on two cores, and under a
            GradScaler it decides on the device whether to skip a step. A resumed run keeps its checkpoint's choice.
    """
    options: dict[str, Any] = (
        {"betas": (recipe.momentum, 0.999), "eps": 1e-8}
        if recipe.optimizer == "adamw"
        else {"momentum": recipe.momentum}
    )
    common: dict[str, Any] = {
        "opt": recipe.optimizer,
        "lr": recipe.lr,
        "weight_decay": recipe.weight_decay,
        "fused": fused,
        **options,
    }
    if (recipe.backbone_lr_scale, recipe.backbone_min_lr_scale) == (1, 1):
        return create_optimizer_v2(network, filter_bias_and_bn=not recipe.decay_1d, **common)
    return create_optimizer_v2(_fine_tuning_groups(recipe, network), **common)


def _fine_tuning_groups(recipe: Recipe, network: nn.Module) -> list[dict[str, Any]]:
    """Head and backbone, each once with weight decay and, if the recipe spares some parameters, once without."""
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    in_head = {id(named[name]) for name in head_parameters(network, named)}
    by_decay: list[dict[str, Any]]
    if recipe.decay_1d:
        by_decay = [{"params": list(named.values()), "weight_decay": recipe.weight_decay}]
    else:
        spared = network.no_weight_decay() if hasattr(network, "no_weight_decay") else ()  # type: ignore[operator]
        by_decay = param_groups_weight_decay(network, recipe.weight_decay, no_weight_decay_list=spared)
    # timm's schedulers multiply a group's whole curve by its lr_scale, floor included, and start the curve at the
    # group's own lr: between them any pair of scales can be had.
    scale = recipe.backbone_min_lr_scale
    backbone = {"lr": recipe.lr * recipe.backbone_lr_scale / scale, "lr_scale": scale}
    return [
        group | {"params": parameters} | ({} if is_head else backbone)
        for group in by_decay
        for is_head in (False, True)
        if (parameters := [p for p in group["params"] if (id(p) in in_head) == is_head])
    ]


def build_scheduler(recipe: Recipe, optimizer: torch.optim.Optimizer) -> Any:
    """timm's scheduler, stepped once before each epoch.

    The warm-up overwrites the first epochs of the curve, as in the authors' runs: epoch 0 runs wholly at the
    warm-up learning rate.
    """
    # It warns that a cosine over one epoch anneals nothing, which whoever asks for one epoch knows.
    logging.getLogger("timm.scheduler.cosine_lr").setLevel(logging.ERROR)
    scheduler, epochs = create_scheduler_v2(
        optimizer,
        sched=recipe.schedule,
        num_epochs=recipe.epochs,
        decay_epochs=recipe.decay_epochs,
        decay_rate=recipe.decay_rate,
        cooldown_epochs=recipe.cooldown_epochs,
        min_lr=recipe.min_lr,
        warmup_lr=recipe.warmup_lr,
        warmup_epochs=recipe.warmup_epochs,
        warmup_prefix=False,
        noise=None,  # type: ignore[arg-type]  # timm's own default
        cycle_mul=1.0,
        cycle_decay=1.0,
        cycle_limit=1,
        k_decay=1.0,
        step_on_epochs=True,
    )
    assert scheduler is not None
    assert epochs == recipe.total_epochs or recipe.schedule != "cosine", (epochs, recipe.total_epochs)
    return scheduler


def build_mixup(recipe: Recipe, num_classes: int) -> Mixup | None:
    """timm's mixup and cutmix, or None where the recipe has neither."""
    if not (recipe.mixup or recipe.cutmix):
        return None
    return Mixup(
        mixup_alpha=recipe.mixup,
        cutmix_alpha=recipe.cutmix,
        cutmix_minmax=None,
        prob=recipe.mixup_prob,
        switch_prob=recipe.mixup_switch_prob,
        mode=recipe.mixup_mode,
        correct_lam=True,
        label_smoothing=recipe.label_smoothing,
        num_classes=num_classes,
    )


def build_erasing(recipe: Recipe, device: torch.device) -> RandomErasing | None:
    """timm's random erasing of images on the device, or None where the recipe erases before mixing, or not at all."""
    if not (recipe.erase_after_mixing and recipe.random_erasing):
        return None
    return RandomErasing(
        probability=recipe.random_erasing,
        min_area=0.02,
        max_area=1 / 3,
        min_aspect=0.3,
        max_aspect=None,
        mode=recipe.random_erasing_mode,
        min_count=1,
        max_count=1,
        num_splits=0,
        device=str(device),
    )


class _Ema(ModelEmaV3):
    """timm's averaged weights of one network, whose tensors are paired once instead of at each step."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(
            network, decay=decay, min_decay=0.0, update_after_step=0, use_warmup=False, exclude_buffers=False
        )
        self._averages: list[Tensor] = []
        self._weights: list[Tensor] = []
        self._counts: list[Tensor] = []
        self._their_counts: list[Tensor] = []
        for ours, theirs in zip(self.module.state_dict().values(), network.state_dict().values(), strict=True):
            averaged = ours.is_floating_point()
            (self._averages if averaged else self._counts).append(ours)
            (self._weights if averaged else self._their_counts).append(theirs)

    def apply_update_(self, model: nn.Module, decay: float) -> None:
        torch._foreach_lerp_(self._averages, self._weights, weight=1 - decay)
        if self._counts:
            torch._foreach_copy_(self._counts, self._their_counts)


def build_ema(recipe: Recipe, network: nn.Module) -> ModelEmaV3 | None:
    """timm's averaged weights, with a constant decay from the first step on, or None where the recipe has none."""
    return _Ema(network, recipe.ema_decay) if recipe.ema_decay else None


def automatic_precision(device: torch.device) -> str:
    """bfloat16 where the hardware multiplies it, else float16 on a GPU, else float32."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    capabilities = torch.cpu.get_capabilities()
    return "bfloat16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "float32"
