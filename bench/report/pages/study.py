"""The page of a study: what it says of the paper's claims, how sure that is, and what it cannot tell."""

from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

from bench.experiments.study import Contest, Question
from bench.paper.claims import CLAIMS
from bench.report.contests import family_wise
from bench.report.evidence import feature_maps_file, link, measurement_file, record_file
from bench.report.statistics import HOMOGENEITY_LEVEL, POWER, Effect
from bench.report.study_frames import arms_frame, study_name
from bench.report.study_results import ArmResult, StudyResults
from bench.report.text import DASH, STANDARD_ERROR, code, escape, listed, p_value, pipe, unused, with_error


def study_markdown(results: StudyResults, *, pictures: Sequence[str]) -> str:
    """The page.

    Args:
        results: of one study.
        pictures: names of those that were drawn: "", "_curves", "_speed", "_features".
    """
    study, name = results.study, study_name(results)
    recipe = study.recipe
    alt = {
        "": "Differences of the contests with their 95 % intervals",
        "_curves": "Held-out accuracy and training loss of the core arms over the epochs",
        "_speed": "Accuracy against training speed",
        "_features": "Feature maps of trained networks, and their shares of dead and saturated channels by depth",
    }
    sections = [
        f"# The study: {study.title}",
        f"Small networks (*arms*), trained alike, stand in for those of the paper's claims: {recipe.epochs} epochs in "
        f"{study.precision}, batch {recipe.global_batch}, seeds {', '.join(map(str, study.seeds))}. Each claim is "
        "tested by *contests* between two arms. The [protocol](../docs/study.md) was fixed before the first seed. "
        "Nothing here fills a cell of the paper's tables.",
        _state(results),
        "## What it says about the claims",
        _claims(results),
        "*Agrees*: the arms differ significantly in the paper's direction. *Disagrees*: they differ significantly in "
        f"the opposite direction. *Cannot tell*: neither. {DASH}: too few seeds have been trained, or, of dead "
        "channels, none differ. *All claims together* is the verdict when the 5 % error rate applies to the whole "
        "column.",
        *(f"![{alt['']}]({name}.png)" for suffix in pictures if suffix == ""),
        "## Contests",
        _contests(results),
        "Differences are in points of top-1 on the test images, with their 95 % interval. *Detectable* is the smallest "
        f"difference that would have been found with a probability of {100 * POWER:.0f} %; for *alike*, the smallest "
        "margin within which equal networks would have been shown to agree. The error of a difference has two parts: "
        "that of the seeds, pooled over the core arms unless Bartlett's test (level "
        f"{HOMOGENEITY_LEVEL}) finds that their variances differ, and that of the images, paired. Welch's interval "
        "uses the two arms' own seeds alone, assumes less and is wider. A contest about dead channels compares their "
        "shares, in points, image by image.",
        *_pooling(results),
        *_fixed_weights(results),
        "## Arms",
        _arms(results),
        *(f"![{alt[suffix]}]({name}{suffix}.png)" for suffix in pictures if suffix and suffix != "_features"),
        *_features(results, f"![{alt['_features']}]({name}_features.png)"),
        *_grid(results),
        "## What this scale cannot tell",
        _limits(results),
        f"The same data as CSV: [{name}.csv]({name}.csv), a line for each arm, and [{name}_contests.csv]"
        f"({name}_contests.csv), a line for each contest.",
        *unused(results.problems),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _state(results: StudyResults) -> str:
    """The progress of the study."""
    core = [one for one in results.arms if one.arm.core]
    wanted = len(results.study.seeds)
    done = sum(min(wanted, len(one.whole)) for one in core)
    grids = sum(family in results.chosen for family in results.grids)
    every = wanted * len(core)
    text = f"So far {done} of {every}" if done < every else f"All {every}"
    text += " runs of the core arms are complete"
    text += f", and {grids} of {len(results.grids)} grids" if results.grids else ""
    further = sum(len(one.whole) for one in results.arms if not one.arm.core)
    return f"{text}{f'; {further} runs of further arms' if further else ''}."


def _claims(results: StudyResults) -> str:
    together = family_wise(results.answers)
    paper = {str(claim.number): claim.text for claim in CLAIMS}
    shown = pd.DataFrame(
        {
            "": [a.question.key if a.question.key.isdecimal() else "" for a in results.answers],
            "The paper": [escape(paper.get(a.question.key, DASH)) for a in results.answers],
            "Here": [escape(a.question.text) for a in results.answers],
            "verdict": [a.verdict for a in results.answers],
            "all claims together": together,
        }
    )
    return pipe(shown, text=("", "The paper", "Here", "verdict", "all claims together"))


def _contests(results: StudyResults) -> str:
    names = {one.arm.key: one.arm.name for one in results.arms}
    rows = [(answer.question, outcome) for answer in results.answers for outcome in answer.outcomes]
    rows = [(question, outcome) for question, outcome in rows if outcome.effect or not outcome.contest.beside]
    shown = pd.DataFrame(
        {
            "Claim": [_claim(question, outcome.contest) for question, outcome in rows],
            "Contest": [escape(f"{names[o.contest.arm]} against {names[o.contest.against]}") for _, o in rows],
            "the paper": [_EXPECTS[o.contest.expects] for _, o in rows],
            "difference": [DASH if o.effect is None else f"{o.effect.difference_pct:+.2f}" for _, o in rows],
            "95 % interval": [_interval(o.effect) for _, o in rows],
            "Welch's": [
                _interval(o.welch or (o.effect if o.effect and not o.effect.pooled else None)) for _, o in rows
            ],
            "detectable": [
                DASH if o.detectable_difference is None else f"{o.detectable_difference:.2f}" for _, o in rows
            ],
            "seeds": [DASH if o.effect is None else "/".join(map(str, o.effect.seeds)) for _, o in rows],
            "verdict": [o.verdict for _, o in rows],
        }
    )
    return pipe(shown, text=("Claim", "Contest", "the paper", "verdict"))


_EXPECTS = {"better": "ahead", "worse": "behind", "alike": "alike", "more": "more dead channels"}


def _claim(question: Question, contest: Contest) -> str:
    if not question.key.isdecimal():
        return DASH
    return f"{question.key} (extra)" if contest.beside else question.key


def _interval(effect: Effect | None) -> str:
    if effect is None or not effect.is_known:
        return DASH
    low, high = effect.interval()
    return f"{low:+.2f} to {high:+.2f}"


def _pooling(results: StudyResults) -> list[str]:
    """Bartlett's p-values, and the verdicts that need the variances to be pooled."""
    effects = [o.effect for a in results.answers for o in a.outcomes if o.effect and o.effect.pooled]
    p_values = [effect.homogeneity_p for effect in effects if effect.homogeneity_p is not None]
    if not p_values:
        return []
    text = f"For the pooled contests, Bartlett's test gives {p_value(min(p_values))} or more."
    if claims := [a.question.key for a in results.answers if a.needs_pooling]:
        s = "s" * (len(claims) > 1)
        text += f" By Welch's interval alone, the verdict{s} on claim{s} {listed(claims)} would be *cannot tell*."
    return [text]


def _fixed_weights(results: StudyResults) -> list[str]:
    """McNemar's test, for contests of one seed each: the weights that there are, and not the networks."""
    names = {one.arm.key: one.arm.name for one in results.arms}
    found = [
        f"{escape(names[o.contest.arm])} against {escape(names[o.contest.against])}: {p_value(o.weights_p)}"
        for answer in results.answers
        for o in answer.outcomes
        if o.effect and not o.effect.is_known and o.weights_p is not None
    ]
    if not found:
        return []
    return [
        "With one seed each, only two sets of weights can be compared, which says nothing about other seeds. "
        f"McNemar's test on these weights: {'; '.join(found)}."
    ]


def _arms(results: StudyResults) -> str:
    frame = arms_frame(results)
    lines = frame.to_dict("records")
    shown = pd.DataFrame(
        {
            "Arm": [_linked_name(results, one) for one in results.begun],
            "key": [code(line["arm"]) for line in lines],
            "params M": [_number(line["params_m"], 1) for line in lines],
            "learning rate": [_general(line["lr"]) for line in lines],
            "weight decay": [_general(line["weight_decay"]) for line in lines],
            "top-1 %": [with_error(line["top1_pct"], line["top1_std_err"]) for line in lines],
            "n": [str(line["seeds"]) for line in lines],
            **_dead_columns(lines),
            "images/s": [_number(line["images_per_s"], 0) for line in lines],
            "runs": [_runs(one) for one in results.begun],
        }
    )
    devices = sorted({device for one in results.begun for device in one.devices})
    where = f" on {escape(', '.join(devices))}" if devices else ""
    return pipe(shown, text=("Arm", "key", "runs")) + (
        "\n\nTop-1 is on the test images, used once, after the last epoch: mean over the n seeds ± its "
        f"{STANDARD_ERROR}. Params are those with ImageNet's 1,000 classes. Images/s is the median speed of training"
        f"{where}, on a machine that may have had other work."
        + (_DEAD if any(one.dead for one in results.begun) else "")
    )


_DEAD = (
    " A channel is dead on an image if its largest absolute value is at most 1 % of its layer's root mean square, and "
    "always dead if that holds for every image that was examined. Features of CNNs follow a ReLU and can be zero."
)


def _dead_columns(lines: Sequence[Mapping[Hashable, float]]) -> dict[str, list[str]]:
    """Dead channels of each arm, where those of any are counted."""
    if all(pd.isna(line["dead_pct"]) for line in lines):
        return {}
    return {
        "dead channels %": [_number(line["dead_pct"], 1) for line in lines],
        "always dead %": [_number(line["always_dead_pct"], 1) for line in lines],
    }


def _linked_name(results: StudyResults, one: ArmResult) -> str:
    network = results.study.network(one.arm)
    name = escape(one.arm.name)
    return link(name, measurement_file(network)) if network in results.measurements else name


def _runs(one: ArmResult) -> str:
    """Links to the records, with the state of those that are not completed."""
    found = []
    for record in one.records:
        state = "" if record.status == "completed" else f" ({record.status}, {record.epoch} of {record.epochs} epochs)"
        found.append(link(f"s{record.spec.get('seed')}", record_file(record.run_id)) + state)
    return " ".join(found) or DASH


def _features(results: StudyResults, picture: str) -> list[str]:
    """The section on the paper's Figure 2, of trained networks."""
    if not results.features:
        return []
    files = listed([link(code(one.source.run_id), feature_maps_file(one)) for one in results.features.values()])
    return [
        "## Features",
        "The paper's Figure 2, of networks trained here: features of the first seed's final weights on a photograph, "
        f"from early to late layers. [Figure 2](figure_2.md) defines *dead* and *saturated*. The counts: {files}.",
        picture,
    ]


def _grid(results: StudyResults) -> list[str]:
    """The points tried to choose learning rates and weight decays."""
    if not results.study.grid:
        return []
    study, ids = results.study, {record.run_id for record in results.grid_records}
    rows = []
    for family, found in results.grids.items():
        for point in found:
            run_id = study.grid_run(family, point).run_id
            top1 = found[point]
            rows.append(
                {
                    "Family": family,
                    "learning rate": _general(point.lr),
                    "weight decay": _general(point.weight_decay),
                    "held-out top-1 %": "diverged" if top1 is None else f"{top1:.2f}",
                    "": "chosen" if results.chosen.get(family) == point else "",
                    "run": link("record", record_file(run_id)) if run_id in ids else DASH,
                }
            )
    recipe = study.grid_recipe
    text = (
        f"Each family's learning rate and weight decay come from the same grid, trained for {recipe.epochs} epochs on "
        f"{100 * recipe.train_fraction:.0f} % of the training images with seed {study.grid_seed}, and are chosen on "
        "the held-out images. If the best learning rate is at an edge of the grid, the grid is extended once."
    )
    tuned = "; ".join(f"{family} on {escape(study.arm(key).name)}" for family, key in study.tuned_on.items())
    table = [pipe(pd.DataFrame(rows), text=("Family", "", "run"))] if rows else ["No run of the grid is complete yet."]
    return ["## Grid", f"{text} Each family is tuned on one arm: {tuned}.", *table, *_at_an_edge(results)]


def _at_an_edge(results: StudyResults) -> list[str]:
    """A sentence on the families whose best learning rate is still at the edge of what was tried."""
    edges = []
    for family, point in results.chosen.items():
        lrs = {each.lr for each in results.grids[family]}
        if point.lr in (min(lrs), max(lrs)):
            edges.append(f"{family} ({'lowest' if point.lr == min(lrs) else 'highest'}: {point.lr:g})")
    if not edges:
        return []
    return [
        f"The chosen learning rate is at the edge of the extended grid for {listed(edges)}: one beyond it might be "
        "better. The protocol extends a grid only once, for every family alike."
    ]


def _limits(results: StudyResults) -> str:
    study = results.study
    tokens = (study.img_size // 16) ** 2
    lines = [
        f"- At {study.img_size} px a T2T-ViT has {tokens} final tokens instead of 196 at the paper's 224 px, where the "
        "T2T module's modelling of local structure may gain more, or less.",
        f"- The networks see each image {study.recipe.epochs} times instead of 310, and most are smaller than the "
        "paper's. The network that learns fastest need not end up best.",
        *([_SHARED] if study.grid else []),
        "- Claim 11 depends on what is counted: a ResNet's features follow a ReLU, and some are zero [even "
        "untrained](figure_2.md); those of a ViT are sums along skip connections and almost never are.",
    ]
    if study.dataset != "imagenet":
        lines.append(
            "- The images are not ImageNet's: a direction that agrees here supports the claim, and one that disagrees "
            "limits its scope; neither reproduces a number."
        )
    return "\n".join(lines)


_SHARED = (
    "- All networks share every setting but learning rate and weight decay, which are tuned on one network of each "
    "family; mixup, cutmix and RandAugment, which help transformers in long training, are off."
)


def _number(value: float, digits: int) -> str:
    return DASH if pd.isna(value) else f"{value:,.{digits}f}"


def _general(value: float) -> str:
    return DASH if pd.isna(value) else f"{value:g}"
