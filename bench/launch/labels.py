"""Short labels that tell runs apart, such as the values of a sweep."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from bench.spec.run import RunSpec


def settings(specs: Mapping[str, RunSpec]) -> dict[str, str]:
    """The settings that tell each run from others of its network, data set and recipe, except for the seed.

    Args:
        specs: of the runs, by run id.

    Returns:
        By run id, ``lr=1e-3 weight_decay=0.05`` for example; empty where there is nothing.
    """
    groups: dict[tuple[str, str, str], dict[str, dict[str, object]]] = defaultdict(dict)
    for run_id, spec in specs.items():
        groups[spec.model, spec.dataset, spec.recipe.name][run_id] = values_of(spec)
    found = {}
    for group in groups.values():
        first = next(iter(group.values()))
        others = [values for values in group.values() if values != first]
        names = dict.fromkeys(name for values in (first, *others) for name in values)
        differ = [name for name in names if any(values.get(name) != first.get(name) for values in others)]
        for run_id, values in group.items():
            found[run_id] = " ".join(f"{name}={number(values[name])}" for name in differ if name in values)
    return found


def labels(specs: Sequence[RunSpec]) -> dict[str, str]:
    """A short name for each run: its network and whatever tells it from the others, by run id."""
    own = settings({spec.run_id: spec for spec in specs})
    datasets, recipes = {spec.dataset for spec in specs}, {spec.recipe.name for spec in specs}
    seeds = {spec.seed for spec in specs}
    return {
        spec.run_id: " ".join(
            [
                spec.model,
                *([own[spec.run_id]] if own[spec.run_id] else []),
                *([f"s{spec.seed}"] if len(seeds) > 1 else []),
                *([spec.recipe.name] if len(recipes) > 1 else []),
                *([spec.dataset] if len(datasets) > 1 else []),
            ]
        )
        for spec in specs
    }


def number(value: object) -> str:
    """The shorter of ``0.05`` and ``5e-2``; what is no number as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    mantissa, _, exponent = f"{value:e}".partition("e")
    scientific = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    exact = float(scientific) == value and len(scientific) < len(f"{value:g}")
    return scientific if exact else str(value)


def values_of(spec: RunSpec) -> dict[str, object]:
    """All that may differ but the seed, by name."""
    values = spec.identity()
    recipe, model_args = values.pop("recipe"), values.pop("model_args")
    assert isinstance(recipe, dict)
    assert isinstance(model_args, list)
    del values["seed"]
    if spec.start_from:  # whose seed is the run's own
        values["start_from"] = spec.start_from.run_id.rpartition("-s")[0]
    return {**values, **dict(model_args), **recipe}
