"""What contests say of claims, on hits whose outcome is plain: every expectation, parts of a claim, several claims."""

import dataclasses

import numpy as np
import pytest

from bench.experiments.scales import STUDIES
from bench.experiments.study import Contest, Question
from bench.report.contests import AGREES, CANNOT_TELL, DISAGREES, UNTESTED, Answer, family_wise, judge
from bench.report.statistics import LEVEL

SMALL = STUDIES["small"]
N = 4000
"""test images"""


def hits(top1_pct, *, seeds=3, n=N, spread=0.1):
    """Hits of seeds that differ by ``spread`` points, on images that every network finds equally hard."""
    order = np.linspace(0, 100, n, endpoint=False) + 50 / n
    return np.array([order < top1_pct + spread * (seed - (seeds - 1) / 2) for seed in range(seeds)])


def answers(arms, *contests):
    """Answers to a question a tuple of contests, (arm, against, expects) each."""
    questions = tuple(
        Question(key=str(number), text="", contests=tuple(Contest(arm=a, against=b, expects=e) for a, b, e in each))
        for number, each in enumerate(contests, start=1)
    )
    return judge(dataclasses.replace(SMALL, questions=questions), arms, {})


A, B, C, D = "t2t_vit_7", "vit_s", "resnet10t", "mobilenetv2_140"
BETTER, WORSE, ALIKE = "better", "worse", "alike"


@pytest.mark.parametrize(
    ("difference", "found"),
    [
        (5.0, {BETTER: AGREES, WORSE: DISAGREES, ALIKE: DISAGREES}),
        (-5.0, {BETTER: DISAGREES, WORSE: AGREES, ALIKE: DISAGREES}),
        (0.0, {BETTER: CANNOT_TELL, WORSE: CANNOT_TELL, ALIKE: AGREES}),
        (0.5, {BETTER: AGREES, WORSE: DISAGREES, ALIKE: AGREES}),  # sure, and yet within the margin
        (1.0, {ALIKE: CANNOT_TELL}),  # at the margin
    ],
)
def test_what_a_difference_says_of_each_expectation(difference, found):
    arms = {A: hits(50 + difference), B: hits(50)}
    for expects, verdict in found.items():
        (answer,) = answers(arms, [(A, B, expects)])
        assert answer.outcomes[0].verdict == answer.verdict == verdict, expects


def test_a_wide_interval_about_nothing_is_neither_alike_nor_apart():
    arms = {A: hits(50, spread=4), B: hits(50, spread=4)}
    assert {answers(arms, [(A, B, expects)])[0].verdict for expects in (BETTER, WORSE, ALIKE)} == {CANNOT_TELL}


@pytest.mark.parametrize(
    ("difference", "expects", "spread", "verdict", "needs_pooling"),
    [
        (1.5, BETTER, 0.6, AGREES, True),
        (1.5, WORSE, 0.6, DISAGREES, True),
        (5.0, BETTER, 0.6, AGREES, False),
        (0.0, BETTER, 0.6, CANNOT_TELL, False),
        (0.0, ALIKE, 0.05, AGREES, False),  # by an interval about 0
    ],
)
def test_a_verdict_that_two_arms_of_two_seeds_would_not_give_needs_pooling(
    difference, expects, spread, verdict, needs_pooling
):
    arms = {A: hits(50 + difference, seeds=2, spread=spread), B: hits(50, seeds=2, spread=spread)}
    (alone,) = answers(arms, [(A, B, expects)])
    assert not alone.needs_pooling
    core = {C: hits(40, spread=spread), D: hits(30, spread=spread)}
    (pooled,) = answers(arms | core, [(A, B, expects)])
    assert (pooled.verdict, pooled.needs_pooling) == (verdict, needs_pooling)
    assert (alone.verdict != verdict) == needs_pooling


def test_a_claim_agrees_only_if_every_contest_does_and_disagrees_if_one_does():
    arms = {A: hits(50), B: hits(45), C: hits(50), D: hits(55)}
    every, one_open, one_against = answers(
        arms,
        [(A, B, BETTER), (D, B, BETTER)],
        [(A, B, BETTER), (A, C, BETTER)],
        [(A, B, BETTER), (A, C, BETTER), (A, D, BETTER)],
    )
    assert [every.verdict, one_open.verdict, one_against.verdict] == [AGREES, CANNOT_TELL, DISAGREES]
    assert [outcome.verdict for outcome in one_against.outcomes] == [AGREES, CANNOT_TELL, DISAGREES]


def test_a_part_that_disagrees_does_so_after_holms_correction_for_their_number():
    arms = {A: hits(50), B: hits(45), C: hits(50.22), D: hits(45)}
    alone, among_three = answers(arms, [(A, C, BETTER)], [(A, C, BETTER), (A, B, BETTER), (A, D, BETTER)])
    p = alone.outcomes[0].p_disagrees
    assert p <= LEVEL / 2 < 3 * p  # else the arms above show nothing
    assert alone.verdict == DISAGREES
    assert among_three.p_disagrees == pytest.approx(3 * p)
    assert among_three.verdict == CANNOT_TELL


def test_a_claim_of_which_a_part_is_untested_is_untested_unless_another_part_disagrees():
    arms = {A: hits(50), B: hits(45), D: hits(55), C: hits(50, seeds=1)}
    nothing, missing, single, against = answers(
        {key: each for key, each in arms.items() if key != C} | {C: arms[C]},
        [("t2t_vit_c_7", "t2t_vit_t_7", BETTER)],
        [(A, B, BETTER), ("t2t_vit_c_7", A, WORSE)],
        [(A, B, BETTER)],
        [(A, D, BETTER), ("t2t_vit_c_7", A, WORSE)],
    )
    assert [each.verdict for each in (nothing, missing, single, against)] == [UNTESTED, UNTESTED, AGREES, DISAGREES]
    assert missing.outcomes[1].effect is None
    assert missing.outcomes[1].detectable_difference is None


def test_single_seeds_give_no_verdict_but_that_of_their_weights():
    (answer,) = answers({A: hits(50, seeds=1), B: hits(45, seeds=1)}, [(A, B, BETTER)])
    (outcome,) = answer.outcomes
    assert (answer.verdict, outcome.verdict) == (UNTESTED, UNTESTED)
    assert outcome.effect.difference_pct == pytest.approx(5, abs=0.05)
    assert outcome.weights_p < 1e-9


def test_a_contest_beside_a_claim_has_no_part_in_its_verdict():
    question = Question(
        key="3",
        text="",
        contests=(
            Contest(arm=A, against=B, expects=BETTER),
            Contest(arm=A, against=D, expects=BETTER, beside=True),
        ),
    )
    arms = {A: hits(50), B: hits(45), D: hits(55)}
    (answer,) = judge(dataclasses.replace(SMALL, questions=(question,)), arms, {})
    assert [outcome.verdict for outcome in answer.outcomes] == [AGREES, DISAGREES]
    assert answer.verdict == AGREES


@pytest.mark.parametrize(("share", "verdict"), [(0.3, AGREES), (0.1, DISAGREES), (0.2, CANNOT_TELL)])
def test_dead_channels_are_compared_by_their_shares_and_not_by_hits(share, verdict):
    question = Question(key="11", text="", contests=(Contest(arm=A, against=B, expects="more"),))
    scatter = np.random.default_rng(0).normal(0, 0.02, (2, 3, 256))
    dead = {A: share + scatter[0], B: 0.2 + scatter[1]}
    (answer,) = judge(dataclasses.replace(SMALL, questions=(question,)), {A: hits(50), B: hits(50)}, dead)
    (outcome,) = answer.outcomes
    assert (outcome.verdict, answer.verdict) == (verdict, verdict)
    assert outcome.effect.images == 256
    assert outcome.effect.difference_pct == pytest.approx(100 * (share - 0.2), abs=0.5)
    assert not outcome.effect.pooled
    (answer,) = judge(dataclasses.replace(SMALL, questions=(question,)), {A: hits(50), B: hits(50)}, {A: dead[A]})
    assert answer.verdict == UNTESTED


def answer(p_agrees, p_disagrees, *, known=True):
    """An answer with these p values; ``known``: whether it was tested."""
    (found,) = answers({A: hits(50), B: hits(45)} if known else {}, [(A, B, BETTER)])
    assert isinstance(found, Answer)
    return dataclasses.replace(found, p_agrees=p_agrees, p_disagrees=p_disagrees)


def test_all_claims_together_share_one_error_rate():
    """By Holm's method, two-sided: 2 p of the first times 3, of the next times 2, of the last as it is."""
    together = [answer(0.008, 0.99), answer(0.9, 0.012), answer(0.02, 0.98)]
    assert [each.verdict for each in together] == [AGREES, DISAGREES, AGREES]
    assert family_wise(together) == [AGREES, DISAGREES, AGREES]  # 0.048, 0.048, 0.048
    assert family_wise([answer(0.009, 0.99), *together[1:]]) == [CANNOT_TELL] * 3  # 0.054 holds back the others, too
    assert family_wise([*together, answer(0.02, 0.98)]) == [CANNOT_TELL] * 4  # 0.064 of four


def test_an_untested_claim_takes_nothing_from_the_others():
    together = [answer(0.008, 0.99), answer(1.0, 1.0, known=False), answer(0.9, 0.012), answer(0.02, 0.98)]
    assert family_wise(together) == [AGREES, UNTESTED, DISAGREES, AGREES]


def test_arms_on_fewer_images_do_not_pool_with_the_core():
    of_core = {arm.key: hits(50, spread=0.1) for arm in SMALL.core}
    fewer = {f"{key}_10pct": hits(40, spread=0.15) for key in (A, B)}
    whole, on_fewer = answers(of_core | fewer, [(A, B, BETTER)], [(f"{A}_10pct", f"{B}_10pct", BETTER)])
    assert whole.outcomes[0].effect.seed_variance == pytest.approx(2 * 0.1**2 / 3, rel=0.05)
    assert on_fewer.outcomes[0].effect.seed_variance == pytest.approx(2 * 0.15**2 / 3, rel=0.05)
    assert on_fewer.outcomes[0].effect.pooled
