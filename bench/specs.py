"""The vocabulary of the suite: what a row, a run and a measurement are. Standard library only."""

import datetime
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CELLS = ("top1_pct", "params_m", "macs_g")


class RequestError(Exception):
    """The request cannot be met as made: one line with the value, the choices and the remedy (exit code 2)."""


def unknown(kind: str, value: object, choices: Iterable[object], remedy: str = "") -> RequestError:
    """The error for a value that is none of the choices, with the likeliest one named."""
    names = [str(choice) for choice in choices]
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(str(value).lower(), by_lower, n=1)
    hint = f"; did you mean {by_lower[close[0]]!r}?" if close else ""
    return RequestError(
        f"unknown {kind} {str(value)!r}{hint} (choose from {', '.join(names)})" + (f"; {remedy}" if remedy else "")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One printing of the paper's numbers."""

    key: str
    """what ``--edition`` takes"""
    name: str
    citation: str
    amends: "Edition | None" = None
    """the edition whose figures hold for rows that this one does not print"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One row's figures as an edition prints them; None where it prints none."""

    top1_pct: float | None = None
    params_m: float | None = None
    macs_g: float | None = None
    why: Mapping[str, str] = field(default_factory=dict)
    """the reason we hold, by cell, for a figure that our measurement contradicts"""

    def __post_init__(self) -> None:
        for cell in self.why:
            if cell not in CELLS or getattr(self, cell) is None:
                raise ValueError(f"a reason needs a printed figure beside it: {cell!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a row's published accuracy was trained."""

    name: str
    summary: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One training run: everything that changes its result."""

    model: str
    """name that ``timm.create_model`` knows once ``models`` is imported"""
    dataset: str
    recipe: Recipe
    img_size: int
    """pixels, square"""


def imagenet(model: str, recipe: Recipe, *, img_size: int = 224) -> RunSpec:
    """A run from scratch on ImageNet-1k."""
    return RunSpec(model=model, dataset="imagenet", recipe=recipe, img_size=img_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of one of the paper's tables."""

    name: str = field(kw_only=False)
    """as the paper prints it"""
    run: RunSpec
    published: Mapping[Edition, Published]
    curve: str
    """line of the table's picture that the row belongs to"""
    point: str
    """label of the row on that line"""

    def figures(self, edition: Edition) -> tuple[Published, Edition]:
        """The row's figures in an edition, and the edition that printed them."""
        holder: Edition | None = edition
        while holder is not None:
            if holder in self.published:
                return self.published[holder], holder
            holder = holder.amends
        return Published(), edition


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the paper."""

    number: int
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """Size and cost of one network at one resolution, batch 1, with the evidence for it."""

    model: str
    img_size: int
    """pixels, square"""
    params: int
    """all parameters, frozen ones included"""
    trainable_params: int
    macs: int
    """multiply-adds as fvcore counts them: linear, convolution, matrix products, norms, pooling"""
    linear_macs: int
    """the part in linear layers and convolutions alone"""
    torch_macs: int
    """the cross-check: torch's FlopCounterMode, which sees no norms and no pooling, halved"""
    macs_by_operator: Mapping[str, int]
    uncounted_operators: Mapping[str, int]
    """operators that no counter knows, with how often they ran"""
    versions: Mapping[str, str]
    """of python and of the libraries that decide the count"""
    source: str
    """Python package that defines the network"""
    source_sha256: str
    """over the suite's own code behind the figures"""
    machine: str
    measured_at: str
    """UTC, ISO 8601"""

    def __post_init__(self) -> None:
        counts = (self.img_size, self.params, self.trainable_params, self.macs, self.linear_macs, self.torch_macs)
        tables = (*self.macs_by_operator.items(), *self.uncounted_operators.items())
        texts = (self.model, self.source, self.source_sha256, self.machine, *self.versions.values())
        if not all(type(count) is int and count >= 0 for count in (*counts, *(count for _, count in tables))):
            raise ValueError(f"counts of {self.model!r} must be whole numbers from 0")
        if not (self.params and self.params >= self.trainable_params and self.macs >= self.linear_macs):
            raise ValueError(f"counts of {self.model!r} contradict each other")
        if not all(type(text) is str for text in texts):
            raise ValueError(f"names and versions of {self.model!r} must be text")
        datetime.datetime.fromisoformat(self.measured_at)
