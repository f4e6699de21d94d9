"""The section on whether the paper's networks were trained alike, from what changed between its editions."""

from bench.paper import TABLES
from bench.paper.claims import CLAIMS
from bench.paper.editions import ARXIV_V1, ICCV
from bench.paper.history import EXPERIMENT, INFERENCE, TRAINING_CHANGES
from bench.report.text import command
from bench.spec.table import Edition, Row


def history_section() -> str:
    """Compare the T2T-ViTs and the retrained ResNets of Table 3 in both editions."""
    rows = {row.name: row for row in TABLES[3].rows}
    retrained = [row for row in rows.values() if row.name.startswith("ResNet") and row.name.endswith("*")]
    networks = [row for row in rows.values() if row.name.startswith("T2T-ViT")]
    rises = [round(_top1(row, ICCV) - _top1(row, ARXIV_V1), 1) for row in networks]
    assert min(rises) > 0, "the section says so"
    assert all(_top1(row, ICCV) == _top1(row, ARXIV_V1) for row in retrained), "the section says so"
    (pairs,) = (claim.comparisons for claim in CLAIMS if claim.number == 2)
    gains = {
        edition.name: [round(_top1(rows[one.row], edition) - _top1(rows[one.against], edition), 1) for one in pairs]
        for edition in (ARXIV_V1, ICCV)
    }
    first, last = gains[ARXIV_V1.name], gains[ICCV.name]
    return "\n\n".join(
        [
            "## Were the networks trained alike?",
            f"Claim 2 rests on CNNs that the authors retrained by the same scheme (*). Between {ARXIV_V1.name} and "
            f"{ICCV.name}, the accuracy of each T2T-ViT in [Table 3](table_3.md) rose by {min(rises)} to {max(rises)} "
            "points, while those of the retrained ResNets did not change at all. The gain over them was "
            f"{min(first)} to {max(first)} points in {ARXIV_V1.name} and is {min(last)} to {max(last)} in {ICCV.name}.",
            f"{TRAINING_CHANGES} The T2T-ViTs and ResNets of the {ICCV.name} edition may therefore not have been "
            f"trained alike. {INFERENCE}",
            EXPERIMENT,
            command(*"python run_all.py --budget trained_alike --run slurm --seeds 0 1 2 --data DIR --dry-run".split()),
            "Without `--dry-run` it submits them. `python run_all.py --budget trained_alike` reports what has been "
            "trained.",
        ]
    )


def _top1(row: Row, edition: Edition) -> float:
    value = row.published[edition].top1_pct
    assert value is not None
    return value
