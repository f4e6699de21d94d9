"""The model card of an exported network: what its run's record knows, and nothing else."""

import dataclasses
from dataclasses import dataclass

from bench.report.evidence import record_file
from bench.report.text import DASH, code, command, escape
from bench.results.evaluation import binomial_variance
from bench.results.record import RunRecord
from bench.spec.contents import DATASETS
from bench.spec.recipe import UNUSED
from bench.spec.run import RunSpec

HUB_DATASETS = {
    "imagenet": "ILSVRC/imagenet-1k",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
}
"""data sets by their names on the Hugging Face Hub"""

_LABELS = {"raw": "raw", "ema": "averaged (EMA)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A run with the files that were written of it."""

    spec: RunSpec
    record: RunRecord
    weights: str
    """``raw`` or ``ema``"""
    weights_file: str
    weights_sha256: str
    checkpoint: str
    """file of the run that the weights are from"""
    checkpoint_sha256: str
    is_timms_own: bool
    """whether timm knows the network without ``import models``"""


def model_card(card: Card) -> str:
    """The card in Markdown, with the front matter that the hub reads."""
    spec = card.spec
    sections = [
        _front_matter(spec),
        f"# {escape(str(spec.network))}, {escape(spec.dataset)}",
        "Trained with t2t-bench, a reproducibility suite for the [T2T-ViT paper](https://arxiv.org/abs/2101.11986), as "
        f"run {code(spec.run_id)}. The weights are the {_LABELS[card.weights]} ones of the last epoch.",
        "## Accuracy",
        _accuracy(card),
        "## Use",
        _use(card),
        "## Data",
        _data(card.record, spec),
        "## Training",
        _training(card),
        "## Evidence",
        _evidence(card),
        "## Publishing",
        f"This folder has not been published by the program that wrote it. To publish it:\n\n"
        f"{command('hf', 'upload', 'USER/NAME', '.')}\n\n"
        "The code of t2t-bench has the MIT license. The weights have none yet: add `license:` to the top of this file. "
        "The data set's own terms may apply.",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(spec: RunSpec) -> str:
    lines = ["library_name: timm", "pipeline_tag: image-classification", "tags:", "- image-classification", "- timm"]
    name = HUB_DATASETS.get(spec.dataset) or (spec.dataset[5:] if spec.dataset.startswith("hfds/") else "")
    lines += ["datasets:", f"- {name}"] if name else []
    return "\n".join(["---", *lines, "---"])


def _accuracy(card: Card) -> str:
    spec, record = card.spec, card.record
    count = 0 if record.unreadable else int(str(record.data.get("val_images", 0)))
    lines = ["| images | top-1 % | top-5 % |", "|---|---:|---:|"]
    for images, prefix, seen in (("validation", "", count), ("held out of training", "held_out_", 0)):
        top1, top5 = (record.results.get(f"{prefix}{card.weights}_last_{name}_pct") for name in ("top1", "top5"))
        if top1 is not None:
            error = f" ± {binomial_variance(top1, seen) ** 0.5:.2f}" if seen else ""
            of = f"{images} ({seen:,})" if seen else images
            lines.append(f"| {of} | {top1:.2f}{error} | {DASH if top5 is None else f'{top5:.2f}'} |")
    protocol = (
        f"± is the binomial standard error over the images, of this one run with seed {spec.seed}. Images of "
        f"{spec.img_size} px, center crop with crop_pct {spec.recipe.crop_pct:g}, {spec.recipe.eval_interpolation} "
        f"interpolation; computed in {record.precision or 'an unrecorded precision'}."
    )
    return "\n".join(lines) + f"\n\n{protocol}{_caveats(record, spec)}"


def _caveats(record: RunRecord, spec: RunSpec) -> str:
    caveats = ""
    if not record.data.get("complete"):
        known = DATASETS.get(spec.dataset)
        whole = f" of {known.val_images:,}" if known else ""
        caveats += f" **Not the whole data set**: {record.data.get('val_images')}{whole} validation images."
    if record.unreadable:
        caveats += f" {len(record.unreadable)} images failed to load."
    return caveats


def _use(card: Card) -> str:
    registers = "" if card.is_timms_own else "import models  # of t2t-bench: registers the network with timm\n"
    return (
        f"```python\nimport timm\n{registers}\n"
        'net = timm.create_model("hf-hub:USER/NAME", pretrained=True).eval()\n'
        "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(net), is_training=False)\n```\n\n"
        "From this folder, before it is published: `local-dir:PATH` in place of `hf-hub:USER/NAME`."
    )


def _data(record: RunRecord, spec: RunSpec) -> str:
    data, fingerprint = record.data, record.fingerprint
    used = data.get("trained_images", data.get("train_images"))
    lines = [
        f"- {escape(spec.dataset)}, {data.get('classes', DASH)} classes",
        f"- {used} training images, of {data.get('train_images', DASH)} found",
        f"- {data.get('val_images', DASH)} validation images",
    ]
    if fingerprint:
        lines += [
            f"- fingerprint, over {fingerprint.basis}: training {code(fingerprint.train_sha256[:16])}, validation "
            f"{code(fingerprint.val_sha256[:16])}"
        ]
    return "\n".join(lines)


def _training(card: Card) -> str:
    spec, record, recipe = card.spec, card.record, card.spec.recipe
    start = spec.start_from.run_id if spec.start_from else str(spec.weights or "random weights")
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    dirty = ", with uncommitted changes" if record.git.get("dirty") else ""
    facts = [
        f"- recipe {code(recipe.name)}: {escape(recipe.summary)}",
        f"- seed {spec.seed}; {record.epochs} epochs; started from {code(start)}",
        *([f"- teacher {code(str(spec.teacher))}"] if spec.teacher else []),
        f"- {escape(record.device)}, {record.world_size} process{'es' if record.world_size != 1 else ''}, "
        f"{record.wall_time_s / 3600:.2f} hours",
        f"- commit {code(str(record.git['commit']))}{dirty}" if record.git.get("commit") else "- commit not recorded",
        f"- {escape(versions)}",
    ]
    rows = [
        f"| {field.name} | {escape(str(getattr(recipe, field.name)))} |"
        for field in dataclasses.fields(recipe)
        if field.compare and field.name != "name" and not recipe.sources[field.name].startswith(UNUSED)
    ]
    return "\n".join([*facts, "", "| setting | value |", "|---|---|", *rows])


def _evidence(card: Card) -> str:
    file = record_file(card.spec.run_id)
    return "\n".join(
        [
            f"- [{file}]({file}): the run's record, with its accuracies and history; beside it its recipe, with the "
            "source of each value, and its metrics by epoch",
            f"- {code(card.weights_file)}: sha256 {code(card.weights_sha256)}",
            f"- the run's checkpoint {code(card.checkpoint)}: sha256 {code(card.checkpoint_sha256)}",
        ]
    )
