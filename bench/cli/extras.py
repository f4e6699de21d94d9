"""Packages that only some commands need, and that pip installs by the name of an extra."""

import importlib.util
from collections.abc import Sequence

from bench.spec.errors import RequestError


def require_extra(what: str, extra: str, packages: Sequence[str], instead: str = "") -> None:
    """Check that the packages of an extra are installed.

    Args:
        what: needs them.
        extra: its name in pyproject.toml.
        packages: as they are imported.
        instead: another remedy, for the reader.

    Raises:
        RequestError: one is missing; says how to install it.
    """
    if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
        hint = f", {instead}" if instead else ""
        raise RequestError(f"{what} needs {', '.join(missing)}: pip install -c constraints.txt -e '.[{extra}]'{hint}")
