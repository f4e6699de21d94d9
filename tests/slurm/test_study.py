"""The study on a real Slurm: the grid as an array, then all final runs as one, then the page."""

import csv
import json

import pytest

from bench.experiments.scales import STUDIES
from bench.experiments.study import chosen, families, tried
from bench.results.run_folder import RunRecords

pytestmark = pytest.mark.extended

SMOKE = STUDIES["smoke"]


@pytest.fixture
def study(cluster, run_all):
    """``study --scale smoke --run slurm``; returns what it printed as JSON."""

    def submit(*options):
        arguments = ("study", "--scale", "smoke", "--runs", cluster.runs, "--reports", cluster.runs / "reports")
        done = run_all(*arguments, *options, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return submit


def test_a_study_is_an_array_of_its_grid_and_then_one_of_its_arms(cluster, study):
    on_slurm = ("--run", "slurm", "--slurm", "time=10")
    stages = []
    while not stages or "grid" in stages[-1][0]:
        (array,) = study(*on_slurm)["submitted"]
        stages.append(sorted(array["runs"].values()))
        assert study(*on_slurm)["submitted"] == []  # nothing follows before these have ended
        cluster.wait_for("completed", *stages[-1])
    records = RunRecords(cluster.runs)
    points = chosen(SMOKE, {family: tried(SMOKE, family, records.get) for family in families(SMOKE, SMOKE.arms)})
    final = [SMOKE.final_run(arm, points, seed).run_id for arm in SMOKE.arms for seed in SMOKE.seeds]
    grid = [SMOKE.grid_run(family, point).run_id for family in points for point in SMOKE.grid.points()]
    assert stages[0] == sorted(grid)
    assert stages[-1] == sorted(final)
    assert study(*on_slurm)["submitted"] == []

    verdicts = study()["claims"]
    with (cluster.runs / "reports" / "study_smoke.csv").open() as file:
        arms = {line["arm"]: line for line in csv.DictReader(file)}
    assert {line["seeds"] for line in arms.values()} == {"2"}
    assert sorted(run for line in arms.values() for run in line["run_ids"].split()) == sorted(final)
    assert verdicts["4"]["verdict"] in ("agrees", "disagrees", "cannot tell")
