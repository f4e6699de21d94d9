"""The vocabulary of a study: arms that are trained alike, and contests between them that stand for the paper's claims.

A study is data. Its runs are made from it, and what a folder of runs holds of them says how far it is; nothing else
remembers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bench.experiments.grid import Grid, Point, Tried
from bench.experiments.recipes import changed
from bench.spec.errors import unknown
from bench.spec.recipe import Recipe
from bench.spec.run import ModelArgs, Network, RunSpec

WARM_UP = 0.25
"""learning rate of the warm-up, as a part of the peak"""

FLOOR = 0.01
"""least learning rate, likewise"""

EXPECTED = ("better", "worse", "alike", "more")

TOP1, DEAD_CHANNELS = "top1_pct", "dead_pct"
"""what contests are about"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A network, and what it is trained on."""

    key: str = field(kw_only=False)
    """short name, for ``--only`` and the CSV"""
    name: str = field(kw_only=False)
    """as the paper would call it"""
    family: str
    """whose learning rate and weight decay it is trained with"""
    model: str
    model_args: ModelArgs = ()
    core: bool = False
    """whether it is trained where no claim is named"""
    train_fraction: float = 1.0
    """part of the training images"""
    fine_tuned_on: str = ""
    """data set that the trained arm ``starts_from`` is fine-tuned on"""
    starts_from: str = ""
    """key of that arm"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Two arms, and which of them the paper has ahead."""

    arm: str
    against: str
    expects: str
    """what the arm does against the other, by the paper: "better", "worse", or "alike" within ``Study.margin``; "more"
    of its channels are dead"""
    beside: bool = False
    """asked by this study and not by the paper, and so no part of the claim's verdict"""

    def __post_init__(self) -> None:
        if self.expects not in EXPECTED:
            raise unknown("expectation", self.expects, EXPECTED)

    @property
    def of(self) -> str:
        """The quantity that is compared."""
        return DEAD_CHANNELS if self.expects == "more" else TOP1


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Contests that stand for one of the paper's claims, or for a question of the study's own."""

    key: str
    """what ``--claims`` takes: the claim's number, or a word"""
    text: str
    contests: tuple[Contest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One scale of the study: all that is fixed before its first run."""

    scale: str
    title: str
    dataset: str
    img_size: int
    """pixels, square"""
    precision: str
    """of autocast, and so of all its runs"""
    seeds: tuple[int, ...]
    recipe: Recipe
    """of the final runs, but for what the grid chooses or ``recipes`` states"""
    grid: Grid | None
    """None where each family has a recipe of its own"""
    grid_recipe: Recipe
    """of the grid's runs, but for the point"""
    grid_seed: int
    tuned_on: Mapping[str, str]
    """by family, key of the arm that the grid is trained on"""
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    """by family, where there is no grid"""
    arms: tuple[Arm, ...]
    questions: tuple[Question, ...]
    margin: float = 1.0
    """points within which two networks count as alike"""

    def arm(self, key: str) -> Arm:
        """An arm by its key."""
        return next(arm for arm in self.arms if arm.key == key)

    @property
    def core(self) -> tuple[Arm, ...]:
        """The arms of claims 1 to 5."""
        return tuple(arm for arm in self.arms if arm.core)

    def arms_of(self, questions: Sequence[Question]) -> tuple[Arm, ...]:
        """The arms that some questions need, with those that others start from, in the order of the study."""
        contests = [contest for question in questions for contest in question.contests]
        wanted = {key for contest in contests for key in (contest.arm, contest.against)}
        wanted |= {self.arm(key).starts_from for key in wanted}
        return tuple(arm for arm in self.arms if arm.key in wanted)

    @property
    def counted(self) -> tuple[Arm, ...]:
        """The arms whose dead channels are counted once they are trained."""
        contests = [contest for question in self.questions for contest in question.contests]
        keys = {key for each in contests if each.of == DEAD_CHANNELS for key in (each.arm, each.against)}
        return tuple(arm for arm in self.arms if arm.key in keys)

    def network(self, arm: Arm) -> Network:
        """The network of an arm."""
        return Network(arm.model, model_args=arm.model_args, img_size=self.img_size)

    def grid_run(self, family: str, point: Point) -> RunSpec:
        """The run that tries a point of a family's grid."""
        return self._run(self.arm(self.tuned_on[family]), _at(self.grid_recipe, point), self.grid_seed)

    def final_run(self, arm: Arm, chosen: Mapping[str, Point], seed: int) -> RunSpec:
        """An arm's run.

        Args:
            arm: of this study.
            chosen: by family, from the grid.
            seed: of the run, and of what it starts from.
        """
        recipe = _at(self.recipe, chosen[arm.family]) if self.grid else self.recipes[arm.family]
        if arm.train_fraction < 1:
            recipe = _on_fewer(recipe, arm.train_fraction)
        if not arm.starts_from:
            return self._run(arm, recipe, seed)
        parent = self.final_run(self.arm(arm.starts_from), chosen, seed)
        return replace(parent, dataset=arm.fine_tuned_on, recipe=_fine_tuning(recipe), start_from=parent)

    def _run(self, arm: Arm, recipe: Recipe, seed: int) -> RunSpec:
        return RunSpec(
            model=arm.model,
            model_args=arm.model_args,
            dataset=self.dataset,
            recipe=recipe,
            img_size=self.img_size,
            seed=seed,
        )


def _at(recipe: Recipe, point: Point) -> Recipe:
    return changed(
        recipe,
        "this study: chosen from a grid on held-out images; warm-up and floor in proportion",
        lr=point.lr,
        weight_decay=point.weight_decay,
        warmup_lr=float(f"{WARM_UP * point.lr:.9g}") if recipe.warmup_epochs else 0.0,
        min_lr=float(f"{FLOOR * point.lr:.9g}"),
    )


def _on_fewer(recipe: Recipe, part: float) -> Recipe:
    """A recipe for a part of the images in as many steps: so many more epochs."""
    more = changed(
        recipe,
        "this study: as many steps as with all images",
        train_fraction=part,
        epochs=round(recipe.epochs / part),
        warmup_epochs=round(recipe.warmup_epochs / part),
    )
    return replace(
        more, name=f"{recipe.name}_{100 * part:.0f}pct", summary=f"as {recipe.name}, on a part of the images"
    )


def _fine_tuning(recipe: Recipe) -> Recipe:
    tuned = changed(
        recipe,
        "this study: half the epochs from a quarter of the learning rate, without a warm-up",
        epochs=max(1, recipe.epochs // 2),
        warmup_epochs=0,
        lr=float(f"{recipe.lr / 4:.9g}"),
        warmup_lr=0.0,
    )
    return replace(tuned, name=f"{recipe.name}_tune", summary=f"half of {recipe.name}, from trained weights")


class Trained(Protocol):
    """A run's result, from its record."""

    status: str

    @property
    def is_whole(self) -> bool:
        """Whether it was trained to its end on the complete data set."""

    def top1_pct(self, protocol: str, images: str = "") -> float | None:
        """Accuracy by protocol, and on which images."""


def tried(study: Study, family: str, record: Callable[[str], Trained | None]) -> dict[Point, float | None]:
    """The points of a family's grid that were trained or diverged.

    Args:
        study: with a grid.
        family: of it.
        record: of a run, by its id.
    """
    assert study.grid
    found: dict[Point, float | None] = {}
    while True:
        new: dict[Point, float | None] = {}
        for point in study.grid.missing(found):
            run = record(study.grid_run(family, point).run_id)
            if run and run.is_whole:
                new[point] = run.top1_pct("last", "held_out_")
            elif run and run.status == "diverged":
                new[point] = None
        if not new:
            return found
        found |= new


def chosen(study: Study, results: Mapping[str, Tried]) -> dict[str, Point]:
    """The best point of each complete grid, by family.

    Raises:
        ValueError: every point of a grid diverged.
    """
    assert study.grid
    best = {family: study.grid.best(points) for family, points in results.items()}
    return {family: point for family, point in best.items() if point}


def families(study: Study, arms: Sequence[Arm]) -> list[str]:
    """Families of some arms, in the order of the study."""
    return [family for family in study.tuned_on if any(arm.family == family for arm in arms)]
