"""``run_all.py export``: results and trained networks in other programs' formats, a module of ``exports`` a format."""

import argparse
import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from bench.cli import exports
from bench.cli.parser import Parser

HELP = "export results as CSV and Parquet, or a trained network for timm, the Hugging Face Hub or ONNX"

FORMS = [found.name for found in pkgutil.iter_modules(exports.__path__)]
"""Modules in the folder ``exports``. Each has ``HELP``, ``Request``, ``add_options(parser)``,
``request(namespace)``, which returns a ``Request``, and ``run(request)``, which returns the exit code."""


def _form(name: str) -> ModuleType:
    return importlib.import_module(f"{exports.__name__}.{name}")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the formats, each with the options of its own."""
    forms = parser.add_subparsers(dest="form", metavar="FORMAT", required=True)
    for name in FORMS:
        form = _form(name)
        form.add_options(forms.add_parser(name, help=form.HELP, description=f"{form.HELP[0].upper()}{form.HELP[1:]}."))


def request(arguments: Sequence[str]) -> Any:
    """Read the command line; returns the ``Request`` of its format."""
    parser = Parser("export", description="Export results, or a trained network, for other programs.")
    add_options(parser)
    args = parser.parse_args(arguments)
    return _form(args.form).request(args)


def run(asked: Any) -> int:
    """Export; returns the exit code."""
    return int(importlib.import_module(type(asked).__module__).run(asked))
