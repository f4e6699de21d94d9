"""spec.json, which holds a run's spec in its folder, sources included."""

from pathlib import Path

from bench.results.codec import Values, plain
from bench.results.files import read, write_changed
from bench.spec.recipe import YOUNGER_FIELDS
from bench.spec.run import RunSpec


def load_spec(folder: Path) -> RunSpec:
    """The spec of the run that a folder is of.

    Raises:
        FileNotFoundError: there is none.
        CorruptFile: it cannot be read, or is not a run's spec.
    """
    remedy = "give the command that began the run again, which writes it anew"
    return read(folder / "spec.json", RunSpec, checksum=False, upgrade=_with_younger_fields, remedy=remedy)


def save_spec(folder: Path, spec: RunSpec) -> None:
    """Write the spec into the run's folder, unless it is there in the same words.

    It is not flushed, which would take most of the time of submitting a thousand runs: what a power cut may lose within
    seconds of the command, the same command writes anew.
    """
    write_changed(folder / "spec.json", plain(spec), flushed=False)


def _with_younger_fields(values: Values) -> Values:
    """The values of a spec with those fields of a recipe that are younger than the file."""
    recipe, parent = values.get("recipe"), values.get("start_from")
    if isinstance(recipe, dict) and (younger := YOUNGER_FIELDS.keys() - recipe.keys()):
        sources = recipe.get("sources")
        if isinstance(sources, dict):
            sources = sources | dict.fromkeys(sorted(younger), "the recipe is older than this field")
        values = values | {"recipe": YOUNGER_FIELDS | recipe | {"sources": sources}}
    if isinstance(parent, dict):
        values = values | {"start_from": _with_younger_fields(parent)}
    return values
