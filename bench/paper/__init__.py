"""The paper's tables as data."""

from bench.paper import table_3
from bench.specs import Table

TABLES: dict[int, Table] = {table.number: table for table in (table_3.TABLE,)}
