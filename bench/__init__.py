"""The benchmark: data declares, pure functions plan, files remember, reports only read."""

__version__ = "0.2.0"
