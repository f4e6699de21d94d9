"""Figure 2: the networks whose feature maps the paper shows, and the photograph in place of its own."""

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

GRACE_HOPPER_SHA256 = "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130"
"""of grace_hopper.jpg, which matplotlib ships among its sample data; the paper's photographs are not published"""
