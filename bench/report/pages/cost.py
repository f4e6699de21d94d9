"""The page on what it costs to decide the claims: the runs that each needs, their seeds, and GPU hours."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from bench.experiments.speeds import CPU, PX
from bench.measure.cost import STEPS_ALONE, Estimate
from bench.report.claim_runs import ClaimRuns
from bench.report.claim_tests import MOST_SEEDS
from bench.report.evidence import link, measurement_file
from bench.report.inputs import CostInputs
from bench.report.statistics import POWER
from bench.report.text import DASH, code, escape, gpu_hours, listed, pipe
from bench.spec.claim import Claim
from bench.spec.run import RunSpec

COLUMNS = {
    "claim": "Int64",
    "network": "string",
    "img_size": "Int64",
    **dict.fromkeys(("dataset", "recipe", "run_id"), "string"),
    "seeds_needed": "Int64",
    **dict.fromkeys(("gpu_hours_per_run", "gpu_hours"), "Float64"),
    **dict.fromkeys(("speed_from", "measured_in"), "string"),
}
"""of the CSV: a line a run of a claim, with the id of its first seed; a run that claims share has a line in each"""

BASE_GPU = "v100"
"""whose hours the page shows for networks of which no speed was measured"""

_Priced = Mapping[str, Estimate | None]
"""what whole runs cost, by run id"""


def cost_frame(inputs: CostInputs) -> pd.DataFrame:
    """A line a run of each claim, with its seeds and GPU hours."""
    priced = inputs.estimates[BASE_GPU]
    lines = [
        _line(one.claim, spec, seeds, priced[spec.run_id])
        | {"measured_in": measurement_file(spec.network) if spec.network in inputs.measured else None}
        for one in inputs.claims
        for spec, seeds in one.runs.items()
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS)).astype(COLUMNS)


def _line(claim: int, spec: RunSpec, seeds: int | None, found: Estimate | None) -> dict[str, object]:
    return {
        "claim": claim,
        "network": str(spec.network),
        "img_size": spec.img_size,
        "dataset": spec.dataset,
        "recipe": spec.recipe.name,
        "run_id": spec.run_id,
        "seeds_needed": seeds,
        "gpu_hours_per_run": found.gpu_hours if found else None,
        "gpu_hours": seeds * found.gpu_hours if found and seeds else None,
        "speed_from": found.basis if found else None,
    }


def cost_markdown(claims: Sequence[Claim], inputs: CostInputs, frame: pd.DataFrame) -> str:
    """Write the page.

    Args:
        claims: the paper's.
        inputs: the runs behind them, and what these cost.
        frame: from ``cost_frame``.
    """
    sections = [
        "# What deciding the claims would cost",
        "The GPU hours of training, by their recipes, all networks whose accuracies a claim of the paper compares. "
        "*Seeds needed* is the number of seeds of each network with which a test would find the printed difference "
        f"with a probability of {100 * POWER:.0f} %, as on the page about [the claims](claims.md). If a network is in "
        "several comparisons, the one that needs most seeds counts. Runs that are trained already are counted, too; "
        "the [index](README.md#what-is-missing) has the cost of what is missing.",
        pipe(_by_claim(claims, inputs), text=("Claim",)),
        "*One seed* is the cost of training each network once, which says nothing about how much seeds differ. Claims "
        "share runs; *all* counts each run once, with the most seeds that any claim needs.",
        *_undecided(inputs.claims),
        *_not_by_seeds(inputs.claims),
        _basis(frame),
        "## On other GPUs",
        pipe(_by_gpu(inputs), text=("GPU",)),
        "For all claims together, as in the last row above. Where no speed was measured, hours are scaled by the peak "
        "dense half-precision throughput in NVIDIA's data sheets, of which training reaches only a part.",
        "## Runs",
        pipe(_runs(frame), text=("Network", "data set", "recipe", "speed")),
        "The same data as CSV: [cost.csv](cost.csv).",
        *_studies(inputs),
    ]
    return "\n\n".join(sections) + "\n"


def _by_claim(claims: Sequence[Claim], inputs: CostInputs) -> pd.DataFrame:
    texts, priced = {claim.number: escape(claim.text) for claim in claims}, inputs.estimates[BASE_GPU]
    lines = []
    for one in inputs.claims:
        seeds = [count for count in one.comparisons.values() if count is not None]
        lines.append(
            {
                "": str(one.claim),
                "Claim": texts[one.claim],
                "decidable comparisons": f"{len(seeds)} of {len(one.comparisons)}" if one.comparisons else DASH,
                "seeds needed": _range(seeds),
                "runs": str(len(one.runs)),
                "GPU hours, one seed": _hours(dict.fromkeys(one.runs, 1), priced),
                "GPU hours": _hours(_together([one]), priced) if one.is_decided else DASH,
            }
        )
    together, decided = _together(inputs.claims), [one for one in inputs.claims if one.is_decided]
    numbers = f" ({listed([str(one.claim) for one in decided])})" if decided else ""
    lines.append(
        {
            "": "all",
            "Claim": f"GPU hours: only the {len(decided)} that seeds can decide{numbers}",
            "decidable comparisons": DASH,
            "seeds needed": _range(list(_together(decided).values())),
            "runs": str(len(together)),
            "GPU hours, one seed": _hours(dict.fromkeys(together, 1), priced),
            "GPU hours": _hours(_together(decided), priced),
        }
    )
    return pd.DataFrame(lines)


def _range(seeds: Sequence[int]) -> str:
    if not seeds:
        return DASH
    return f"{min(seeds)} to {max(seeds)}" if min(seeds) < max(seeds) else str(seeds[0])


def _together(claims: Iterable[ClaimRuns]) -> dict[RunSpec, int]:
    """The runs of all claims, each once, with the most seeds that a claim needs; 0 where none says how many."""
    found: dict[RunSpec, int] = {}
    for one in claims:
        for run, seeds in one.runs.items():
            found[run] = max(found.get(run, 0), seeds or 0)
    return found


def _hours(seeds: Mapping[RunSpec, int], priced: _Priced) -> str:
    """GPU hours of runs; a dash if there are none, or if those of one are not known."""
    found = [(count, priced[run.run_id]) for run, count in seeds.items()]
    known = [count * one.gpu_hours for count, one in found if one]
    return gpu_hours(sum(known)) if found and len(known) == len(found) else DASH


def _undecided(claims: Iterable[ClaimRuns]) -> list[str]:
    """The comparisons that no number of seeds decides, by claim."""
    stuck = {one.claim: [escape(name) for name, seeds in one.comparisons.items() if seeds is None] for one in claims}
    lines = [f"- Claim {claim}: {'; '.join(names)}." for claim, names in stuck.items() if names]
    why = (
        f"These comparisons would need more than {MOST_SEEDS} seeds, because the error from the images alone is too "
        "large or the printed difference is at the claim's bound:"
    )
    return [why, "\n".join(lines)] if lines else []


def _not_by_seeds(claims: Iterable[ClaimRuns]) -> Iterator[str]:
    """A sentence on each claim that lacks a recipe, or compares no accuracies."""
    for one in claims:
        if one.without_recipe:
            names = listed([escape(name) for name in one.without_recipe])
            yield f"Claim {one.claim}: no recipe is known for the printed top-1 of {names}."
        if not one.comparisons:
            yield (
                f"Claim {one.claim} compares no accuracies: it is about the features of one trained network of each "
                "kind, for which released weights will do ([Figure 2](figure_2.md))."
            )


def _basis(frame: pd.DataFrame) -> str:
    """A paragraph on where the speeds come from."""
    sources = {
        "DeiT-B's stated speed": "DeiT-B's [stated speed](https://arxiv.org/abs/2012.12877)",
        STEPS_ALONE: link(STEPS_ALONE, "speed.md"),
    }
    bases = list(frame["speed_from"].dropna().unique())
    if not bases:
        return "No hours are known: none of these networks has been measured."
    text = f"GPU hours are estimates: {'; '.join(bases)}."
    for plain, linked in sources.items():
        text = text.replace(plain, linked)
    mixed = " Sums add up hours of different GPUs." if len(bases) > 1 else ""
    return f"{text}{mixed} Networks with depthwise convolutions, and small ones, take longer than their MACs suggest."


def _by_gpu(inputs: CostInputs) -> pd.DataFrame:
    every, decided = _together(inputs.claims), _together(one for one in inputs.claims if one.is_decided)
    return pd.DataFrame(
        {
            "GPU": gpu.upper(),
            "GPU hours, one seed": _hours(dict.fromkeys(every, 1), priced),
            "GPU hours": _hours(decided, priced),
        }
        for gpu, priced in inputs.estimates.items()
    )


def _runs(frame: pd.DataFrame) -> pd.DataFrame:
    shown = pd.DataFrame(
        {
            "Claim": frame["claim"].map(str),
            "Network": [
                code(name) if pd.isna(file) else link(code(name), file)
                for name, file in zip(frame["network"], frame["measured_in"], strict=True)
            ],
            "px": frame["img_size"].map(str),
            "data set": frame["dataset"],
            "recipe": frame["recipe"].map(code),
            "GPU hours a run": frame["gpu_hours_per_run"].map(gpu_hours),
            "seeds needed": [DASH if pd.isna(n) else str(n) for n in frame["seeds_needed"]],
            "GPU hours": frame["gpu_hours"].map(gpu_hours),
            "speed": frame["speed_from"].fillna(DASH),
        }
    )
    return shown if shown["speed"].nunique() > 1 else shown.drop(columns="speed")


def _studies(inputs: CostInputs) -> list[str]:
    """The cost of the study at each scale, which answers in another way: with small networks."""
    if not inputs.studies:
        return []
    shown = pd.DataFrame(
        {
            "Scale": one.study.scale,
            "what": escape(one.study.title),
            "networks": one.networks,
            "runs": str(one.cost.runs),
            "images": f"{one.cost.images:,.0f}",
            "core hours": DASH if one.cost.hours is None else f"{one.cost.hours:,.0f}",
        }
        for one in inputs.studies
    )
    return [
        "## The study",
        "The cost of the [small networks](../docs/study.md) that stand in for those of the claims, at three scales, "
        "including grids and all seeds. *Images* are those trained on, over all epochs. *Core hours* are those of one "
        f"thread of {CPU}, at the speeds measured there at {PX} px, scaled by the number of pixels; a dash means that "
        "not all networks were measured. GPU hours are not estimated, since none of these networks has been trained on "
        "a GPU and MACs say little about networks this small.",
        pipe(shown, text=("Scale", "what", "networks")),
    ]
