"""The page on what deciding the claims would cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.output import write_report
from bench.cli.parser import Output
from bench.experiments.scales import FULL, IMAGENET, SMALL
from bench.measure.collect import Collected
from bench.measure.cost import estimate, speeds
from bench.measure.study_cost import whole_cost
from bench.paper.claims import CLAIMS
from bench.results.run_folder import RunRecords
from bench.results.step_speeds import NetworkSpeed
from bench.spec.gpus import PEAK_TFLOPS

if TYPE_CHECKING:
    from bench.report.claim_runs import ClaimRuns
    from bench.report.inputs import StudyCost


def write_cost(
    claims: "list[ClaimRuns]", found: Collected, records: RunRecords, steps: Sequence[NetworkSpeed], output: Output
) -> dict[str, Path]:
    """Write the page; returns the files that were written.

    Args:
        claims: the runs behind them.
        found: results, whose measurements price the runs.
        records: of all runs, which tell how fast they were.
        steps: speeds of networks, which have a page of their own.
        output: where to.
    """
    from bench.report.inputs import CostInputs
    from bench.report.pages.cost import cost_frame, cost_markdown

    known = speeds(records.all(), steps)
    specs = {spec.run_id: spec for one in claims for spec in one.runs}
    estimates = {
        gpu: {run_id: estimate(spec, 0, found.measurements, known, gpu) for run_id, spec in specs.items()}
        for gpu in PEAK_TFLOPS
    }
    inputs = CostInputs(claims=claims, estimates=estimates, measured=found.measurements, studies=_studies())
    frame = cost_frame(inputs)
    text = cost_markdown(CLAIMS, inputs, frame)
    return write_report(output.reports, "cost", {"md": text, "csv": frame.to_csv(index=False, lineterminator="\n")})


def _studies() -> "list[StudyCost]":
    """The study at the scales that answer something, with the networks of claims 1 to 5 and with all of them."""
    from bench.report.inputs import StudyCost

    found = []
    for study in (SMALL, FULL, IMAGENET):
        parts = {"of claims 1 to 5": study.core, "all": study.arms}
        for networks, arms in parts.items():
            if arms is study.arms or len(arms) < len(study.arms):
                cost = whole_cost(study, arms)
                found.append(StudyCost(study=study, networks=f"{len(arms)}, {networks}", cost=cost))
    return found
