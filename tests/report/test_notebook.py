"""The notebook of docs runs, and shows what the committed reports hold."""

import csv
import os
import statistics

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

PATH = ROOT / "docs/results.ipynb"


@pytest.fixture(scope="module")
def outputs():
    """What each cell of code shows, by type of content: of the last thing that it shows."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        notebook = nbformat.read(PATH, as_version=4)
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(PATH.parent)}}).execute()
    return [cell.outputs[-1].data for cell in notebook.cells if cell.cell_type == "code"]


def test_no_output_is_committed():
    for cell in nbformat.read(PATH, as_version=4).cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


def test_it_shows_what_the_reports_hold(outputs):
    listed, curves, seeds, table, verdicts = outputs
    assert "study_small_grid" in listed["text/plain"]
    assert "image/png" in curves
    with (ROOT / "reports/transfer.csv").open() as file:
        pilot = [line for line in csv.DictReader(file) if line["model"] == "T2T-ViT-7 on CIFAR-10 (pilot)"]
    top1 = [float(line["ema_best_top1_pct"]) for line in pilot]
    line = next(line for line in seeds["text/plain"].splitlines() if line.startswith("t2t_vit_7 ")).split()
    assert [float(value) for value in line[1:4]] == pytest.approx(
        [statistics.fmean(top1), statistics.stdev(top1) / len(top1) ** 0.5, len(top1)], rel=1e-4
    )
    assert "T2T-ViT-14" in table["text/plain"]
    assert "differs" in verdicts["text/plain"]
