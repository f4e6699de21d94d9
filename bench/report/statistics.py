"""The uncertainty of a difference between two networks, when both seeds and test images are random.

Legend: S seeds of a network, n test images. The hits of a network are (S, n): whether a seed's weights are right on an
image. Accuracies are in %, differences in points, variances in points squared.

The hit of seed s on image i is m + b_i + u_s + e_si: the network's expected accuracy over all seeds and all images,
what the image adds over all seeds, what the seed adds over all images, and the rest. Seeds belong to one network; the
images are the same for both, so that they are compared image by image. The difference of two means over seeds then has
the variance

    V = s_a^2 / S_a + s_b^2 / S_b + (var_i(d_i) - e_a / S_a - e_b / S_b) / n

where s^2 is the variance of the accuracy over seeds on these images (u_s, and the mean of e_si), d_i the difference of
the two networks' hits on image i, averaged over their seeds, and e the mean square of the residuals e_si, which
var_i(d_i) / n contains as s^2 / S does: taken off, they count once. Networks are what readers are in radiology, nested
in the modality that they read with, and the images are the cases: Obuchowski and Rockette, Communications in
Statistics - Simulation 24 (1995); Hillis, Statistics in Medicine 26 (2007).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# SciPy is imported where it computes. The t distribution is that of scipy.special: scipy.stats, which calls it, takes
# longer to import.

Hits = np.ndarray[Any, np.dtype[np.bool_]]

Shares = np.ndarray[Any, np.dtype[np.float64]]
"""(S, n) numbers from 0 to 1 in the place of hits: the share of a network's channels that are dead on an image"""

LEVEL = 0.05
"""of an interval, and of the two one-sided tests beside it together"""

POWER = 0.8
"""at which a difference counts as one that could have been seen"""

HOMOGENEITY_LEVEL = 0.1
"""of the test that refuses to pool; above the usual 5 %, since a pool of unlike variances is the worse mistake"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The difference of two networks' expected accuracies, as it was estimated."""

    difference_pct: float
    """points, the first network's mean over seeds minus the second's"""
    seeds: tuple[int, int]
    images: int
    seed_variance: float
    """the part of the variance of the difference that more seeds would make smaller"""
    image_variance: float
    """the part that more test images would make smaller"""
    df: float
    """degrees of freedom of the two together, by Satterthwaite; 0 where no network has two seeds"""
    pooled: bool
    """whether the variance over seeds is the pool's; else it is these two networks' own (Welch)"""
    homogeneity_p: float | None
    """of Bartlett's test on the pool; None where it was not tested"""

    @property
    def is_known(self) -> bool:
        """Whether there is an error to compare the difference with."""
        return self.df > 0 and self.se_pct > 0

    @property
    def se_pct(self) -> float:
        """Standard error of the difference, in points."""
        return math.sqrt(self.seed_variance + self.image_variance)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Confidence interval of the difference at 1 - level; all numbers where no error is known."""
        if not self.is_known:
            return -math.inf, math.inf
        from scipy import special

        half = float(special.stdtrit(self.df, 1 - level / 2)) * self.se_pct
        return self.difference_pct - half, self.difference_pct + half

    def p_above(self, bound: float) -> float:
        """One-sided p value of the hypothesis that the difference is at most ``bound``."""
        return self._p(self.difference_pct - bound)

    def p_below(self, bound: float) -> float:
        """One-sided p value of the hypothesis that the difference is at least ``bound``."""
        return self._p(bound - self.difference_pct)

    def _p(self, beyond: float) -> float:
        from scipy import special

        return float(special.stdtr(self.df, -beyond / self.se_pct)) if self.is_known else 1.0

    def detectable_difference(self, level: float = LEVEL, *, alike: bool = False) -> float:
        """The smallest difference that a test would have found with probability ``POWER``, in points.

        Args:
            level: of the two one-sided tests together.
            alike: give instead the smallest margin within which equal networks would have been shown to agree.
        """
        if not self.is_known:
            return math.inf
        from scipy import special

        power = (1 + POWER) / 2 if alike else POWER  # both of two tests must reject
        return float(special.stdtrit(self.df, 1 - level / 2) + special.stdtrit(self.df, power)) * self.se_pct


def compare(first: Hits | Shares, second: Hits | Shares, others: Sequence[Hits] | None = None) -> Effect:
    """Estimate the effect of one network against another on the same images.

    Beside others, the variance over seeds is pooled over all of them unless Bartlett's test finds them unlike.
    Bartlett's, and not Levene's: an accuracy is a mean over thousands of images and so close to normal, and about the
    median of three seeds Levene's test sees next to nothing. Of three seeds Bartlett's test sees little, too: two equal
    networks that vary twice as much as the others are told apart in up to 15 % of the cases instead of 5 %. So Welch's
    comparison, which assumes nothing and sees less, belongs beside a pooled one.

    Args:
        first: (S_a, n).
        second: (S_b, n).
        others: hits of further networks whose variance over seeds should be the same; None for Welch's comparison, by
            these two networks' own variances.

    Raises:
        ValueError: not on the same images.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"{first.shape[1]} and {second.shape[1]} images do not compare one by one")
    n = first.shape[1]
    own = [first, second]
    pooled_over = [*own, *(() if others is None else others)]
    p = None if others is None else homogeneity(pooled_over)
    pooled = others is not None and (p is None or p >= HOMOGENEITY_LEVEL or min(len(first), len(second)) < 2)
    parts = [_pooled_variance(pooled_over)] * 2 if pooled else [_pooled_variance([hits]) for hits in own]
    seeds = [variance / len(hits) for hits, (variance, _) in zip(own, parts, strict=True)]
    # One pooled variance is one source of error; two of Welch's are two.
    sources = [(sum(seeds), parts[0][1])] if pooled else [(v, df) for v, (_, df) in zip(seeds, parts, strict=True)]
    differences = 100 * (first.mean(axis=0) - second.mean(axis=0))  # (n,)
    of_images = differences.var(ddof=1) / n if n > 1 else 0.0
    of_images -= sum(_residual(hits) / len(hits) for hits in own) / n
    of_images = max(0.0, float(of_images))
    return Effect(
        difference_pct=float(differences.mean()),
        seeds=(len(first), len(second)),
        images=n,
        seed_variance=sum(seeds),
        image_variance=of_images,
        df=satterthwaite([*sources, (of_images, n - 1)]) if all(df for _, df in sources) else 0.0,
        pooled=pooled,
        homogeneity_p=p,
    )


def homogeneity(pool: Sequence[Hits | Shares]) -> float | None:
    """p value of the hypothesis that accuracies vary alike over the seeds of each network; None if it is not tested."""
    accuracies = [100 * hits.mean(axis=1) for hits in pool if len(hits) > 1]
    if len(accuracies) < 2:
        return None
    if any(np.ptp(each) == 0 for each in accuracies):  # a variance of zero: alike only if all are
        return 1.0 if all(np.ptp(each) == 0 for each in accuracies) else 0.0
    from scipy import stats

    return float(stats.bartlett(*accuracies).pvalue)


def _pooled_variance(pool: Sequence[Hits | Shares]) -> tuple[float, int]:
    """Variance of an accuracy over seeds, and its degrees of freedom; 0 and 0 where nothing was repeated."""
    accuracies = [100 * hits.mean(axis=1) for hits in pool]
    df = sum(len(each) - 1 for each in accuracies)
    squares = sum(float(((each - each.mean()) ** 2).sum()) for each in accuracies)
    return (squares / df, df) if df else (0.0, 0)


def _residual(hits: Hits | Shares) -> float:
    """Mean square of what neither image nor seed explains, (100 %)^2; 0, which is on the safe side, of one seed."""
    seeds, n = hits.shape
    if seeds < 2 or n < 2:
        return 0.0
    values = 100.0 * hits
    rest = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float((rest**2).sum() / ((seeds - 1) * (n - 1)))


def satterthwaite(sources: Iterable[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of variances, each with its own."""
    listed = [(variance, df) for variance, df in sources if variance > 0]
    if not listed:
        return 0.0
    uncertain = sum(variance**2 / df for variance, df in listed)  # 0 where all are known
    return sum(variance for variance, _ in listed) ** 2 / uncertain if uncertain else math.inf


def mcnemar(first: Hits, second: Hits) -> float:
    """Two-sided exact p value of McNemar's test: for these two sets of weights alone, whatever other seeds would give.

    Args:
        first: (n,).
        second: (n,), on the same images.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if not only_first + only_second:
        return 1.0
    from scipy import stats

    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted by Holm's method: those at most a level keep the family-wise error rate at it."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted
