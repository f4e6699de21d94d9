"""The networks, weights and photograph of Figure 2; measures what is missing."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.experiments.budgets import SUITES
from bench.measure.collect import tell_problems
from bench.measure.feature_maps import Photograph, is_current, measure
from bench.paper import TABLES
from bench.paper.figure_2 import SHOWN
from bench.paper.released import RELEASED
from bench.results.dead_channels import DeadChannels, dead_channels_id
from bench.results.feature_maps import FeatureMaps, FeatureSource
from bench.results.files import CorruptFile, require_writable, sha256_of
from bench.results.run_folder import RunRecords, last_checkpoint, last_checksum, load_record
from bench.results.spec_file import load_spec
from bench.results.store import load_dead_channels, load_feature_maps, save_feature_maps
from bench.spec.contents import DATASETS
from bench.spec.errors import RequestError
from bench.spec.recipe import Recipe
from bench.spec.run import Network, RunSpec, Weights
from bench.spec.text import at_words

if TYPE_CHECKING:
    from models.checkpoints import Checkpoint

UNTRAINED_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Feature maps that have yet to be measured."""

    source: FeatureSource
    recipe: Recipe
    """by whose evaluation the photograph is cropped"""
    dataset: str
    path: Path | None = None
    """of the weights' file"""
    checkpoint: "Checkpoint | None" = None
    """what was read of it, if it was"""


def open_photograph(path: Path | None) -> Photograph:
    """The photograph of a file, upright, or the one that matplotlib ships.

    Raises:
        RequestError: it is not there, or no image.
    """
    from PIL import ImageOps

    from bench.training.pixels import UnknownRange, no_warnings, open_image, to_rgb

    if path is None:
        from matplotlib.cbook import get_sample_data

        path = Path(get_sample_data("grace_hopper.jpg", asfileobj=False))
    try:
        with no_warnings():
            upright = to_rgb(ImageOps.exif_transpose(open_image(path)))
    except Exception as error:  # whatever a decoder raises
        reason = (isinstance(error, OSError) and error.strerror) or "not a whole image that can be read"
        reason = str(error) if isinstance(error, UnknownRange) else reason
        raise RequestError(f"--image {path}: {reason}; give a photograph, as a JPEG or PNG file") from error
    return Photograph(name=path.name, sha256=sha256_of(path), image=upright)


def require_feature_maps(
    photograph: Photograph, weights: Sequence[Path], runs: Path
) -> tuple[list[FeatureMaps], list[str]]:
    """The maps that Figure 2 shows, measured where they are missing, and a line on each that could not be.

    Args:
        photograph: to show features of.
        weights: files of weights, or folders or ids of finished runs; none for the paper's networks.
        runs: the folder of measurements and runs.

    Raises:
        RequestError: weights of the command line that cannot be used.
    """
    known, problems = _known(photograph, runs)
    tell_problems(problems)
    if weights:
        wanted = [_given(path, known, runs) for path in dict.fromkeys(weights)]
    else:
        records = RunRecords(runs)
        wanted = _default(known, records)
        tell_problems(records.problems)
    todo = [one for one in wanted if isinstance(one, Missing)]
    failures: list[str] = []
    found: dict[str, FeatureMaps] = {}
    for one in wanted:
        if isinstance(one, Missing):
            from models.checkpoints import CheckpointError

            try:
                one = _measured(one, photograph, runs, f"[{todo.index(one) + 1}/{len(todo)}]")
            except CheckpointError as error:
                failures.append(str(error))
                continue
        found.setdefault(one.feature_maps_id, one)
    if not found:
        raise RequestError(f"no features to show: {failures[0]}; give other files with --weights")
    return list(found.values()), failures


def known_dead_channels(shown: Iterable[FeatureMaps], runs: Path) -> tuple[dict[str, DeadChannels], list[str]]:
    """Counts of dead channels of the trained ones of these networks, and a line on each corrupt file of them.

    Returns:
        By ``FeatureMaps.feature_maps_id``, as far as they were counted.
    """
    found, problems = {}, []
    for one in shown:
        if one.source.weights:
            try:
                counts = load_dead_channels(runs, dead_channels_id(one.source))
            except CorruptFile as error:
                problems.append(str(error))
                continue
            if counts:
                found[one.feature_maps_id] = counts
    return found, problems


def known_feature_maps(records: RunRecords) -> dict[str, FeatureMaps]:
    """Feature maps of the paper's networks on matplotlib's photograph, by name, as far as they were measured."""
    known, _ = _known(open_photograph(None), records.runs)
    chosen = zip(SHOWN, _default(known, records), strict=True)
    return {name: one for name, one in chosen if isinstance(one, FeatureMaps)}


def dead_channels_in_figure_2(records: RunRecords) -> dict[str, DeadChannels]:
    """Counts of dead channels of the networks that Figure 2 shows by default, by the paper's names."""
    maps = known_feature_maps(records)
    counts, _ = known_dead_channels(maps.values(), records.runs)
    return {name: counts[one.feature_maps_id] for name, one in maps.items() if one.feature_maps_id in counts}


def _known(photograph: Photograph, runs: Path) -> tuple[list[FeatureMaps], list[str]]:
    """Current feature maps of the photograph, the newest first, and a line on each file that is not used."""
    found, problems = load_feature_maps(runs)
    held = [one for one in found if one.image_sha256 == photograph.sha256 and is_current(one)]
    return sorted(held, key=lambda one: one.measured_at, reverse=True), problems


def _measured(missing: Missing, photograph: Photograph, runs: Path, place: str) -> FeatureMaps:
    require_writable(runs, "--runs")
    found = measure(missing.source, missing.checkpoint or missing.path, photograph, missing.recipe, missing.dataset)
    save_feature_maps(runs, found)
    network = missing.source.network
    line = (
        f"{place} {network} at {network.img_size} px, {found.weights}: {len(found.layers)} layers, "
        f"{found.dead_pct:.1f} % of their channels dead"
    )
    print(at_words(line, sys.stderr), file=sys.stderr, flush=True)
    return found


def _default(known: Sequence[FeatureMaps], records: RunRecords) -> list[FeatureMaps | Missing]:
    """Each of the paper's networks with the weights of its finished run, else those it was shown with last, else none.

    The latter are of a file or run that ``--weights`` gave, trained on the same data at the same resolution.
    """
    return [
        _of_finished_run(candidates, known, records)
        or next((one for one in known if _is_trained_as(one, candidates[0])), None)
        or _untrained(candidates[0], known)
        for candidates in SHOWN.values()
    ]


def _of_finished_run(
    candidates: Iterable[RunSpec], known: Sequence[FeatureMaps], records: RunRecords
) -> FeatureMaps | Missing | None:
    trained = [run.with_seed(int(str(r.spec["seed"]))) for run in candidates for r in records.of(run) if r.is_whole]
    for run in trained:
        try:
            return _of_run(run, records.runs / run.run_id, known)
        except RequestError as error:
            records.problems.append(f"{run.run_id}: {error}")
    return None


def _is_trained_as(one: FeatureMaps, run: RunSpec) -> bool:
    return one.source.weights is not None and (one.source.network, one.dataset) == (run.network, run.dataset)


def _untrained(run: RunSpec, known: Sequence[FeatureMaps]) -> FeatureMaps | Missing:
    source = FeatureSource(network=run.network, seed=UNTRAINED_SEED)
    missing = Missing(source=source, recipe=run.recipe, dataset=run.dataset)
    return next((one for one in known if one.source == source), missing)


def _of_run(run: RunSpec, folder: Path, known: Sequence[FeatureMaps]) -> FeatureMaps | Missing:
    """Feature maps of a finished run's final weights.

    Raises:
        RequestError: its last checkpoint cannot be used, and nothing is known of it.
    """
    recorded = last_checksum(folder)
    for one in known:  # its checkpoint may be gone by now
        if one.source.run_id == run.run_id and one.source.weights and recorded in ("", one.source.weights.sha256):
            return one
    path, problem = last_checkpoint(folder)
    if path is None:
        raise RequestError(f"its last checkpoint cannot be used ({problem})")
    weights = Weights(file=path.name, sha256=recorded)
    source = FeatureSource(network=run.network, weights=weights, run_id=run.run_id)
    return Missing(source=source, recipe=run.recipe, dataset=run.dataset, path=path)


def run_folder(path: Path, runs: Path) -> Path | None:
    """The run's folder that ``--weights`` names, by its path or by the run's id; None if it names a file."""
    return next((folder for folder in (path, runs / path) if folder.is_dir()), None)


def _given(path: Path, known: Sequence[FeatureMaps], runs: Path) -> FeatureMaps | Missing:
    """The source named by ``--weights``: a file of weights or a finished run.

    Raises:
        RequestError: it is neither, or cannot be used.
    """
    folder = run_folder(path, runs)
    if folder is None:
        return _of_file(path, known)
    try:
        run = load_spec(folder)
        record = load_record(folder)
    except (ValueError, OSError) as error:
        reason = f"no {Path(error.filename).name}" if isinstance(error, OSError) else str(error)
        raise RequestError(f"--weights {path}: no run's folder ({reason}); give a finished run's or a file") from error
    if record is None or record.status != "completed":
        state = record.status if record else "not begun"
        raise RequestError(f"--weights {path}: the run is {state}; give a finished one, or a file of weights")
    try:
        return _of_run(run, folder, known)
    except RequestError as error:
        raise RequestError(f"--weights {path}: {error}; give another run, or a file of weights") from error


def _of_file(path: Path, known: Sequence[FeatureMaps]) -> FeatureMaps | Missing:
    try:
        sha256 = sha256_of(path)
        for one in known:
            if not one.source.run_id and one.source.weights and one.source.weights.sha256 == sha256:
                return one
        from models.checkpoints import CheckpointError, read_checkpoint

        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            raise RequestError(f"--weights {error}") from error
    except OSError as error:
        raise RequestError(
            f"--weights {path}: {error.strerror}; give a file of weights, or the folder or id of a finished run"
        ) from error
    model = _model_of(checkpoint)
    classes = next((len(checkpoint.weights[name]) for name in _HEADS if name in checkpoint.weights), 0)
    dataset = next((name for name in _BY_CLASSES if DATASETS[name].num_classes == classes), "imagenet")
    weights = Weights(file=path.name, sha256=checkpoint.sha256)
    return Missing(
        source=FeatureSource(network=Network(model, img_size=_img_size(checkpoint)), weights=weights),
        recipe=_recipe(model, dataset),
        dataset=dataset,
        checkpoint=checkpoint,
    )


_HEADS = ("head.weight", "fc.weight", "classifier.weight")
_BY_CLASSES = ("imagenet", "cifar10", "cifar100")
"""data sets that a head's number of classes stands for"""


def _model_of(checkpoint: "Checkpoint") -> str:
    """The network that a file's weights fit; of several alike the one of which weights were released.

    Raises:
        RequestError: they fit none, or several.
    """
    from models.checkpoints import misfit, networks_of

    fitting = networks_of(checkpoint) or networks_of(checkpoint, others=dict.fromkeys(run.model for run in _runs()))
    released = {run.model for run in RELEASED}
    fitting = [name for name in fitting if name in released] or fitting
    if not fitting:
        raise RequestError(
            f"--weights {checkpoint.path}: they fit no network of t2t-bench, {misfit(checkpoint.weights)}; give those "
            "of one"
        )
    if len(fitting) > 1:
        raise RequestError(
            f"--weights {checkpoint.path}: they fit {' and '.join(fitting)}; give the folder of their run, which says "
            "which they are"
        )
    return fitting[0]


def _img_size(checkpoint: "Checkpoint") -> int:
    """The resolution that a table of positions is for; 224 where there is none.

    Raises:
        RequestError: it is for no square image, or for one too large to look at.
    """
    from models.checkpoints import CheckpointError, img_size

    if "pos_embed" not in checkpoint.weights:
        return 224
    try:
        side = img_size(checkpoint)
    except CheckpointError as error:
        raise RequestError(f"--weights {error}") from error
    if side > LARGEST_PX:
        raise RequestError(
            f"--weights {checkpoint.path}: pos_embed is for images of {side} px, and Figure 2 is of {LARGEST_PX} px at "
            "most; give other weights"
        )
    return side


LARGEST_PX = 1024
"""the attention in a network takes memory by the fourth power of it"""


def _runs() -> list[RunSpec]:
    """All runs of the paper's tables and of the budgets."""
    of_rows = [run for table in TABLES.values() for row in table.rows for run in row.runs]
    return [*of_rows, *(run for suite in SUITES.values() for run in suite.values())]


def _recipe(model: str, dataset: str) -> Recipe:
    """The recipe by which a network is evaluated on a data set, or else on any."""
    of_model = [run for run in _runs() if run.model == model]
    return next((run.recipe for run in of_model if run.dataset == dataset), of_model[0].recipe)
