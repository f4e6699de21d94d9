"""Sweeps and settings: runs with reports of their own."""

import dataclasses

import pytest

from bench.experiments.budgets import under
from bench.experiments.recipes import CIFAR_TRANSFER_CORRECTED
from bench.experiments.suites import LONGEST, grid, suites
from bench.paper import TABLES
from bench.spec.errors import RequestError
from bench.spec.run import Teacher, Weights


def make(*tables, budget="paper", dataset=None, settings=(), sweep=()):
    return suites(tables, budget=budget, dataset=dataset, settings=settings, sweep=sweep)


FIELDS = "lr min_lr warmup_lr weight_decay color_jitter crop_scale_min crop_pct drop_path momentum ema_decay hflip"


def test_a_name_of_files_is_cut_with_a_hash_of_the_whole():
    settings = [f"{name}=0.012345" for name in FIELDS.split()]
    names = {make(TABLES[3], settings=[*settings, f"mixup={mixup}"])[0].name for mixup in (0.1, 0.2)}
    assert len(names) == 2
    assert {len(name) for name in names} == {LONGEST}


def test_a_sweep_too_large_is_refused_with_its_size():
    values = ",".join(f"{n}e-6" for n in range(1, 102))
    with pytest.raises(RequestError, match="--sweep: 10,201 combinations; at most 10,000"):
        make(TABLES[3], sweep=[f"lr={values}", f"min_lr={values}"])


def test_a_sweep_over_too_many_rows_is_refused_before_they_are_listed(monkeypatch):
    monkeypatch.setattr("bench.experiments.suites._entry", None)  # which fails where it is called
    values = ",".join(f"{n}e-6" for n in range(1, 101))
    message = r"120,000 runs \(12 rows x 10,000 combinations of --sweep\); a command takes at most 100,000"
    with pytest.raises(RequestError, match=message):
        make(TABLES[3], sweep=[f"lr={values}", f"min_lr={values}"])


def test_a_sweep_is_a_grid_for_each_row():
    (suite,) = make(TABLES[3], settings=["epochs=30"], sweep=["lr=5e-4,1e-3", "weight_decay=.03,.05,.1"])
    assert suite.name == "table_3_epochs=30_sweep_lr_weight_decay"
    assert suite.sweep == ("lr", "weight_decay")
    assert len(suite.entries) == 6 * len(TABLES[3].rows)
    first = suite.entries[0]
    assert first.swept == (5e-4, 0.03)
    assert (first.spec.recipe.lr, first.spec.recipe.weight_decay, first.spec.recipe.epochs) == (5e-4, 0.03, 30)
    assert len({entry.spec.run_id for entry in suite.entries}) == len(suite.entries)
    assert "over a grid of lr and weight_decay" in suite.about
    assert "fill none of its cells" in suite.about


def test_a_setting_is_the_same_run_in_a_sweep():
    (swept,) = make(budget="smoke", sweep=["lr=1e-3,2e-3"])
    (setting,) = make(budget="smoke", settings=["lr=1e-3"])
    assert {e.spec.run_id for e in setting.entries} <= {e.spec.run_id for e in swept.entries}


def test_two_networks_are_trained_alike_by_two_recipes():
    (suite,) = make(budget="trained_alike")
    of_table = {row.name: row.run for row in TABLES[3].rows}
    found = {entry.row: entry.spec for entry in suite.entries}
    assert [found[name] for name in ("T2T-ViT-14", "ResNet50*")] == [of_table["T2T-ViT-14"], of_table["ResNet50*"]]
    assert len({spec.run_id for spec in found.values()}) == 4
    for name in ("T2T-ViT-14", "ResNet50*"):
        now, then = found[name].recipe, found[f"{name}, recipe of January 2021"].recipe
        differing = {
            f.name for f in dataclasses.fields(now) if f.compare and getattr(now, f.name) != getattr(then, f.name)
        }
        assert differing == {"name", "mixup", "random_erasing", "dropout", "warmup_epochs"}
    assert "are the paper's runs of Table 3, too, and fill its cells" in suite.about
    assert "How much does T2T-ViT-14 gain over ResNet50" in suite.about
    (changed,) = make(budget="trained_alike", settings=["epochs=30"])
    assert "fill none of its cells" in changed.about
    with pytest.raises(RequestError, match="--budget trained_alike has runs of its own; leave out --table"):
        make(TABLES[3], budget="trained_alike")


def test_seeds_are_found_by_their_run_ids_and_other_settings_are_not():
    (suite,) = make(budget="smoke")
    (other,) = make(budget="smoke", settings=["lr=1"])
    tuned, changed = (found.entries[1].spec for found in (suite, other))
    assert tuned.start_from
    begun = [tuned.with_seed(seed).run_id for seed in (11, 3)]
    assert tuned.seeds_in([*begun, changed.with_seed(5).run_id, "jobs"]) == [tuned.with_seed(3), tuned.with_seed(11)]
    assert tuned.with_seed(3).start_from.seed == 3  # a chain has one seed


def test_tables_are_apart():
    assert [suite.name for suite in make(TABLES[3], budget="pilot")] == ["table_3_pilot"]


def test_a_value_in_two_spellings_is_one_run():
    with pytest.raises(RequestError, match="two of its points are the same run"):
        make(budget="smoke", sweep=["lr=5e-4,0.0005"])


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        (["lr"], "FIELD=VALUE,VALUE"),
        (["lr=1,"], "FIELD=VALUE,VALUE"),
        (["lr=1,1"], "comes twice"),
        (["lr=1", "lr=2"], "lr or one of its values comes twice"),
    ],
)
def test_what_is_no_sweep(sweep, words):
    with pytest.raises(RequestError, match=words):
        grid(sweep)


def test_a_field_cannot_be_set_and_swept():
    with pytest.raises(RequestError, match="lr is in both --set and --sweep"):
        make(budget="smoke", settings=["lr=1"], sweep=["lr=1,2"])
    with pytest.raises(RequestError, match="unknown field of a recipe 'lrr'"):
        make(budget="smoke", sweep=["lrr=1,2"])
    with pytest.raises(RequestError, match="epochs takes a int"):
        make(budget="smoke", sweep=["epochs=1,many"])


def test_rows_that_share_a_stand_in_may_be_swept():
    """ResNet50 and ResNet50* are one run under a budget."""
    (suite,) = make(TABLES[3], budget="pilot", sweep=["lr=1e-3,2e-3"])
    assert len(suite.entries) == 2 * len(TABLES[3].rows)


def test_rows_without_a_run_have_one_under_a_budget_only():
    def rows(**options):
        (suite,) = make(TABLES[4], **options)
        return {entry.row: entry.spec for entry in suite.entries}

    assert "MobileNetV3 (Searched)" not in rows(settings=["lr=1e-3"])
    assert rows(budget="pilot")["MobileNetV3 (Searched)"].model == "mobilenetv3_large_100"
    assert under("smoke", TABLES[6].rows[2]).img_size == 96  # Inception's pooling leaves nothing of 32


def test_transfer_is_shown_against_the_same_run_from_scratch():
    (suite,) = make(budget="transfer")
    pilot, scratch, transferred, *others = (entry.spec for entry in suite.entries)
    assert [pilot] == [e.spec for e in make(budget="pilot")[0].entries if e.row == "T2T-ViT-7"]
    assert scratch.start_from is None
    assert transferred.start_from == pilot
    assert dataclasses.replace(transferred, start_from=None) == scratch
    assert all(spec.start_from == pilot and spec.dataset == "cifar100" for spec in others)
    assert {spec.recipe.epochs for spec in others} == {scratch.recipe.epochs}
    assert "in the same number of steps" in suite.about


def test_fine_tunings_are_a_suite_of_their_own():
    tuned = {"tables": [TABLES[5]], "budget": "paper", "fine_tuned_by": CIFAR_TRANSFER_CORRECTED}
    (suite,) = suites(**tuned)
    assert suite.name == "table_5_cifar_transfer_corrected"
    assert len(suite.entries) == 6
    assert all(entry.spec.recipe == CIFAR_TRANSFER_CORRECTED and entry.spec.start_from for entry in suite.entries)
    weights = Weights(sha256="ab" * 32, file="mine.pth")
    (suite,) = suites(**tuned, weights={"t2t_vit_14": weights}, sweep=["lr=0.01,0.02"])
    assert suite.name == "table_5_cifar_transfer_corrected_mine.pth-abababab_sweep_lr"
    assert [entry.row for entry in suite.entries] == ["T2T-ViT-14, cifar10"] * 2 + ["T2T-ViT-14, cifar100"] * 2
    assert all(entry.spec.weights == weights and not entry.spec.start_from for entry in suite.entries)


def test_another_teacher_teaches_the_distilled_rows_alone():
    teacher = Teacher("resnet50.tv_in1k")
    (suite,) = suites([TABLES[4]], budget="pilot", teacher=teacher)
    assert [entry.row for entry in suite.entries] == ["T2T-ViT-7-Distilled", "T2T-ViT-12-Distilled"]
    assert all(entry.spec.teacher == teacher and entry.spec.dataset == "cifar10" for entry in suite.entries)
    assert suite.name == "table_4_pilot_resnet50.tv_in1k"
    (plain,) = suites([TABLES[4]], budget="pilot")
    assert not any(entry.spec.teacher for entry in plain.entries)
