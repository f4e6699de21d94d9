"""Packages that only some commands need, and that pip installs by the name of an extra."""

import importlib.util
from collections.abc import Iterable


def missing(packages: Iterable[str]) -> list[str]:
    """List the packages that are not installed, by the names that they are imported by; imports none."""
    found = ((package, importlib.util.find_spec(package)) for package in packages)
    # A folder of that name in the current one, such as wandb makes, has a spec, but no origin.
    return [package for package, spec in found if spec is None or spec.origin is None]


def install(extra: str) -> str:
    """The command that installs an extra of pyproject.toml."""
    return f"pip install -c constraints.txt -e '.[{extra}]'"
