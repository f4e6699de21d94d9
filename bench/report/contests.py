"""Verdicts of the study's contests on the paper's claims.

A contest agrees with the paper if a one-sided test says that the arm is ahead (or behind) as the paper has it, and
disagrees if one says the opposite; "alike" agrees if two one-sided tests keep the difference within the margin, and
disagrees if one of them puts it outside. Each test has half of ``LEVEL``.

A claim agrees if each of its contests does: no correction is needed, since all must. It disagrees if one of them does
after Holm's correction for their number, since one is enough. Beside that stands what is left when all claims are
corrected together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.experiments.study import DEAD_CHANNELS, Contest, Question, Study
from bench.report.statistics import LEVEL, Effect, Hits, Shares, compare, holm, mcnemar

AGREES, DISAGREES, CANNOT_TELL, UNTESTED = "agrees", "disagrees", "cannot tell", "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a contest."""

    contest: Contest
    effect: Effect | None
    """None where one of the arms has no predictions, or no counts, yet"""
    welch: Effect | None
    """by the two arms' own variances, beside a pooled effect"""
    welch_verdict: str | None
    """from ``welch``"""
    p_agrees: float
    p_disagrees: float
    weights_p: float | None
    """McNemar's, for the two sets of weights of the first seed alone; decides nothing. None of dead channels"""

    @property
    def verdict(self) -> str:
        """The verdict on this contest alone."""
        if self.effect is None or not self.effect.is_known:
            return UNTESTED
        return _verdict(self.p_agrees, self.p_disagrees)

    @property
    def needs_pooling(self) -> bool:
        """Whether the arms' own variances give no such verdict."""
        return self.welch_verdict not in (None, self.verdict)

    @property
    def detectable_difference(self) -> float | None:
        """The smallest difference that would have been found, in points; of "alike", the smallest margin."""
        if self.effect is None or not self.effect.is_known:
            return None
        return self.effect.detectable_difference(alike=self.contest.expects == "alike")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The outcomes of a question's contests."""

    question: Question
    outcomes: tuple[Outcome, ...]
    p_agrees: float
    p_disagrees: float

    @property
    def verdict(self) -> str:
        """The verdict on the claim alone; untested while one of its contests is, unless another one disagrees."""
        own = [one for one in self.outcomes if not one.contest.beside]
        verdict = _verdict(self.p_agrees, self.p_disagrees)
        if verdict != DISAGREES and (not own or any(one.verdict == UNTESTED for one in own)):
            return UNTESTED
        return verdict

    @property
    def needs_pooling(self) -> bool:
        """Whether the claim agrees or disagrees by a contest that would not by its arms' own variances."""
        own = [one for one in self.outcomes if not one.contest.beside]
        return self.verdict in (AGREES, DISAGREES) and any(
            one.verdict == self.verdict and one.needs_pooling for one in own
        )


def judge(study: Study, hits: Mapping[str, Hits], dead: Mapping[str, Shares]) -> list[Answer]:
    """Every question of a study, as far as its arms are trained.

    Args:
        study: at a scale.
        hits: (S, n) of each arm that has predictions, by key.
        dead: (S, n), the share of dead channels, of each arm whose channels are counted, by key.
    """
    core = {arm.key: hits[arm.key] for arm in study.core if arm.key in hits}
    answers = []
    for question in study.questions:
        outcomes = tuple(
            _about_channels(contest, dead) if contest.of == DEAD_CHANNELS else _outcome(study, contest, hits, core)
            for contest in question.contests
        )
        answers.append(_answer(question, outcomes))
    return answers


def family_wise(answers: Sequence[Answer]) -> list[str]:
    """The verdict on each claim when the error rate is that of all tested claims together, by Holm's method."""
    tested = [i for i, answer in enumerate(answers) if answer.verdict != UNTESTED]
    adjusted = holm([min(1.0, 2 * min(answers[i].p_agrees, answers[i].p_disagrees)) for i in tested])
    verdicts = [UNTESTED] * len(answers)
    for i, p in zip(tested, adjusted, strict=True):
        ahead = AGREES if answers[i].p_agrees < answers[i].p_disagrees else DISAGREES
        verdicts[i] = ahead if p <= LEVEL else CANNOT_TELL
    return verdicts


def _answer(question: Question, outcomes: tuple[Outcome, ...]) -> Answer:
    own = [one for one in outcomes if not one.contest.beside]
    return Answer(
        question=question,
        outcomes=outcomes,
        p_agrees=max((one.p_agrees for one in own), default=1.0),
        p_disagrees=min(holm([one.p_disagrees for one in own]), default=1.0),
    )


def _outcome(study: Study, contest: Contest, hits: Mapping[str, Hits], core: Mapping[str, Hits]) -> Outcome:
    keys = contest.arm, contest.against
    if not all(key in hits for key in keys):
        return _untested(contest)
    first, second = (hits[key] for key in keys)
    # The core tells of the seeds of arms that were trained on as many images and are tested on the same.
    whole = all(study.arm(key).train_fraction == 1 and not study.arm(key).fine_tuned_on for key in keys)
    others = [one for key, one in core.items() if whole and key not in keys]
    effect = compare(first, second, others)
    welch = compare(first, second) if effect.pooled else None
    p_agrees, p_disagrees = _p_values(contest, effect, study.margin)
    return Outcome(
        contest=contest,
        effect=effect,
        welch=welch,
        welch_verdict=_verdict(*_p_values(contest, welch, study.margin)) if welch and welch.is_known else None,
        p_agrees=p_agrees,
        p_disagrees=p_disagrees,
        weights_p=mcnemar(first[0], second[0]),
    )


def _about_channels(contest: Contest, dead: Mapping[str, Shares]) -> Outcome:
    """Compare shares of dead channels image by image, by the two arms' own variances over seeds.

    There is no reason why these should be alike: networks have different layers.
    """
    if contest.arm not in dead or contest.against not in dead:
        return _untested(contest)
    effect = compare(dead[contest.arm], dead[contest.against])
    return Outcome(
        contest=contest,
        effect=effect,
        welch=None,
        welch_verdict=None,
        p_agrees=effect.p_above(0),
        p_disagrees=effect.p_below(0),
        weights_p=None,
    )


def _untested(contest: Contest) -> Outcome:
    return Outcome(
        contest=contest, effect=None, welch=None, welch_verdict=None, p_agrees=1.0, p_disagrees=1.0, weights_p=None
    )


def _p_values(contest: Contest, effect: Effect, margin: float) -> tuple[float, float]:
    """One-sided p values against the hypotheses that the contest does not agree, and that it does not disagree."""
    if contest.expects == "better":
        return effect.p_above(0), effect.p_below(0)
    if contest.expects == "worse":
        return effect.p_below(0), effect.p_above(0)
    within = max(effect.p_above(-margin), effect.p_below(margin))
    return within, min(effect.p_above(margin), effect.p_below(-margin))


def _verdict(p_agrees: float, p_disagrees: float) -> str:
    if p_agrees <= LEVEL / 2:
        return AGREES
    return DISAGREES if p_disagrees <= LEVEL / 2 else CANNOT_TELL
