"""Tables 8 and 9, and the page on counting."""

import dataclasses
import re

import pytest

from bench.experiments.recipes import AUTHORS, T2T_MEDIUM
from bench.paper import RECIPE_TABLES, TABLES
from bench.report.counting import SHOWN, counting_markdown
from bench.report.pages.recipes import recipes_comparison, recipes_frame, recipes_markdown
from bench.spec.recipe import Recipe
from bench.spec.run import Network, imagenet
from bench.training.data import CIFAR_MEAN, CIFAR_STD
from tests.conftest import complexity


@pytest.mark.parametrize("number", RECIPE_TABLES)
def test_every_value_comes_with_its_source(number):
    frame = recipes_frame(RECIPE_TABLES[number])
    recipes = {recipe.name: recipe for recipe in RECIPE_TABLES[number].recipes}
    assert len(frame) > 20
    for line in frame.itertuples():
        assert line.source == recipes[line.recipe].sources[line.setting]
        assert re.search(r"https://|timm|t2t-bench", line.source), line.source
    text = recipes_markdown(RECIPE_TABLES[number])
    for recipe in recipes.values():
        for field in dataclasses.fields(Recipe):
            source = recipe.sources.get(field.name, "")
            if field.compare and field.name != "name" and not source.startswith("not used"):
                listed = [
                    line for line in text.splitlines() if line.startswith(f"| `{field.name}` ") and source in line
                ]
                assert any("| all " in line or f"`{recipe.name}`" in line for line in listed), (recipe.name, field.name)


def test_values_are_the_recipes():
    shown = recipes_comparison(RECIPE_TABLES[8]).set_index("Setting")
    assert list(shown.columns) == [recipe.name for recipe in RECIPE_TABLES[8].recipes]
    assert shown.loc["lr", "t2t_lite"] == "0.001"
    assert shown.loc["weight_decay", "t2t_deep"] == "0.065"
    assert shown.loc["decay_1d", "torchvision"] == "yes"
    assert shown.loc["auto_augment", "torchvision"] == "none"
    assert shown.loc["decay_epochs", "t2t_medium"] == "-"  # a cosine has no steps
    assert "crop_padding" not in shown.index  # nobody uses it
    transfer = recipes_comparison(RECIPE_TABLES[9]).set_index("Setting")["cifar_transfer"]
    assert (transfer["lr"], transfer["epochs"], transfer["crop_padding"]) == ("0.05", "60", "0.125")
    assert transfer["freeze_class_token_and_norm"] == "yes"


def test_what_is_beside_the_recipes_is_what_the_suite_does():
    beside = {number: {s.name: s.value for s in table.beside} for number, table in RECIPE_TABLES.items()}
    assert beside[8]["seed"] == str(imagenet("t2t_vit_14", T2T_MEDIUM).seed)
    assert beside[8]["image size"].startswith(f"{imagenet('t2t_vit_14', T2T_MEDIUM).img_size} px")
    assert beside[9]["mean"] == ", ".join(map(str, CIFAR_MEAN))
    assert beside[9]["standard deviation"] == ", ".join(map(str, CIFAR_STD))
    for number, table in RECIPE_TABLES.items():
        assert all(s.source.startswith(AUTHORS) for s in table.beside)
        assert all(f"| {s.value} " in recipes_markdown(RECIPE_TABLES[number]) for s in table.beside)


def test_every_recipe_of_a_row_is_in_table_8():
    rows = [row for table in TABLES.values() for row in table.rows]
    assert {row.run.recipe for row in rows if row.run} == set(RECIPE_TABLES[8].recipes)
    assert {run.recipe for row in rows for run in row.transfers} == set(RECIPE_TABLES[9].recipes)


def test_the_page_on_counting_reads_five_networks_under_each_convention():
    measured = dataclasses.replace(
        complexity("t2t_vit_14", 21_545_550, 4_800_254_784),
        macs_by_operator={
            "linear": 4_333_956_096,
            "scaled_dot_product_attention": 417_286_656,
            "batch_norm": 2_000_000,
        },
    )
    text = counting_markdown({Network("t2t_vit_14"): measured})
    assert len(SHOWN) == 5
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    column = lines[0].index("T2T-ViT-14")
    cells = {line[0]: line[column] for line in lines[2:]}
    assert cells == {
        "fvcore, fused attention included (G)": "4.800",
        "fvcore as installed": "4.383",
        "linear and convolution only": "4.800",  # made up, in the fixture
        "torch's FlopCounterMode, halved": "4.800",
        "batch norm at 5 operations an element": "4.803",
    }
    assert all(line[lines[0].index("ResNet50")] == "-" for line in lines[2:])  # nobody measured it
    assert "2026-01-02" in text
