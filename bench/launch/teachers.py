"""Weights that the command line gives by file or by name: to fine-tune, and of teachers."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.experiments.suites import fine_tunings
from bench.results.files import sha256_of
from bench.results.run_folder import given_file
from bench.spec.errors import RequestError, unknown
from bench.spec.run import RunSpec, Teacher, Weights
from bench.spec.table import Row, Table
from bench.spec.text import complain


def fitting_weights(paths: Iterable[Path], tables: Iterable[Table]) -> tuple[dict[str, Weights], dict[str, str]]:
    """The files of --weights.

    Returns:
        By network of a row that is fine-tuned, its weights; and where they lie, by their sha256.

    Raises:
        RequestError: a file cannot be read, or fits none of the rows, or two fit the same.
    """
    from models.checkpoints import CheckpointError, misfit, networks_of, read_checkpoint

    wanted = dict.fromkeys(row.network.model for table in tables for row in table.rows if row.transfers)
    found: dict[str, Weights] = {}
    files: dict[str, str] = {}
    for path in paths:
        try:
            checkpoint = read_checkpoint(path)
            weights = Weights(file=path.name, sha256=checkpoint.sha256)
        except CheckpointError as error:
            raise RequestError(f"--weights {error}") from error
        except OSError as error:
            raise RequestError(f"--weights {path}: {error.strerror}; give a file of weights") from error
        names = networks_of(checkpoint)
        fitting = [name for name in names if name in wanted]
        if not fitting:
            others = ", ".join(names) or f"no network of t2t-bench, {misfit(checkpoint.weights)}"
            raise RequestError(
                f"--weights {path}: fits none of {', '.join(wanted)}, which are fine-tuned; it fits {others}"
            )
        for name in fitting:
            if name in found:
                raise RequestError(f"--weights {found[name].file} and {path.name} are both of {name}; give one of them")
            found[name] = weights
        files[weights.sha256] = str(path.resolve())
    return found, files


def from_files(rows: Iterable[Row], weights: Mapping[str, Weights]) -> list[RunSpec]:
    """The fine-tunings of the rows whose network the weights fit; says which rows are left out."""
    listed = [row for row in rows if row.transfers]
    if not any(row.network.model in weights for row in listed):
        raise RequestError(f"--weights: none of the files fits {', '.join(row.name for row in listed) or 'these rows'}")
    if stuck := [row.name for row in listed if row.network.model not in weights]:
        complain(f"not fine-tuned, since no file of --weights fits: {', '.join(stuck)}")
    return [spec for row in listed for spec in fine_tunings(row, weights)]


def named_teacher(text: str) -> tuple[Teacher, dict[str, str]]:
    """The teacher of --teacher.

    Returns:
        The teacher; and where its file lies, by its sha256, if it has one.

    Raises:
        RequestError: timm knows no such network, or no weights of it, or the file cannot be read.
    """
    import timm

    import models  # noqa: F401  # registers ours with timm

    name, equals, file = text.partition("=")
    plain, dot, tag = name.partition(".")
    if not timm.is_model(plain):
        close = difflib.get_close_matches(plain.lower(), timm.list_models(), n=5)
        hint = f"; did you mean {' or '.join(close)}?" if close else ";"
        raise RequestError(
            f"--teacher: no model {plain!r}{hint} timm.list_models(pretrained=True) prints those with weights, or give "
            "MODEL=FILE"
        )
    if not equals:
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{plain}.*")]
        if dot and tag not in tags:
            raise unknown(f"weights of {plain}", tag, tags, "or give MODEL=FILE")
        cfg = timm.get_pretrained_cfg(name)
        if cfg is None or not cfg.hf_hub_id:
            raise RequestError(f"--teacher {name}: timm has no weights of it; give {name}=FILE, or a name with a tag")
        return Teacher(f"{cfg.architecture}.{cfg.tag}", source="--teacher on the command line"), {}
    try:
        weights = Weights(file=Path(file).name, sha256=sha256_of(Path(file)))
    except OSError as error:
        raise RequestError(f"--teacher {text}: {file or 'no file'}: {error.strerror}; give MODEL=FILE") from error
    teacher = Teacher(plain, weights=weights, source="--teacher on the command line")
    return teacher, {weights.sha256: str(Path(file).resolve())}


def require_teachers(specs: Iterable[RunSpec], files: Mapping[str, str]) -> None:
    """Build every teacher of a file as its runs will build it, before anything is planned.

    Args:
        specs: the runs.
        files: where the files lie, by sha256.

    Raises:
        RequestError: a file is no whole checkpoint, or not of that network, or of a head for other classes.
    """
    taught = dict.fromkeys((spec.teacher, spec.dataset, spec.img_size) for spec in specs if spec.teacher)
    for teacher, dataset, img_size in taught:
        if teacher.weights is None:
            continue
        from bench.training.build import build_teacher
        from bench.training.data import KNOWN

        known = KNOWN.get(dataset, KNOWN["imagenet"])
        classes = known.num_classes if dataset in KNOWN else None  # others are not opened yet
        path = given_file(teacher.weights, files, "--teacher")
        build_teacher(teacher, path, classes, img_size, (known.mean, known.std))


def find_teachers(specs: Sequence[RunSpec]) -> tuple[dict[str, str], dict[str, str]]:
    """Find the weights of timm's that teach the runs.

    They are fetched here, where there may be a network, and not by each process of a job.

    Returns:
        Where they lie, by name with tag; and by run id, why a run's are not to be had.
    """
    taught = {spec.run_id: spec.teacher.model for spec in specs if spec.teacher and not spec.teacher.weights}
    if not taught:
        return {}, {}
    from bench.training.released_weights import Hub, NotToBeHad, hub_repository

    hub, found, missing = Hub(), {}, {}
    for tag in sorted(set(taught.values())):
        try:
            found[tag] = str(hub.path(tag))
        except NotToBeHad as error:
            missing[tag] = (
                f"no weights of its teacher, {tag}: {error}; with network access, `hf download {hub_repository(tag)} "
                "model.safetensors` fetches them, or name another with --teacher"
            )
    return found, {run_id: missing[tag] for run_id, tag in taught.items() if tag in missing}
