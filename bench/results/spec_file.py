"""spec.json, which holds a run's spec in its folder, sources included."""

from pathlib import Path

from bench.results.codec import Values, plain
from bench.results.files import corrupt, read, write_changed
from bench.results.record import RunRecord
from bench.spec.recipe import YOUNGER_FIELDS
from bench.spec.run import RunSpec, is_run_id


def load_spec(folder: Path) -> RunSpec:
    """The spec of the run that a folder is of.

    Raises:
        FileNotFoundError: there is none.
        CorruptFile: it cannot be read, or is not a run's spec.
    """
    return _read(folder / "spec.json", "give the command that began the run again, which writes it anew")


def spec_behind(path: Path) -> RunSpec:
    """The spec of a run from a file of its evidence, so that it can be trained again.

    Args:
        path: a record.json, with the spec.json beside it; or a spec.json, by any name.

    Raises:
        FileNotFoundError: there is none.
        CorruptFile: it cannot be read, is neither, was edited, or is another run's than its record or folder says.
    """
    remedy = "give the spec.json or record.json of a run as it was written"
    folder = path.absolute().parent.name
    run_id = folder if is_run_id(folder) else ""
    if path.name == "record.json":
        run_id = read(path, RunRecord, remedy=remedy).run_id
        path = path.with_name("spec.json")
    spec = _read(path, remedy)
    if not is_run_id(spec.run_id):
        raise corrupt(path, f"{spec.run_id!r} cannot be the id of a run", remedy)
    if run_id not in ("", spec.run_id):
        raise corrupt(path, f"it was edited, or is another run's: it holds {spec.run_id} and not {run_id}", remedy)
    return spec


def _read(path: Path, remedy: str) -> RunSpec:
    return read(path, RunSpec, checksum=False, upgrade=_with_younger_fields, remedy=remedy)


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
