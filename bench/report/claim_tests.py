"""Tests of the paper's claims on accuracies, with the errors of seeds and of images.

Each test is one-sided at half of ``LEVEL``. The error of a difference has two parts, as in ``statistics``: that of the
seeds, and that of the images, which is paired where predictions of both networks exist and otherwise that of two
independent samples of images, which is larger.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from bench.report.statistics import LEVEL, POWER, Effect, satterthwaite
from bench.results.dead_channels import DeadChannels as Counts
from bench.results.evaluation import binomial_variance
from bench.spec.claim import Comparison, DeadChannels

HOLDS, FAILS, TOO_CLOSE, UNTESTED = "holds", "fails", "too close to tell", "untested"
STATUSES = (FAILS, TOO_CLOSE, UNTESTED, HOLDS)
"""of a claim or of one of its comparisons"""

SEED_STD_PCT = 0.12
"""Standard deviation over seeds of an accuracy that was trained once, in points.

MMPretrain retrained three T2T-ViTs and got 0.14, 0.19 and 0.16 points more than the authors' files have
(bench/paper/reported.py): two runs whose standard deviation is 0.12 differ by so much, as a root mean square."""

_TEXT_UNIT = 0.05
"""half of the last digit that the text prints, in points or %"""

_TABLE_UNIT = 0.1
"""largest rounding error of the difference of two printed accuracies, in points"""

MOST_SEEDS = 50
"""of each network, beyond which ``seeds_needed`` looks no further"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An accuracy, and how it came about."""

    mean_pct: float
    seeds: int
    std_pct: float | None
    """over the seeds, as a sample; None of one seed, whose deviation is taken to be ``SEED_STD_PCT``"""
    images: int

    @property
    def binomial(self) -> float:
        """Variance from the images, in points squared."""
        return binomial_variance(self.mean_pct, self.images)

    @property
    def seed_variance(self) -> tuple[float, float]:
        """Variance of the mean from the seeds, in points squared, and its degrees of freedom."""
        if self.std_pct is None:
            return SEED_STD_PCT**2 / self.seeds, math.inf
        return self.std_pct**2 / self.seeds, self.seeds - 1


def effect_of(first: Estimate, second: Estimate, paired: Effect | None = None) -> Effect:
    """Estimate the difference of two accuracies.

    Args:
        first: of one network.
        second: of the other.
        paired: an effect from both networks' predictions, for its variance over images; without it, the images are
            taken to be independent.
    """
    sources = [first.seed_variance, second.seed_variance]
    of_images = first.binomial + second.binomial if paired is None else paired.image_variance
    return Effect(
        difference_pct=first.mean_pct - second.mean_pct,
        seeds=(first.seeds, second.seeds),
        images=first.images,
        seed_variance=sum(variance for variance, _ in sources),
        image_variance=of_images,
        df=satterthwaite([*sources, (of_images, first.images - 1)]),
        pooled=False,
        homogeneity_p=None,
    )


def dead_channels_effect(first: Counts, second: Counts | None = None) -> Effect | None:
    """Estimate a network's share of dead channels, or its difference to another's, with the error of the images.

    The images of two networks are compared one by one. Each network was trained once, and nothing is known of how its
    share varies from seed to seed: the error is that of these weights.

    Returns:
        None if the two networks were not looked at on the same images.
    """
    shares = np.array(first.shares)
    if second is not None:
        if (first.images_sha256, first.images) != (second.images_sha256, second.images):
            return None
        shares = shares - np.array(second.shares)
    return Effect(
        difference_pct=float(100 * shares.mean()),
        seeds=(1, 1),
        images=len(shares),
        seed_variance=0.0,
        image_variance=float((100 * shares).var(ddof=1) / len(shares)) if len(shares) > 1 else 0.0,
        df=len(shares) - 1,
        pooled=False,
        homogeneity_p=None,
    )


def excess_of(first: Effect, second: Effect) -> Effect:
    """Estimate by how much one effect exceeds another, of other networks on the same images.

    The errors of the images are added, as if each effect had images of its own, which makes them larger.
    """
    sources = [(each.seed_variance + each.image_variance, each.df) for each in (first, second)]
    return replace(
        first,
        difference_pct=first.difference_pct - second.difference_pct,
        seed_variance=first.seed_variance + second.seed_variance,
        image_variance=first.image_variance + second.image_variance,
        df=satterthwaite(sources),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The outcome of a comparison."""

    status: str
    p_fails: float = 1.0
    """one-sided p value against the hypothesis that the comparison is as claimed; 1 where nothing was tested"""


def judge(
    comparison: Comparison | DeadChannels,
    value: float | None,
    effect: Effect | None = None,
    *,
    is_printed: bool = False,
) -> Judgement:
    """Judge a comparison by a value.

    A threshold holds or fails if a test says so. "Little" holds if two tests keep the difference within the range, and
    fails if one puts it outside: a wide interval does neither. A printed number, or a range of them, holds if the
    direction is sure and the value does not contradict the number; what contradicts it is tested with the error of the
    seeds behind the printed number, too.

    Args:
        comparison: the claim's.
        value: the difference or ratio; None where a number is missing.
        effect: its error; None for a count, which has none.
        is_printed: whether the value comes from the paper's own tables, which can contradict the text by more than
            their rounding but are no second sample.
    """
    if value is None or math.isnan(value):
        return Judgement(status=UNTESTED)
    is_number = comparison.low is not None and comparison.high is not None and not is_margin(comparison)
    unit = _TEXT_UNIT if is_number else 0.0
    low = -math.inf if comparison.low is None else comparison.low - unit
    high = math.inf if comparison.high is None else comparison.high + unit
    if effect is None:
        inside = low < value < high
        return Judgement(status=HOLDS if inside else FAILS, p_fails=float(inside))
    if is_number:
        return _against_a_number(effect, low, high, is_printed=is_printed)
    p_holds = max(effect.p_above(low), effect.p_below(high))
    p_fails = min(effect.p_above(high), effect.p_below(low))
    return Judgement(status=_status(p_holds, p_fails), p_fails=p_fails)


def is_margin(comparison: Comparison | DeadChannels) -> bool:
    """Whether a claim is that a difference stays within a range about zero, and so that something changes little."""
    low, high = comparison.low, comparison.high
    return low is not None and high is not None and low <= 0 <= high


def _against_a_number(effect: Effect, low: float, high: float, *, is_printed: bool) -> Judgement:
    value = effect.difference_pct
    ahead, behind = (effect.p_above(0), effect.p_below(0)) if low > 0 else (effect.p_below(0), effect.p_above(0))
    if is_printed:
        outside = float(low - _TABLE_UNIT <= value <= high + _TABLE_UNIT)
    else:
        noisy = replace(effect, seed_variance=effect.seed_variance + 2 * SEED_STD_PCT**2)
        outside = min(noisy.p_above(high), noisy.p_below(low))
    p_fails = min(behind, outside)
    return Judgement(status=_status(ahead, p_fails), p_fails=p_fails)


def _status(p_holds: float, p_fails: float) -> str:
    if p_fails <= LEVEL / 2:
        return FAILS
    return HOLDS if p_holds <= LEVEL / 2 else TOO_CLOSE


def of_claim(judgements: Iterable[Judgement]) -> str:
    """Judge a claim by all its comparisons.

    It holds if each of them does. It fails if one does after Holm's correction for their number, since one is enough.
    """
    listed = list(judgements)
    tested = [one.p_fails for one in listed if one.status != UNTESTED]
    # The smallest of Holm's adjusted values is the smallest p value times their number.
    if tested and min(tested) * len(tested) <= LEVEL / 2:
        return FAILS
    statuses = {TOO_CLOSE if one.status == FAILS else one.status for one in listed}
    return min(statuses, key=STATUSES.index)


def seeds_needed(comparison: Comparison, printed: Effect) -> int | None:
    """Number of seeds of each network that would decide a comparison with probability ``POWER``.

    The printed difference is taken to be the true one, and ``SEED_STD_PCT`` the deviation over seeds.

    Returns:
        The number, from 2; None where more than ``MOST_SEEDS`` would be needed, as where the error of the images alone
        is too large or the printed difference is at the bound.
    """
    from scipy import special

    value, low, high = printed.difference_pct, comparison.low, comparison.high
    if is_margin(comparison):
        distance = min(value - low, high - value)  # type: ignore[operator]
    elif low is not None and high is not None:
        distance = abs(value)
    else:
        bound = low if low is not None else high
        assert bound is not None
        distance = abs(value - bound)
    power = (1 + POWER) / 2 if is_margin(comparison) else POWER
    accuracies = 4 if comparison.less else 2
    for seeds in range(2, MOST_SEEDS + 1):
        of_seeds = accuracies * SEED_STD_PCT**2 / seeds
        se = math.sqrt(of_seeds + printed.image_variance)
        df = satterthwaite([(of_seeds, accuracies * (seeds - 1)), (printed.image_variance, printed.images - 1)])
        if (special.stdtrit(df, 1 - LEVEL / 2) + special.stdtrit(df, power)) * se <= distance:
            return seeds
    return None
