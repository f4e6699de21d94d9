"""The paper's tables as data."""

from bench.paper import table_1, table_2, table_3, table_4, table_5, table_6, table_7, table_8, table_9
from bench.spec.table import RecipeTable, Table

TABLES: dict[int, Table] = {
    module.TABLE.number: module.TABLE for module in (table_1, table_2, table_3, table_4, table_5, table_6, table_7)
}
"""of networks"""

RECIPE_TABLES: dict[int, RecipeTable] = {module.TABLE.number: module.TABLE for module in (table_8, table_9)}
"""of experiment settings"""
