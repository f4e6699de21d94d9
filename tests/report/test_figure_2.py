"""Figure 2: what it draws, what its page says, and which weights it is of."""

import csv
import dataclasses
import io
import re

import numpy as np
import pytest
import timm
import torch
from PIL import Image

import bench.cli.main
import bench.measure.feature_sources
from bench.measure.feature_maps import is_current
from bench.measure.feature_sources import (
    Missing,
    _default,
    _known,
    _model_of,
    _of_file,
    _recipe,
    known_feature_maps,
    open_photograph,
)
from bench.paper.figure_2 import GRACE_HOPPER_SHA256, SHOWN
from bench.report.figures.figure_2 import figure_2
from bench.report.figures.plots import saved
from bench.report.pages.figure_2 import figure_2_files, figure_2_markdown, name_of, names_of
from bench.results.codec import sealed
from bench.results.feature_maps import FeatureSource
from bench.results.run_folder import RunRecords, load_record
from bench.results.store import load_feature_maps, save_feature_maps
from bench.spec.errors import RequestError
from bench.spec.run import Network, Weights
from models.checkpoints import Checkpoint, read_checkpoint
from tests.cli.test_main import without
from tests.measure.test_feature_maps import feature_maps, layer
from tests.report.test_evidence import read, rows_of, shows, tables_of
from tests.report.test_frame import over_seeds

PHOTOGRAPH = np.zeros((40, 30, 3), np.uint8)


def some_maps():
    """Of an untrained ResNet50, and of a trained T2T-ViT-7 with more layers than are shown."""
    untrained = feature_maps(dead=(10, 20, 30, 40, 50))
    layers = tuple(
        layer(f"blocks.{i}", dead=100 * i, saturated=5 if i == 8 else 0, shown_dead=(1,) if i == 8 else (),
              shown_saturated=(3,) if i == 8 else ())
        for i in range(9)
    )  # fmt: skip
    trained = feature_maps("t2t_vit_7", trained=True, layers=layers)
    return [untrained, trained]


# The picture


def test_a_band_of_maps_a_network_from_early_to_late():
    figure = figure_2(some_maps(), PHOTOGRAPH)
    first, second, last = figure.subfigs
    assert first._suptitle.get_text() == "ResNet50: untrained (random weights, seed 0)"
    assert second._suptitle.get_text() == "T2T-ViT-7: averaged weights of file weights.pth (sha256 11111111)"
    titles = [axes.get_title().partition(":")[0] for axes in second.axes]
    assert titles == ["blocks.0", "blocks.2", "blocks.4", "blocks.6", "blocks.8"]
    assert second.axes[1].get_title() == "blocks.2: 1000 ch., 2 x 2\ndead 20.0 %, sat. 0.0 %"
    assert [len(axes.images) for axes in first.axes] == [2] * 5
    assert first.axes[0].images[1].get_array().tolist() == [[4, 5], [6, 7]]
    assert all(image.get_clim() == (0, 255) for axes in first.axes for image in axes.images)
    image, dead, saturated = last.axes
    assert image.images[0].get_array().shape == PHOTOGRAPH.shape
    assert [axes.get_ylabel() for axes in (dead, saturated)] == ["dead channels (%)", "saturated channels (%)"]


def test_frames_tell_dead_and_saturated_maps_apart():
    figure = figure_2(some_maps(), PHOTOGRAPH)
    *others, last = figure.subfigs[1].axes
    assert not any(axes.patches for axes in others)
    dead, saturated = last.patches
    assert (dead.get_x(), saturated.get_x()) == (0, pytest.approx(1.12))
    assert dead.get_edgecolor() != saturated.get_edgecolor()
    assert dead.get_linestyle() != saturated.get_linestyle()


def test_curves_are_the_shares_by_depth():
    figure = figure_2(some_maps(), PHOTOGRAPH)
    _, dead, saturated = figure.subfigs[-1].axes
    curves = {line.get_label(): line for line in dead.lines}
    assert list(curves) == ["ResNet50, untrained", "T2T-ViT-7, trained"]
    assert curves["ResNet50, untrained"].get_xdata().tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curves["ResNet50, untrained"].get_ydata().tolist() == [1, 2, 3, 4, 5]
    assert curves["T2T-ViT-7, trained"].get_ydata().tolist() == [10.0 * i for i in range(9)]
    assert saturated.lines[1].get_ydata().tolist() == [0.0] * 8 + [0.5]
    assert len({(line.get_color(), line.get_marker()) for line in dead.lines}) == 2
    assert len({line.get_marker() for line in dead.lines}) == 2
    assert dead.get_ylim()[1] > 80


def test_the_legend_stays_inside_the_figure():
    several = [feature_maps(f"t2t_vit_{depth}", dead=(1, 2)) for depth in (7, 10, 12, 14, 19, 24)]
    for found in (some_maps(), several):
        figure = figure_2(found, PHOTOGRAPH)
        figure.draw_without_rendering()
        (legend,) = figure.subfigs[-1].legends
        assert [text.get_text() for text in legend.get_texts()][-2:] == ["dead", "saturated"]
        box = legend.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_files_are_the_same_each_time():
    assert figure_2_files(some_maps()) == figure_2_files(some_maps())
    first, second = (saved(figure_2(some_maps(), PHOTOGRAPH)) for _ in range(2))
    assert first == second
    assert first["png"].startswith(b"\x89PNG")
    assert b"<svg" in first["svg"]


# The page


def test_the_page_has_every_count_and_its_evidence():
    found = some_maps()
    text = figure_2_markdown(found)
    assert "**Untrained: ResNet50.**" in text
    for name, one in zip(("ResNet50", "T2T-ViT-7"), found, strict=True):
        for each in one.layers:
            assert re.search(rf"\| {name} +\| `{each.name}` .*\| +{each.dead} \| +{each.dead_pct:.1f} \|", text)
        assert text.count(f"](evidence/feature_maps/{one.feature_maps_id}.json)") == 2
    assert "at most 1 % of the layer's root mean square" in text
    assert "more than 10 times the median" in text
    assert "`photograph.png` (sha256 `22222222`). Each band" in text
    assert f"file sha256 `{'1' * 64}`, under `ema` in it" in text
    lines = list(csv.DictReader(io.StringIO(str(figure_2_files(found)["csv"]))))
    assert len(lines) == 14
    assert (lines[6]["network"], lines[6]["layer"], lines[6]["depth"]) == ("t2t_vit_7", "blocks.1", "0.125")
    assert (lines[6]["dead"], lines[6]["dead_pct"], lines[6]["trained"]) == ("100", "10.0", "True")
    assert lines[6]["measured_in"] == f"evidence/feature_maps/{found[1].feature_maps_id}.json"


def test_the_page_of_trained_networks_says_so():
    text = figure_2_markdown([feature_maps(trained=True)])
    assert "All weights are trained." in text
    assert "ntrained:" not in text


def test_the_bundled_photograph_is_named():
    bundled = open_photograph(None)
    assert bundled.sha256 == GRACE_HOPPER_SHA256
    assert bundled.image.size == (512, 600)
    text = figure_2_markdown([feature_maps(image=bundled.name, image_sha256=bundled.sha256)])
    assert "Grace Hopper, which matplotlib ships" in text


def test_names_are_the_papers():
    assert (
        [name_of(runs[0].network) for runs in SHOWN.values()] == list(SHOWN) == ["ResNet50", "ViT-L/16", "T2T-ViT-24"]
    )
    assert name_of(Network("mobilenetv2_100")) == "MobileNetV2 1.0x"
    assert name_of(Network("t2t_vit_7", img_size=96)) == "T2T-ViT-7 at 96 px"
    assert name_of(Network("t2t_vit_7", model_args=(("depth", 2),))) == "t2t_vit_7(depth=2)"
    twice = [feature_maps(trained=trained) for trained in (False, True)]
    assert names_of([*twice, feature_maps("resnet101")]) == ["ResNet50 (1)", "ResNet50 (2)", "ResNet101"]


# Which weights


def of_run(run, sha256="8" * 64):
    source = FeatureSource(network=run.network, run_id=run.run_id, weights=Weights(file="epoch.pt", sha256=sha256))
    return dataclasses.replace(feature_maps(), source=source)


def with_record(tmp_path, run, **changes):
    """The records of a folder with a finished run of the paper's in it."""
    (record,) = over_seeds(run.run_id, 76.0)
    record = dataclasses.replace(record, run_id=run.run_id, spec=run.identity(), **changes)
    (tmp_path / run.run_id).mkdir()
    (tmp_path / run.run_id / "record.json").write_text(sealed(dataclasses.asdict(record)))
    return RunRecords(tmp_path)


def test_without_weights_all_three_are_untrained(tmp_path):
    chosen = _default([], RunRecords(tmp_path))
    assert [(one.source.network.model, one.source.seed) for one in chosen] == [
        ("resnet50", 0),
        ("vit_large_patch16_224", 0),
        ("t2t_vit_24", 0),
    ]
    untrained = feature_maps()
    assert _default([untrained], RunRecords(tmp_path))[0] is untrained


@pytest.mark.parametrize("number", [0, 1])
def test_a_finished_run_of_the_papers_is_shown_instead(tmp_path, number):
    run = SHOWN["ResNet50"][number].with_seed(7)
    records = with_record(tmp_path, run)
    known = [feature_maps(trained=True), of_run(run)]
    assert _default(known, records)[0] is known[1]
    assert records.problems == []


def test_a_run_whose_checkpoint_cannot_be_used_is_named(tmp_path):
    run = SHOWN["ResNet50"][0]
    records = with_record(tmp_path, run)
    assert _default([], records)[0].source.seed == 0
    assert records.problems == [f"{run.run_id}: its last checkpoint cannot be used (it is gone)"]


def test_a_run_that_was_trained_anew_is_measured_anew(tmp_path):
    run = SHOWN["ResNet50"][0]
    records = with_record(tmp_path, run)
    folder = tmp_path / run.run_id / "checkpoints"
    folder.mkdir()
    path = folder / "epoch-00300-step-0000000.pt"
    path.write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    path.with_suffix(".pt.sha256").write_text(f"{empty}  {path.name}\n")
    (chosen, *_) = _default([of_run(run)], records)
    assert isinstance(chosen, Missing)
    assert (chosen.source.run_id, chosen.source.weights.sha256, chosen.path) == (run.run_id, empty, path)
    known = of_run(run, empty)
    assert _default([known], records)[0] is known


@pytest.mark.parametrize("changes", [{"status": "interrupted"}, {"data": {}}])
def test_a_run_that_is_not_whole_is_not(tmp_path, changes):
    records = with_record(tmp_path, SHOWN["ResNet50"][0], **changes)
    assert _default([], records)[0].source.seed == 0
    assert records.problems == []


def test_weights_that_were_given_before_are_shown_again_if_they_are_for_the_same(tmp_path):
    untrained, given = feature_maps(), feature_maps(trained=True)
    assert _default([untrained, given], RunRecords(tmp_path))[0] is given
    for changes in (
        {"dataset": "cifar10"},
        {"source": dataclasses.replace(given.source, network=Network("resnet50", img_size=96))},
    ):
        assert _default([untrained, dataclasses.replace(given, **changes)], RunRecords(tmp_path))[0] is untrained


def test_the_maps_of_the_claims_are_those_of_the_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(bench.measure.feature_sources, "is_current", lambda one: True)
    bundled = open_photograph(None)
    here, elsewhere = (
        dataclasses.replace(feature_maps(trained=True), image_sha256=sha256) for sha256 in (bundled.sha256, "9" * 64)
    )
    for one in (here, elsewhere):
        save_feature_maps(tmp_path, one)
    assert known_feature_maps(RunRecords(tmp_path)) == {"ResNet50": here}


def test_of_weights_that_were_given_the_last_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(bench.measure.feature_sources, "is_current", lambda one: True)
    bundled = open_photograph(None)
    for digit, day in (("4", 2), ("5", 9), ("6", 5)):
        given = feature_maps(trained=True, image_sha256=bundled.sha256, measured_at=f"2026-01-{day:02}T03:04:05+00:00")
        source = dataclasses.replace(given.source, weights=Weights(file="weights.pth", sha256=digit * 64))
        save_feature_maps(tmp_path, dataclasses.replace(given, source=source))
    found, problems = _known(bundled, tmp_path)
    assert ([one.source.weights.sha256[0] for one in found], problems) == (["5", "6", "4"], [])
    assert known_feature_maps(RunRecords(tmp_path))["ResNet50"].source.weights.sha256[0] == "5"


# Files of weights


@pytest.fixture(scope="module")
def t2t_file(tmp_path_factory):
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "some.pth"
    net = timm.create_model("t2t_vit_7", img_size=32, num_classes=10)
    torch.save({"ema": net.state_dict()}, path)
    return path


def test_a_file_tells_network_resolution_and_data(t2t_file):
    missing = _of_file(t2t_file, [])
    assert missing.source.network == Network("t2t_vit_7", img_size=32)
    assert missing.source.weights.sha256 == read_checkpoint(t2t_file).sha256
    assert missing.dataset == "cifar10"
    known = feature_maps()
    known = dataclasses.replace(known, source=missing.source)
    assert _of_file(t2t_file, [known]) is known


def shapes_of(model):
    with torch.device("meta"):
        return Checkpoint(path="file.pth", weights=timm.create_model(model).state_dict(), key="")


@pytest.mark.parametrize("model", ["t2t_vit_14", "vit_large_patch16_224", "resnet50", "test_resnet", "mobilenetv2_100"])
def test_networks_are_known_by_their_weights(model):
    assert _model_of(shapes_of(model)) == model


def test_weights_that_fit_none_or_several_are_refused():
    with pytest.raises(RequestError, match=r"file.pth: they fit vit_s_16 and vit_s_16_resnext; give the folder"):
        _model_of(shapes_of("vit_s_16"))
    with pytest.raises(RequestError, match=r"file.pth: they fit no network of t2t-bench"):
        _model_of(shapes_of("test_vit"))


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        (torch.zeros(1, 0, 256), "of no square image"),
        (torch.zeros(1, 1, 256), "of no square image"),
        (torch.zeros(1, 99, 256), "of no square image"),
        (torch.zeros(1, 1, 1).expand(1, 1 + 10**10, 256), "more values than the file holds"),
        (torch.zeros(1, 1 + 65**2, 256), "is for images of 1040 px, and Figure 2 is of 1024 px at most"),
    ],
)
def test_positions_of_no_image_to_look_at_are_one_line(positions, words, tmp_path, capsys):
    path = tmp_path / "file.pth"
    torch.save(timm.create_model("t2t_vit_7").state_dict() | {"pos_embed": positions}, path)
    arguments = ["figure", "2", "--weights", path, "--runs", tmp_path / "runs", "--reports", tmp_path]
    assert bench.cli.main.main([str(argument) for argument in arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--weights" in line
    assert "file.pth" in line
    assert words in line


def test_the_crop_is_that_of_the_networks_own_recipe():
    assert _recipe("resnet50", "imagenet").crop_pct == 0.875
    assert _recipe("t2t_vit_14", "cifar10").name == "cifar_transfer"
    assert _recipe("t2t_vit_7", "cifar10").name == "pilot"
    assert _recipe("t2t_vit_10", "cifar10") == _recipe("t2t_vit_10", "imagenet")


# The command line


@pytest.fixture(scope="module")
def trained(run_all, tmp_path_factory):
    """A folder of runs with a tiny ResNet trained in it, and the id of its run."""
    runs = tmp_path_factory.mktemp("trained") / "runs"
    options = ("--runs", runs, "--reports", runs.parent / "reports")
    done = run_all("--budget", "smoke", "--only", "tiny ResNet", "--run", "local", *options)
    assert done.returncode == 0, done.stderr
    (folder,) = runs.glob("test_resnet-*")
    return runs, folder.name


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a photograph.png"
    Image.effect_noise((80, 60), 60).save(path)
    return path


def test_a_finished_run_is_shown_by_its_id_or_folder_and_again_without_torch(trained, run_all, picture, tmp_path):
    runs, run_id = trained
    options = ("--runs", runs, "--image", picture)
    first = run_all("figure", 2, "--weights", run_id, *options, "--reports", tmp_path / "first")
    assert first.returncode == 0, first.stderr
    assert f"[1/1] test_resnet at 32 px, averaged weights of run {run_id}: 5 layers" in first.stderr
    page = (tmp_path / "first" / "figure_2.md").read_text()
    assert "All weights are trained." in page
    assert "`a photograph.png`" in page
    assert "normalised by mean 0.5 0.5 0.5 and deviation 0.25 0.25 0.25" in page
    (link,) = set(re.findall(r"\]\((evidence/[^)]+)\)", page))
    assert (tmp_path / "first" / link).exists()
    (kept,) = load_feature_maps(runs)[0]
    assert is_current(kept)
    again = run_all(
        "figure", 2, "--weights", runs / run_id, *options, "--reports", tmp_path / "again", code=without("torch")
    )
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""
    for name in ("figure_2.md", "figure_2.csv", "figure_2.png", "figure_2.svg"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_file_is_shown_too_and_what_was_edited_is_measured_again(t2t_file, picture, tmp_path, capsys):
    options = ["--runs", str(tmp_path / "runs"), "--reports", str(tmp_path), "--image", str(picture), "--json"]
    command = ["figure", "2", "--weights", str(t2t_file), *options]
    assert bench.cli.main.main(command) == 0
    assert '"figure": 2' in capsys.readouterr().out
    page = (tmp_path / "figure_2.md").read_text()
    assert "T2T-ViT-7 at 32 px" in page
    (path,) = (tmp_path / "runs" / "feature_maps").iterdir()
    kept = path.read_text()
    path.write_text(kept.replace('"dead": 0', '"dead": 1', 1))
    assert bench.cli.main.main(command) == 0
    told = capsys.readouterr().err
    assert f"not used: {path}: its checksum does not hold: it was edited; " in told
    assert "[1/1] t2t_vit_7 at 32 px" in told
    assert (tmp_path / "figure_2.md").read_text() == page
    assert '"dead": 1,' not in path.read_text()


def test_a_photograph_is_shown_upright(tmp_path):
    path = tmp_path / "camera.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.new("L", (80, 60)).save(path, exif=exif)
    photograph = open_photograph(path)
    assert (photograph.image.size, photograph.image.mode) == ((60, 80), "RGB")


def test_a_photograph_of_16_bits_is_scaled_and_one_of_no_known_range_refused(tmp_path):
    path = tmp_path / "raw.tif"
    Image.fromarray(np.full((4, 6), 257 * 77, np.uint16)).save(path)
    assert open_photograph(path).image.getpixel((0, 0)) == (77, 77, 77)
    Image.fromarray(np.full((4, 6), 0.5, np.float32)).save(path)
    with pytest.raises(RequestError, match=r"raw\.tif: pixels are floats from 0\.5 to 0\.5, and which of"):
        open_photograph(path)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["figure", "1", "--image", "x.png"], ["--image does nothing for figure 1", "choose figure 2 alone"]),
        (["figure", "1", "2", "--weights", "x.pth"], ["--weights does nothing for figure 1"]),
        (["figure", "1", "--download"], ["--download does nothing for figure 1", "choose figure 2 alone"]),
        (["figure", "2", "--download"], ["--download does nothing without --data DIR"]),
        (["figure", "2", "--image", "nowhere.png"], ["--image nowhere.png: No such file", "give a photograph"]),
        (["figure", "2", "--image", "README.md"], ["--image README.md: not a whole image"]),
        (["figure", "2", "--image", "tests"], ["--image tests: Is a directory"]),
        (["figure", "2", "--weights", "nowhere"], ["--weights nowhere: No such file", "id of a finished run"]),
        (["figure", "2", "--weights", "README.md"], ["--weights README.md:"]),
        (["figure", "2", "--weights", "/dev/zero"], ["--weights /dev/zero: not a regular file; give a file"]),
        (["figure", "2", "--weights", "tests"], ["--weights tests: no run's folder (no spec.json)"]),
    ],
)
def test_requests_that_cannot_be_met(arguments, parts, tmp_path, capsys):
    folders = ["--runs", str(tmp_path / "runs"), "--reports", str(tmp_path)]
    assert bench.cli.main.main([*arguments, *folders]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for part in parts:
        assert part in line


def test_a_run_that_is_not_finished_is_refused(trained, tmp_path, capsys):
    runs, run_id = trained
    folder = tmp_path / run_id
    folder.mkdir()
    for name in ("spec.json", "record.json"):
        (folder / name).write_bytes((runs / run_id / name).read_bytes())
    options = ["--runs", str(tmp_path), "--reports", str(tmp_path)]
    assert bench.cli.main.main(["figure", "2", "--weights", run_id, *options]) == 2
    assert "its last checkpoint cannot be used (it is gone)" in capsys.readouterr().err
    record = dataclasses.replace(load_record(folder), status="interrupted")
    (folder / "record.json").write_text(sealed(record))
    assert bench.cli.main.main(["figure", "2", "--weights", run_id, *options]) == 2
    assert "the run is interrupted; give a finished one" in capsys.readouterr().err
    (folder / "record.json").write_text(sealed(record).replace("interrupted", "completed"))
    assert bench.cli.main.main(["figure", "2", "--weights", run_id, *options]) == 2
    assert "record.json: its checksum does not hold: it was edited; restore it" in capsys.readouterr().err


def test_a_damaged_photograph_is_refused(tmp_path, picture):
    picture.write_bytes(picture.read_bytes()[:500])
    with pytest.raises(RequestError, match=r"a photograph\.png: not a whole image"):
        open_photograph(picture)


def follow_figure_2(reports):
    """Each number of the CSV and the page, to the files of evidence, read as plain JSON."""
    lines = rows_of(reports / "figure_2.csv")
    overview, table = tables_of(reports / "figure_2.md")
    files = list(dict.fromkeys(line["measured_in"] for line in lines))
    found = [read(reports / file) for file in files]
    layers = [(one, i) for one in found for i in range(len(one["layers"]))]
    for line, cells, (one, i) in zip(lines, table, layers, strict=True):
        kept = one["layers"][i]
        assert (line["layer"], f"`{line['layer']}`") == (kept["name"], cells["Layer"])
        assert line["network"] == one["source"]["network"]["model"]
        assert int(line["img_size"]) == one["source"]["network"]["img_size"]
        depth = i / (len(one["layers"]) - 1)
        assert float(line["depth"]) == pytest.approx(depth, abs=1e-4)
        assert shows(cells["depth"], depth)
        for name in ("channels", "height", "width", "dead", "saturated"):
            assert int(line[name]) == kept[name]
        assert cells["map"] == f"{kept['height']} x {kept['width']}"
        assert shows(cells["channels"], kept["channels"])
        for name in ("dead", "saturated"):
            share = 100 * kept[name] / kept["channels"]
            assert float(line[f"{name}_pct"]) == pytest.approx(share, abs=1e-4)
            assert shows(cells[name], kept[name])
            assert shows(cells[f"{name} %"], share)
    for cells, one, file in zip(overview, found, files, strict=True):
        total = sum(kept["channels"] for kept in one["layers"])
        assert shows(cells["layers"], len(one["layers"]))
        assert shows(cells["channels"], total)
        for name in ("dead", "saturated"):
            assert shows(cells[f"{name} %"], 100 * sum(kept[name] for kept in one["layers"]) / total)
        assert cells["Evidence"].endswith(f"]({file})")
    return len(lines)


def test_all_draws_untrained_networks_and_draws_them_again_without_torch(measured_once, run_all, tmp_path):
    _, runs, reports = measured_once
    page = (reports / "figure_2.md").read_text()
    assert "**Untrained: ResNet50, ViT-L/16, T2T-ViT-24.**" in page
    assert "Grace Hopper" in page
    assert follow_figure_2(reports) == 17 + 25 + 27
    again = run_all("figure", 2, "--runs", runs, "--reports", tmp_path, code=without("torch"))
    assert again.returncode == 0, again.stderr
    for name in ("figure_2.md", "figure_2.csv", "figure_2.png", "figure_2.svg"):
        assert (tmp_path / name).read_bytes() == (reports / name).read_bytes(), name
