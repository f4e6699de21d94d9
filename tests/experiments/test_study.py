"""The study as data: its protocol, its grid, its stages and its plan."""

import dataclasses
import json

import pytest

from bench.experiments.grid import Grid, Point
from bench.experiments.scales import SECOND_OPINIONS, STUDIES, on
from bench.experiments.study import chosen, tried
from bench.launch.study_plan import next_stage, stages
from bench.measure.study_cost import images
from bench.spec.contents import DATASETS
from bench.spec.errors import RequestError
from bench.training.build import create_network
from tests.conftest import ROOT

SMALL = STUDIES["small"]
GRID = Grid(lrs=(1.0, 2.0, 4.0), weight_decays=(0.1, 0.2))


def point(lr, decay=0.1):
    return Point(lr=lr, weight_decay=decay)


def results(best, others=(1.0, 2.0, 4.0)):
    return {p: 50.0 if p == best else 40.0 for p in GRID._at(*others)}


def test_a_grid_is_tried_before_anything_is_chosen():
    assert len(GRID.missing({})) == 6
    assert GRID.best({}) is None
    assert GRID.best({**results(point(2.0)), point(1.0): None}) == point(2.0)  # one diverged, and none is missing


@pytest.mark.parametrize(("edge", "beyond"), [(1.0, 0.5), (4.0, 8.0)])
def test_a_best_learning_rate_at_the_edge_extends_the_grid_once(edge, beyond):
    found = results(point(edge))
    assert GRID.missing(found) == [point(beyond), point(beyond, 0.2)]
    assert GRID.best(found) is None
    assert GRID.best(found | {point(beyond): 45.0, point(beyond, 0.2): 45.0}) == point(edge)
    further = found | {point(beyond): 55.0, point(beyond, 0.2): None}
    assert GRID.missing(further) == []
    assert GRID.best(further) == point(beyond)


def test_an_inner_learning_rate_does_not_extend_it_whatever_the_weight_decay():
    found = results(point(2.0, 0.2))
    assert GRID.missing(found) == []
    assert GRID.best(found) == point(2.0, 0.2)


def test_of_equal_points_the_first_is_chosen():
    assert GRID.best(dict.fromkeys(GRID._at(0.5, 1.0, 2.0, 4.0), 50.0)) == point(1.0)


def test_a_grid_that_diverged_chooses_nothing():
    with pytest.raises(ValueError, match="all 6 points of the grid diverged"):
        GRID.best(dict.fromkeys(GRID.points()))


@dataclasses.dataclass
class Record:
    status: str = "completed"
    is_whole: bool = True
    top1: float = 10.0

    def top1_pct(self, protocol, images=""):
        assert (protocol, images) == ("last", "held_out_")
        return self.top1


class Records(dict):
    """As ``RunRecords``, without a folder."""

    get = dict.get

    def all(self):
        return []


def of_grid(study, best=1e-3):
    """Records of a whole grid, of every family."""
    return Records(
        {
            study.grid_run(family, p).run_id: Record(top1=20.0 if p.lr == best else 10.0)
            for family in study.tuned_on
            for p in study.grid.points()
        }
    )


def test_the_protocol_is_what_was_fixed():
    grid, *seeds = [stage for stage in stages(SMALL, SMALL.core, SMALL.seeds, Records()) if "grid" not in stage.name]
    first = grid.specs[0].recipe
    assert [stage.name for stage in (grid, *seeds)] == ["seed 0", "seed 1", "seed 2"]
    assert len(SMALL.core) == 9
    total = sum(images(spec)[0] for stage in (grid, *seeds) for spec in stage.specs)
    assert total == pytest.approx(9 * 3 * 6 * 45_000)
    tries = [stage for stage in stages(SMALL, SMALL.core, SMALL.seeds, Records()) if "grid" in stage.name]
    assert sum(images(spec)[0] for stage in tries for spec in stage.specs) == pytest.approx(4 * 6 * 2 * 22_500)
    assert (first.global_batch, first.label_smoothing, first.ema_decay, first.held_out) == (64, 0.1, 0.0, 0.1)
    assert (first.crop_padding, first.hflip, first.mixup, first.drop_path) == (0.125, 0.5, 0.0, 0.0)
    assert {spec.img_size for spec in grid.specs} == {64}
    assert SMALL.precision == "bfloat16"


def test_arms_of_a_study_differ_in_nothing_but_network_and_what_their_grid_chose():
    points = chosen(SMALL, {family: tried(SMALL, family, of_grid(SMALL).get) for family in SMALL.tuned_on})
    specs = [SMALL.final_run(arm, points, 1) for arm in SMALL.core]
    assert len({spec.run_id for spec in specs}) == len(specs)
    assert len({(spec.recipe, spec.img_size, spec.seed, spec.dataset) for spec in specs}) == 1  # all grids chose alike


def test_ids_of_all_runs_are_what_they_were(request):
    """Of every arm's first seed for a fixed choice, and of every point that a grid may come to, edges included."""
    specs = []
    for study in (*STUDIES.values(), *(on(SMALL, dataset) for dataset in SECOND_OPINIONS)):
        lrs = (2.5e-4, *study.grid.lrs, 4e-3) if study.grid else ()
        points = [Point(lr=lr, weight_decay=decay) for lr in lrs for decay in study.grid.weight_decays]
        specs += [study.grid_run(family, each) for family in study.tuned_on for each in points]
        choice = dict.fromkeys(study.tuned_on, point(1e-3, 0.05))
        specs += [study.final_run(arm, choice, study.seeds[0]) for arm in study.arms]
    path = ROOT / "tests/golden/study_run_ids.txt"
    ids = sorted({spec.run_id for spec in specs})
    if request.config.getoption("--update-golden"):
        path.write_text("\n".join(ids) + "\n")
    assert ids == path.read_text().split()


@pytest.mark.parametrize("scale", STUDIES)
def test_every_contest_is_between_arms_of_its_scale(scale):
    study = STUDIES[scale]
    keys = {arm.key for arm in study.arms}
    assert {key for q in study.questions for c in q.contests for key in (c.arm, c.against)} <= keys
    assert set(study.tuned_on.values()) <= keys
    assert study.core


def test_further_arms_come_with_what_they_start_from():
    (question,) = [question for question in SMALL.questions if question.key == "10"]
    assert [arm.key for arm in SMALL.arms_of([question])] == [
        "t2t_vit_7",
        "vit_s",
        "t2t_vit_7_cifar10",
        "vit_s_cifar10",
    ]
    points = dict.fromkeys(SMALL.tuned_on, point(1e-3))
    tuned, parent = (SMALL.final_run(SMALL.arm(key), points, 2) for key in ("t2t_vit_7_cifar10", "t2t_vit_7"))
    assert tuned.start_from == parent
    assert (tuned.dataset, parent.dataset) == ("cifar10", "cifar100")
    assert tuned.recipe.lr == parent.recipe.lr / 4


def test_fewer_images_are_seen_in_as_many_steps():
    points = dict.fromkeys(SMALL.tuned_on, point(1e-3))
    whole, fewer = (SMALL.final_run(SMALL.arm(key), points, 0) for key in ("vit_s", "vit_s_30pct"))
    assert fewer.recipe.train_fraction == 0.3
    assert images(fewer)[0] == pytest.approx(images(whole)[0])


@pytest.mark.parametrize("dataset", SECOND_OPINIONS)
def test_other_data_are_seen_in_about_as_many_steps(dataset):
    study = on(SMALL, dataset)
    points = dict.fromkeys(study.tuned_on, point(1e-3))
    found = images(study.final_run(study.core[0], points, 0))[0]
    assert found == pytest.approx(6 * 45_000, rel=0.1)
    assert not any(arm.fine_tuned_on for arm in study.arms)
    assert DATASETS[dataset].num_classes


def test_other_data_are_refused_by_name():
    with pytest.raises(RequestError, match=r"'imagnette'; did you mean 'imagenette'\?"):
        on(SMALL, "imagnette")
    with pytest.raises(RequestError, match="choose from imagenet"):
        on(STUDIES["imagenet"], "cifar100")


def millions(arm):
    network = create_network(SMALL.network(arm), num_classes=100)
    return sum(p.numel() for p in network.parameters()) / 1e6


def test_rivals_have_the_sizes_that_the_protocol_gives_them():
    ours = millions(SMALL.arm("t2t_vit_7"))
    alike = ("t2t_vit_t_7", "t2t_vit_c_7", "t2t_vit_7_patches", "t2t_vit_wide", "mobilenetv2_140", "resnet10t")
    for key in (*alike, "t2t_vit_dense"):
        assert 0.9 < millions(SMALL.arm(key)) / ours < 1.25, key
    plain = millions(SMALL.arm("vit_s"))
    assert 2 < plain / ours < 2.5
    assert millions(SMALL.arm("vit_dense")) / plain == pytest.approx(1, abs=0.05)


def test_the_grid_comes_first_then_every_arm_of_a_seed_before_the_next_seed():
    empty = next_stage(SMALL, SMALL.core, SMALL.seeds, Records())
    assert (empty.name, len(empty.specs)) == ("grid", 24)
    whole = of_grid(SMALL)
    final = next_stage(SMALL, SMALL.core, SMALL.seeds, whole)
    assert (final.name, len(final.specs)) == ("final", 27)
    assert [spec.seed for spec in final.specs] == [0] * 9 + [1] * 9 + [2] * 9
    assert {spec.recipe.lr for spec in final.specs} == {1e-3}
    lost = Records(list(whole.items())[1:])
    assert [spec.run_id for spec in next_stage(SMALL, SMALL.core, SMALL.seeds, lost).specs] == [next(iter(whole))]


def test_only_the_grids_of_the_families_at_hand_are_trained():
    arms = [SMALL.arm("resnet50"), SMALL.arm("resnet50_ghost")]
    stage = next_stage(SMALL, arms, (0,), Records())
    assert {spec.model for spec in stage.specs} == {"resnet10t"}


def test_a_point_that_diverged_is_settled_and_one_of_incomplete_data_is_not():
    whole = of_grid(SMALL)
    first, second = list(whole)[:2]
    whole[first] = Record(status="diverged", is_whole=False)
    assert next_stage(SMALL, SMALL.core, (0,), whole).name == "final"
    whole[second] = Record(is_whole=False)
    assert [spec.run_id for spec in next_stage(SMALL, SMALL.core, (0,), whole).specs] == [second]


def test_a_plan_on_a_fresh_checkout_states_arms_seeds_and_cost(run_all, tmp_path):
    done = run_all("study", "--dry-run", "--runs", tmp_path / "runs")
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("T2T-ViT-7; T2T-ViT_t-7", "seeds: 0 1 2", "8,370,000", "--claims 6"):
        assert words in done.stdout
    assert not (tmp_path / "runs").exists()
    document = json.loads(run_all("study", "--dry-run", "--json", "--runs", tmp_path / "runs", "--seeds", 7).stdout)
    assert document["seeds"] == [7]
    assert len(document["arms"]) == 9
    assert 2 < document["stages"][-1]["hours_left"] < 6
    assert sum(len(stage["runs"]) for stage in document["stages"]) == 24 + 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scale", "smal"], "unknown scale 'smal'; did you mean 'small'?"),
        (
            ["--claims", "12"],
            "unknown claim of the small scale '12'; did you mean '2'? (choose from 1, 2, 3,",
        ),
        (["--only", "resnet10"], "unknown arm 'resnet10'; did you mean 'resnet10t'?"),
        (["--dataset", "cifar10"], "unknown data set of the small scale 'cifar10'"),
        (["--slurm", "partition=gpu"], "--slurm does nothing without --run slurm"),
        (["--seeds", "-1"], "'-1' is not a whole number from 0"),
        (["--run", "local", "--data", "/nowhere"], "/nowhere"),
        (["--table", "3"], "unrecognized arguments: --table 3"),
    ],
)
def test_a_request_that_is_wrong_is_refused_in_one_line(run_all, tmp_path, options, words):
    done = run_all("study", *options, "--runs", tmp_path / "runs", "--reports", tmp_path / "reports")
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
