"""A study's results as data frames: its arms, its contests, and its verdicts on the paper's claims."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from bench.experiments.study import DEAD_CHANNELS
from bench.report.contests import UNTESTED, Answer, Outcome, family_wise
from bench.report.evidence import dead_channels_file
from bench.report.study_results import ArmResult, StudyResults

ARM_COLUMNS = {
    **dict.fromkeys(("arm", "name", "family", "network", "claims"), "string"),
    "img_size": "Int64",
    **dict.fromkeys(("train_fraction", "params_m", "macs_g", "lr", "weight_decay"), "Float64"),
    **dict.fromkeys(("seeds", "begun", "epochs"), "Int64"),
    **dict.fromkeys(("top1_pct", "top1_std", "top1_std_err"), "Float64"),
    **dict.fromkeys(("held_out_top1_pct", "dead_pct", "always_dead_pct"), "Float64"),
    "images_per_s": "Float64",
    **dict.fromkeys(("device", "run_ids", "dead_channels_in"), "string"),
}
"""of the CSV: a line an arm"""

CONTEST_COLUMNS = {
    **dict.fromkeys(("claim", "arm", "against", "of", "expects", "verdict"), "string"),
    "beside": "boolean",
    **dict.fromkeys(("difference_pct", "difference_std_err", "df", "low_pct", "high_pct", "detectable_pct"), "Float64"),
    **dict.fromkeys(("seed_variance", "image_variance"), "Float64"),
    "pooled": "boolean",
    **dict.fromkeys(("homogeneity_p", "welch_low_pct", "welch_high_pct"), "Float64"),
    **dict.fromkeys(("p_agrees", "p_disagrees", "mcnemar_p_first_seed"), "Float64"),
    "images": "Int64",
    **dict.fromkeys(("claim_verdict", "claim_verdict_family_wise"), "string"),
}
"""of the CSV of contests: a line a contest"""


def study_name(results: StudyResults) -> str:
    """The name of the study's files."""
    study = results.study
    scale = "" if study.scale == "small" else f"_{study.scale}"
    data = "" if study.dataset in ("cifar100", "imagenet", "synthetic") else f"_{study.dataset}"
    return f"study{scale}{data}"


def arms_frame(results: StudyResults) -> pd.DataFrame:
    """One line an arm that was begun or belongs to the core; what is missing is NA."""
    lines = [_arm_line(results, one) for one in results.begun]
    return pd.DataFrame(lines, columns=list(ARM_COLUMNS)).astype(ARM_COLUMNS)


def _arm_line(results: StudyResults, one: ArmResult) -> dict[str, object]:
    study, arm = results.study, one.arm
    measured = results.measurements.get(study.network(arm))
    held_out = [record.top1_pct("last", "held_out_") for record in one.whole]
    found = pd.Series(held_out, dtype="Float64").mean()
    recipe = one.spec.recipe if one.spec else None
    questions = [q.key for q in study.questions for c in q.contests if arm.key in (c.arm, c.against)]
    return {
        "arm": arm.key,
        "name": arm.name,
        "family": arm.family,
        "network": str(study.network(arm)),
        "claims": " ".join(dict.fromkeys(questions)),
        "img_size": study.img_size,
        "train_fraction": arm.train_fraction,
        "params_m": measured.params / 1e6 if measured else None,
        "macs_g": measured.macs / 1e9 if measured else None,
        "lr": recipe.lr if recipe else None,
        "weight_decay": recipe.weight_decay if recipe else None,
        "epochs": recipe.total_epochs if recipe else None,
        "seeds": len(one.top1s),
        "begun": len(one.records),
        "top1_pct": one.mean,
        "top1_std": one.std,
        "top1_std_err": one.std_err,
        "held_out_top1_pct": None if pd.isna(found) else found,
        "dead_pct": one.dead_pct,
        "always_dead_pct": one.always_dead_pct,
        "images_per_s": one.images_per_s,
        "device": ", ".join(one.devices) or None,
        "run_ids": " ".join(record.run_id for record in one.records) or None,
        "dead_channels_in": " ".join(dead_channels_file(counts) for counts in one.dead) or None,
    }


def contests_frame(results: StudyResults) -> pd.DataFrame:
    """One line a contest; what is missing is NA."""
    together = family_wise(results.answers)
    lines = [
        _contest_line(answer, outcome, verdict)
        for answer, verdict in zip(results.answers, together, strict=True)
        for outcome in answer.outcomes
    ]
    return pd.DataFrame(lines, columns=list(CONTEST_COLUMNS)).astype(CONTEST_COLUMNS)


def _contest_line(answer: Answer, outcome: Outcome, together: str) -> dict[str, object]:
    contest, effect, welch = outcome.contest, outcome.effect, outcome.welch
    line: dict[str, object] = {
        "claim": answer.question.key,
        "arm": contest.arm,
        "against": contest.against,
        "of": contest.of,
        "expects": contest.expects,
        "beside": contest.beside,
        "verdict": outcome.verdict,
        "claim_verdict": answer.verdict,
        "claim_verdict_family_wise": together,
    }
    if effect is None:
        return line
    line |= {
        "difference_pct": effect.difference_pct,
        "images": effect.images,
        "mcnemar_p_first_seed": outcome.weights_p,
    }
    if not effect.is_known:
        return line
    low, high = effect.interval()
    line |= {
        "difference_std_err": effect.se_pct,
        "df": effect.df,
        "low_pct": low,
        "high_pct": high,
        "detectable_pct": outcome.detectable_difference,
        "seed_variance": effect.seed_variance,
        "image_variance": effect.image_variance,
        "pooled": effect.pooled,
        "homogeneity_p": effect.homogeneity_p,
        "p_agrees": outcome.p_agrees,
        "p_disagrees": outcome.p_disagrees,
    }
    if welch and welch.is_known:
        line |= dict(zip(("welch_low_pct", "welch_high_pct"), welch.interval(), strict=True))
    return line


NOT_YET = "not yet"
"""instead of a verdict on a claim whose arms are trained with too few seeds, or not all, or whose dead channels are not
counted"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimVerdict:
    """A study's verdict on one of the paper's claims."""

    verdict: str
    """"agrees", "disagrees", "cannot tell" or "not yet\""""
    page: str
    """file of the study's page"""
    trained: str
    """the study's data and epochs, in words"""
    statement: str
    """that was tested in the claim's place"""
    differences: str
    """of the contests that count, each with its interval, in words; empty where there is no verdict yet"""


def study_verdicts(studies: Iterable[StudyResults]) -> dict[int, ClaimVerdict]:
    """Verdicts of studies on the paper's claims, by number; none for a claim whose own arms are untrained.

    Args:
        studies: the one that counts most first: another one's verdict counts where it has none.
    """
    found: dict[int, ClaimVerdict] = {}
    for results in studies:
        trained = {one.arm.key for one in results.arms if one.whole}
        for answer in results.answers:
            own = {outcome.contest.arm for outcome in answer.outcomes}  # whom they meet may be the core's
            if not answer.question.key.isdecimal() or not own & trained:
                continue
            number, is_untested = int(answer.question.key), answer.verdict == UNTESTED
            if number not in found or (found[number].verdict == NOT_YET and not is_untested):
                found[number] = ClaimVerdict(
                    verdict=NOT_YET if is_untested else answer.verdict,
                    page=f"{study_name(results)}.md",
                    trained=f"{results.study.title}, {results.study.recipe.epochs} epochs",
                    statement=answer.question.text,
                    differences="" if is_untested else _differences(results, answer),
                )
    return found


def _differences(results: StudyResults, answer: Answer) -> str:
    names = {one.arm.key: one.arm.name for one in results.arms}
    told = []
    for outcome in answer.outcomes:
        effect, contest = outcome.effect, outcome.contest
        if contest.beside or effect is None or not effect.is_known:
            continue
        low, high = effect.interval()
        difference = f"{effect.difference_pct:+.1f} ({low:+.1f} to {high:+.1f})"
        told.append(f"{names[contest.arm]} against {names[contest.against]}: {difference}")
    return "; ".join(told) + (" points of dead channels" if answer.outcomes[0].contest.of == DEAD_CHANNELS else "")
