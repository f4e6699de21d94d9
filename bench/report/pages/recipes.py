"""Tables of experiment settings: read off the recipes, each value with its source."""

from collections.abc import Iterator
from dataclasses import fields

import pandas as pd

from bench.report.text import DASH, code, escape, pipe
from bench.spec.recipe import UNUSED, Recipe
from bench.spec.table import RecipeTable


def recipes_frame(table: RecipeTable) -> pd.DataFrame:
    """A line for each value that a recipe uses: ``setting``, ``recipe``, ``value`` (as text) and ``source``."""
    return pd.DataFrame(
        [
            {"setting": name, "recipe": recipe.name, "value": value, "source": recipe.sources[name]}
            for recipe in table.recipes
            for name, value in _used(recipe)
        ]
    )


def _beside(table: RecipeTable) -> pd.DataFrame:
    """Settings outside the recipe, with their sources."""
    return pd.DataFrame([{"Setting": s.name, "Value": s.value, "Source": s.source} for s in table.beside]).map(escape)


def recipes_comparison(table: RecipeTable) -> pd.DataFrame:
    """A line a setting and a column a recipe, every cell a string; a dash where a recipe does not use it."""
    frame = recipes_frame(table)
    wide = frame.pivot(index="setting", columns="recipe", values="value").fillna(DASH)
    names = [f.name for f in fields(Recipe) if f.name in wide.index]  # in the order of the recipe
    wide = wide.loc[names, [recipe.name for recipe in table.recipes]]
    return wide.reset_index().rename(columns={"setting": "Setting"}).rename_axis(columns=None)


def recipes_markdown(table: RecipeTable) -> str:
    """The report of one table of settings."""
    name = f"table_{table.number}"
    frame = recipes_frame(table)
    sources = (
        frame.groupby(["setting", "source"], sort=False)["recipe"]
        .agg(lambda names: "all" if len(names) == len(table.recipes) else ", ".join(code(n) for n in names))
        .reset_index()
    )
    order = {f.name: i for i, f in enumerate(fields(Recipe))}
    sources = sources.sort_values("setting", key=lambda names: names.map(order), kind="stable")
    shown = pd.DataFrame(
        {
            "Setting": [code(setting) for setting in sources["setting"]],
            "Recipes": sources["recipe"],
            "Source": sources["source"].map(escape),
        }
    )
    sections = [
        f"# Table {table.number}: {table.title}",
        "These settings are read from the recipes of t2t-bench, not transcribed from the paper. A dash means that a "
        "recipe does not use the setting. `Recipe` in `bench/spec/recipe.py` explains each field.",
        pipe(recipes_comparison(table), text=("Setting",)),
        "\n".join(f"- {code(recipe.name)}: {escape(recipe.summary)}." for recipe in table.recipes),
        "Settings of the authors outside the recipe:",
        pipe(_beside(table), text=("Setting", "Value", "Source")),
        "## Sources",
        pipe(shown, text=("Setting", "Recipes", "Source")),
        f"The same data as CSV: [{name}.csv]({name}.csv).",
    ]
    return "\n\n".join(sections) + "\n"


def _used(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Names and values, as text, of what the recipe uses."""
    for field in fields(recipe):
        if field.compare and field.name != "name" and not recipe.sources[field.name].startswith(UNUSED):
            yield field.name, _text(getattr(recipe, field.name))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value) or "none"
