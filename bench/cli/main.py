"""The command line: finds the command, and turns what goes wrong into a line and an exit code.

Exit codes: 0 done, 1 something ran and failed, 2 the request was wrong. A command's module is imported when it is
asked for, and what takes long to import where it is used, so that ``--help`` and ``list`` answer at once.
"""

import argparse
import ast
import difflib
import importlib
import io
import os
import pkgutil
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import bench
from bench.cli import commands
from bench.cli.parser import Parser
from bench.launch.slurm.ask import Unreachable
from bench.spec.errors import RequestError
from bench.spec.text import beneath, complain, printable_streams

TABLES = "bench.cli.tables"
"""what runs without a subcommand"""

COMMANDS = {found.name: f"{commands.__name__}.{found.name}" for found in pkgutil.iter_modules(commands.__path__)}
"""Subcommands and their modules: those in the folder ``commands``. Each has ``HELP``, ``add_options(parser)``,
``request(arguments)``, which returns a frozen request, and ``run(request)``, which returns the exit code."""

OPTIONS_ONCE = ("list", "figure", "evaluate", "curves", "status", "cancel")
"""subcommands that were options before version 0.2"""

_INSTALL = "pip install -c constraints.txt -e ."
_DEPENDENCIES = (
    "torch",
    "torchvision",
    "timm",
    "safetensors",
    "huggingface_hub",
    "fvcore",
    "pandas",
    "matplotlib",
    "scipy",
    "submitit",
    "rich",
    "markdown-it-py",
    "jinja2",
    "markupsafe",
    "tabulate",
    "msgspec",
    "argcomplete",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    with printable_streams():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    for stream in (beneath(sys.stdout), beneath(sys.stderr)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path may hold what the terminal's encoding lacks
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv))
        if sys.stdout:
            sys.stdout.flush()
        return code
    except RequestError as error:
        return _fail(2, str(error))
    except Unreachable as error:
        return _fail(1, f"Slurm does not answer: {error}; try again once `scontrol ping` gets an answer")
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("bench", "models"):
            raise
        missing = f"missing dependency {package!r}" if package else " ".join(str(error).split())
        return _fail(2, f"{missing}; this program needs {', '.join(_DEPENDENCIES)}; install them with: {_INSTALL}")
    except BrokenPipeError:  # the reader, head perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(1, f"{error.filename or 'writing'}: {error.strerror or error}; finished measurements are kept")
    except KeyboardInterrupt as error:
        what = str(error) or "interrupted; finished work is kept, and the same command continues"
        return _fail(130, what)


def _run(arguments: Sequence[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:
        _complete()
    first = arguments[0] if arguments else ""
    if first in ("-h", "--help"):
        _help_parser().print_help()
        return 0
    if first == "--version":
        print(f"t2t-bench {bench.__version__}")
        return 0
    if first in COMMANDS:
        command, arguments = _module(COMMANDS[first]), arguments[1:]
    elif first and not first.startswith("-"):
        close = difflib.get_close_matches(first, COMMANDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise RequestError(f"unknown command {first!r}{hint} (choose from {', '.join(COMMANDS)}, or --table N)")
    else:
        _require_no_old_spelling(arguments)
        command = _module(TABLES)
    return command.run(command.request(arguments))


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def _help(name: str) -> str:
    """The ``HELP`` of a command, read from its source where it is a line: to import all commands takes long."""
    source = Path(commands.__path__[0], f"{name}.py").read_text(encoding="utf-8")
    line = re.search(r"""^HELP = (".*")$""", source, re.MULTILINE)
    return str(ast.literal_eval(line[1]) if line else _module(COMMANDS[name]).HELP)


def _require_no_old_spelling(arguments: Sequence[str]) -> None:
    for argument in arguments:
        name = argument.partition("=")[0].removeprefix("--")
        if argument.startswith("--") and name in OPTIONS_ONCE:
            raise RequestError(f"--{name} is a command now: run_all.py {name}; see run_all.py {name} --help")


def _help_parser() -> Parser:
    """The parser of the tables, with a word on each subcommand."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {_help(name)}" for name in COMMANDS]
    parser = Parser(
        usage="run_all.py [--table N ... | --all | --budget NAME] [options]\n       run_all.py COMMAND [options]",
        description="Measure the networks of the T2T-ViT paper's tables, train what is missing,\n"
        "and report them beside the printed numbers.\n\ncommands (run_all.py COMMAND --help shows their options):\n"
        + "\n".join(lines),
        epilog="example: python run_all.py --table 3",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=bench.__version__, help="print the version")
    _module(TABLES).add_options(parser)
    return parser


def _complete() -> None:
    """Answer the shell's question for completions, through argcomplete, and exit."""
    import argcomplete

    parser = _help_parser()
    subparsers = parser.add_subparsers()
    for name, module in COMMANDS.items():
        _module(module).add_options(subparsers.add_parser(name))
    argcomplete.autocomplete(parser)


def _fail(code: int, message: str) -> int:
    complain(message)
    return code
