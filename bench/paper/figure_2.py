"""Figure 2: the networks whose feature maps the paper shows."""

from bench.paper import table_2, table_3
from bench.spec.run import RunSpec
from bench.spec.table import Table


def _runs(table: Table, *names: str) -> tuple[RunSpec, ...]:
    return tuple(row.run for name in names for row in table.rows if row.name == name and row.run)


SHOWN: dict[str, tuple[RunSpec, ...]] = {
    "ResNet50": _runs(table_3.TABLE, "ResNet50*", "ResNet50"),
    "ViT-L/16": _runs(table_2.TABLE, "ViT-L/16"),
    "T2T-ViT-24": _runs(table_3.TABLE, "T2T-ViT-24"),
}
"""by name, the runs whose weights may be shown, the preferred first; the text does not say which weights it shows"""
