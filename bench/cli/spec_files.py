"""The runs of ``--spec``: those that spec files hold, with the files of weights that they need."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.experiments.suites import Suite, repeated
from bench.launch.labels import labels
from bench.launch.teachers import named_teacher
from bench.results.files import CorruptFile, sha256_of
from bench.results.run_folder import given_file
from bench.results.spec_file import spec_behind
from bench.spec.datasets import require_name
from bench.spec.errors import RequestError
from bench.spec.run import RunSpec


def specs_in(paths: Iterable[Path]) -> list[RunSpec]:
    """The runs of spec files or records, each once.

    Raises:
        RequestError: a file is not there, corrupt, edited or something else, or its data set or network is not known.
    """
    found: dict[str, RunSpec] = {}
    for path in paths:
        try:
            spec = spec_behind(path)
        except FileNotFoundError as error:
            raise RequestError(f"--spec {error.filename or path}: {error.strerror}; give a run's spec.json") from error
        except CorruptFile as error:
            raise RequestError(f"--spec {error}") from error
        for each in spec.family:
            require_name(each.dataset)
        found[spec.run_id] = spec
    _require_networks(found.values())
    return list(found.values())


def _require_networks(specs: Iterable[RunSpec]) -> None:
    """Check that timm knows the networks."""
    import timm

    import models  # noqa: F401  # registers ours with timm

    for spec in specs:
        if not timm.is_model(spec.model):
            raise RequestError(
                f"--spec: {spec.run_id} is of a network {spec.model!r} that neither this version of t2t-bench nor timm "
                "has; use the version of its record"
            )


def _families(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """The runs, and those that they start from."""
    return [one for spec in specs for one in spec.family]


def files_for(
    specs: Sequence[RunSpec], weights: Iterable[Path], teacher: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Find the runs that the files of --weights and --teacher are for.

    Returns:
        Where the files of weights lie, and those of teachers, by sha256.

    Raises:
        RequestError: no run needs a file, or it cannot be read.
    """
    needed = {spec.weights.sha256: spec.weights for spec in _families(specs) if spec.weights}
    files: dict[str, str] = {}
    for path in weights:
        try:
            digest = sha256_of(path)
        except OSError as error:
            raise RequestError(f"--weights {path}: {error.strerror}; give a file of weights") from error
        if digest not in needed:
            wanted = ", ".join(map(str, needed.values())) or "no file"
            raise RequestError(f"--weights {path} (sha256 {digest[:8]}...): the runs of --spec need {wanted}")
        files[digest] = str(path.resolve())
    if teacher is None:
        return files, {}
    given, teachers = named_teacher(teacher)
    if given not in [spec.teacher for spec in _families(specs)]:
        wanted = ", ".join(dict.fromkeys(str(spec.teacher) for spec in _families(specs) if spec.teacher)) or "nobody"
        raise RequestError(f"--teacher {teacher}: the runs of --spec learn from {wanted}")
    return files, teachers


def require_weights(specs: Iterable[RunSpec], files: Mapping[str, str]) -> None:
    """Check that the files are given that the runs start from.

    Raises:
        RequestError: one is not; names it.
    """
    for spec in _families(specs):
        if spec.weights:
            given_file(spec.weights, files, "--weights")


def repeated_suite(specs: Sequence[RunSpec]) -> tuple[Suite, tuple[int, ...]]:
    """The suite of the runs, one entry for those that differ in the seed alone; and the seeds, where there are more."""
    alike: dict[str, RunSpec] = {}
    for spec in specs:
        alike.setdefault(spec.with_seed(0).run_id, spec)
    named = labels([spec.with_seed(0) for spec in alike.values()])
    seeds = tuple(dict.fromkeys(spec.seed for spec in specs))
    return repeated({named[key]: spec for key, spec in alike.items()}), seeds if len(specs) > len(alike) else ()
