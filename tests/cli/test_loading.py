"""The benchmark of loading: both cases measured on small images, in one page and one file of evidence."""

import numpy as np
import pytest
from PIL import Image

from bench.cli import loading
from bench.results.files import read
from bench.results.loading_speeds import LoadingSpeeds


@pytest.fixture
def photographs(tmp_path):
    """64 JPEGs in two class folders."""
    generator = np.random.default_rng(0)
    for index in range(64):
        path = tmp_path / "photographs" / f"class{index % 2}" / f"{index}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (20, 30, 3), np.uint8)).save(path)
    return tmp_path / "photographs"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # timm leaves its files open
def test_each_case_adds_to_the_page_and_keeps_the_other(photographs, tmp_path, capsys):
    common = ["--rounds", "2", "--images", "64", "--reports", str(tmp_path)]
    loading.main(["photographs", "--data", str(photographs), *common])
    first = read(tmp_path / "evidence/loading.json", LoadingSpeeds)
    assert "## CIFAR" not in capsys.readouterr().out
    loading.main(common)
    both = read(tmp_path / "evidence/loading.json", LoadingSpeeds)
    assert both.photographs == first.photographs
    assert (both.photographs.files, both.photographs.median_width, both.photographs.images) == (64, 30, 64)
    assert both.photographs.compared.largest_difference <= 2
    assert both.photographs.compared.reducible == 0
    assert len(both.photographs.rounds) == len(both.cifar.rounds) == 2
    page = (tmp_path / "loading.md").read_text()
    assert "## Photographs" in page
    assert "## CIFAR" in page
    assert capsys.readouterr().out == page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photographs"], "choose --data DIR"),
        (["--images", "63"], "choose --images 64 or more"),
        (["--rounds", "1"], "--rounds 2 or more"),
    ],
)
def test_impossible_requests_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        loading.main(arguments)
    assert message in capsys.readouterr().err


def test_fewer_photographs_than_a_batch(photographs, tmp_path, capsys):
    for path in list((photographs / "class0").iterdir())[1:]:
        path.unlink()
    with pytest.raises(SystemExit, match="2"):
        loading.main(["photographs", "--data", str(photographs), "--reports", str(tmp_path)])
    assert "'photographs' holds 33 images; choose a folder with 64 or more" in capsys.readouterr().err
