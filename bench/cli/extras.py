"""The check that a command's extra is installed."""

from collections.abc import Sequence

from bench.spec.errors import RequestError
from bench.spec.extras import install, missing


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
    if lacking := missing(packages):
        hint = f", {instead}" if instead else ""
        raise RequestError(f"{what} needs {', '.join(lacking)}: {install(extra)}{hint}")
