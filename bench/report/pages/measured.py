"""The section of a table's page on its measurements: exact counts, files, convention, recipes, machines, versions."""

from collections.abc import Sequence

import pandas as pd

from bench.report.evidence import link, measurement_file
from bench.report.inputs import TableInputs
from bench.report.text import DASH, code, escape, pipe_rows
from bench.results.measurement import Complexity
from bench.spec.run import Teacher
from bench.spec.table import networks


def measured(inputs: TableInputs) -> list[str]:
    """The section on the evidence behind params and MACs."""
    rows, measurements = inputs.table.rows_in(inputs.edition), inputs.found.measurements
    used = [measurements[n] for n in networks(rows) if n in measurements]
    convention = (
        "MACs are fvcore's count at batch size 1 (linear layers, convolutions, matrix products, norms, pooling), with "
        "fused attention included. *Linear and convolution only* is the convention of some model zoos. *torch's "
        "counter* (FlopCounterMode, halved) counts no norms and no pooling; it confirms the rest. Neither counts "
        f"these operators: {uncounted(used)}."
    )
    recipes = [
        f"- {code(recipe.name)}: {escape(recipe.summary)}."
        for recipe in dict.fromkeys(run.recipe for row in rows for run in row.runs)
    ]
    listed = ["Recipes (`bench/experiments/recipes.py` gives the source of every value):", "\n".join(recipes)]
    lines = [*_teachers(inputs), *measured_where(used)]
    return ["## Evidence", _counts(inputs.frame), convention, *(listed if recipes else []), "\n".join(lines)]


def _counts(frame: pd.DataFrame) -> str:
    def exact(cell: str, unit: float) -> list[str]:
        return [DASH if pd.isna(v) else f"{round(v * unit):,}" for v in frame[cell]]

    shown = pd.DataFrame(
        {
            "Model": frame["model"],
            "network": [code(name) for name in frame["network"]],
            "px": frame["img_size"].map(str),
            "recipe of the printed top-1": [DASH if pd.isna(name) else code(name) for name in frame["recipe"]],
            "params": exact("params_m", 1e6),
            "trainable": exact("trainable_params_m", 1e6),
            "MACs": exact("macs_g", 1e9),
            "linear and convolution only": exact("linear_macs_g", 1e9),
            "torch's counter": exact("torch_macs_g", 1e9),
            "evidence": [
                DASH if pd.isna(day) else link(escape(day), file)
                for day, file in zip(frame["measured_on"], frame["measured_in"], strict=True)
            ],
        }
    )
    return pipe_rows(shown)


def _teachers(inputs: TableInputs) -> list[str]:
    """A line for each teacher: the rows that it teaches, and its size if it was measured."""
    taught: dict[Teacher, list[str]] = {}
    sizes: dict[Teacher, str] = {}
    for row in inputs.table.rows_in(inputs.edition):
        if row.run and row.run.teacher:
            taught.setdefault(row.run.teacher, []).append(escape(row.name))
            network = row.run.teacher_network
            if network and (found := inputs.found.measurements.get(network)):
                size = f"{found.params / 1e6:.1f} M params, {found.macs / 1e9:.1f} G MACs"
                sizes[row.run.teacher] = f" It has {link(size, measurement_file(network))}."
    return [
        f"- {code(str(teacher))} teaches {', '.join(names)}: {teacher.source}.{sizes.get(teacher, '')}"
        for teacher, names in taught.items()
    ]


def measured_where(used: Sequence[Complexity]) -> list[str]:
    """A line for each machine and set of versions that measured."""
    return [f"- Measured {escape(when)} on {escape(where)}." for where, when in _sessions(used).items()]


def uncounted(used: Sequence[Complexity]) -> str:
    """Names of the operators that no counter counts."""
    names = sorted({name.rsplit("::", 1)[-1].rstrip("_") for m in used for name in m.uncounted_operators})
    return ", ".join(code(name) for name in names) or DASH


def _sessions(used: Sequence[Complexity]) -> dict[str, str]:
    """Machine and versions, with the day or days on which they measured."""
    days: dict[str, set[str]] = {}
    for m in used:
        versions = ", ".join(f"{library} {version}" for library, version in m.versions.items())
        days.setdefault(f"{m.machine}, with {versions}", set()).add(m.measured_at[:10])
    return {where: " and ".join(sorted({min(found), max(found)})) for where, found in days.items()}
