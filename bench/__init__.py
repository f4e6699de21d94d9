"""The benchmark: data declares, pure functions plan, files remember, reports only read.

``load_runs``, ``load_facts`` and ``load_tables`` return results as DataFrames; pandas is imported when one is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.report.data import load_facts, load_runs, load_tables

__all__ = ["__version__", "load_facts", "load_runs", "load_tables"]

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("bench.report.data"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
