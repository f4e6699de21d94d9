"""The benchmark: data declares, pure functions plan, files remember, reports only read."""
