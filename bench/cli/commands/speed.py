"""``run_all.py speed``: the speed of networks in training and inference, alone or beside another implementation's."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from bench.cli.parser import Output, Parser, add_output, as_name, does_nothing, output_of, whole
from bench.cli.selection import rows_named, tables_named
from bench.paper import TABLES
from bench.paper.editions import EDITIONS
from bench.spec.errors import RequestError
from bench.spec.run import Network

HELP = "measure the speed of networks in training and inference on this machine"

MODES = ("train", "infer", "latency")
COMPARED = ("t2t_vit_7", "t2t_vit_14")
"""networks that are compared with another implementation where none are named"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRequest:
    """Cases to measure, every combination of these, and how."""

    networks: tuple[Network, ...]
    batches: tuple[int, ...]
    precisions: tuple[str, ...]
    """empty for the one that training chooses on the device"""
    modes: tuple[str, ...]
    """of MODES; latency is inference of one image, whatever the batches"""
    compile: bool
    device: str
    """``cuda``, ``cpu``, or empty for a GPU if there is one"""
    rounds: int
    clock: str
    """``wall``, or ``cpu`` for CPU time of one thread"""
    again: bool
    """whether to measure cases of this machine again that are kept"""
    against: str | None
    """MODULE:FUNCTION that builds the other implementation"""
    add: bool
    """whether to keep the other cases of the comparison's page"""
    output: Output


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    add = parser.add_argument_group("networks (default: those of all rows of all tables)").add_argument
    add("--table", nargs="+", type=as_name, metavar="N", help="those of these tables of the paper, by number")
    add("--only", nargs="+", type=as_name, metavar="PATTERN", help="only rows whose name or network matches")
    add("--models", nargs="+", type=as_name, metavar="NAME", help="these, by timm's name, whether of a row or not")
    add("--img-size", nargs="+", type=whole(16), metavar="PX", help="default: the row's own, or else 224")
    add = parser.add_argument_group("cases, in every combination").add_argument
    add("--batch", nargs="+", type=whole(2), default=[8], metavar="N", help="images per batch (default: 8)")
    precisions = ["float32", "bfloat16", "float16"]
    add("--precision", nargs="+", choices=precisions, default=[], help="default: what training chooses on the device")
    add("--mode", nargs="+", choices=MODES, default=MODES, help="latency: inference of one image (default: all three)")
    add = parser.add_argument_group("measuring").add_argument
    add("--again", action="store_true", help="measure again what was measured on this machine before")
    add("--compile", action="store_true", help="use torch.compile; another implementation never does")
    add("--device", choices=["cuda", "cpu"], default="", help="default: a GPU if there is one")
    add("--rounds", type=whole(1), default=5, metavar="N", help="rounds of measurement (default: %(default)s)")
    add("--clock", choices=["wall", "cpu"], default="wall", help="cpu: CPU time of one thread, for a busy machine")
    add = parser.add_argument_group("another implementation, in a report of its own").add_argument
    compared = f"compare with what this function builds (default networks: {' '.join(COMPARED)})"
    add("--against", type=as_name, metavar="MODULE:FUNCTION", help=compared)
    add("--add", action="store_true", help="keep the report's cases; they must have been measured in the same way")
    add_output(parser)


def request(arguments: Sequence[str]) -> SpeedRequest:
    """Read the command line.

    Raises:
        RequestError: no such row, networks that are chosen twice, or an option that does nothing here.
    """
    parser = Parser(
        "speed",
        description="Measure training steps, inference and latency on this machine. What is measured already is kept, "
        "so that the same command continues where it was interrupted.",
        epilog="example: python run_all.py speed --table 3",
    )
    add_options(parser)
    args = parser.parse_args(arguments)
    if args.add and not args.against:
        raise does_nothing("--add", "--against")
    if args.again and args.against:
        raise RequestError("--again does nothing with --against, which measures every time; leave out --again")
    return SpeedRequest(
        networks=_networks(args),
        batches=tuple(args.batch),
        precisions=tuple(args.precision),
        modes=tuple(args.mode),
        compile=args.compile,
        device=args.device,
        rounds=args.rounds,
        clock=args.clock,
        again=args.again,
        against=args.against,
        add=args.add,
        output=output_of(args),
    )


def _networks(args: argparse.Namespace) -> tuple[Network, ...]:
    """The networks that the options choose, each once."""
    by_row = [option for option in ("table", "only") if getattr(args, option)]
    if args.models and by_row:
        raise RequestError(
            f"--models names networks and --{by_row[0]} chooses those of rows; leave out either --models or "
            f"{' and '.join(f'--{option}' for option in by_row)}"
        )
    if args.models or (args.against and not by_row):
        found = [Network(model) for model in args.models or COMPARED]
    else:
        tables, settings = tables_named(args.table or map(str, TABLES))
        if settings:
            raise RequestError(
                f"--table {' '.join(str(table.number) for table in settings)}: experiment settings, which have no "
                f"networks; choose from --table {' '.join(map(str, TABLES))}"
            )
        rows = [row for table in tables for row in table.rows_in(EDITIONS[0])]
        found = [row.network for row in rows_named(rows, args.only)]
    sizes = args.img_size or [None]
    return tuple(
        dict.fromkeys(
            Network(one.model, model_args=one.model_args, img_size=size or one.img_size)
            for one in found
            for size in sizes
        )
    )


def run(asked: SpeedRequest) -> int:
    """Measure and report; returns the exit code."""
    if asked.against:
        from bench.cli.step_report import report_steps

        return report_steps(asked)
    from bench.cli.speed_report import report_speed

    return report_speed(asked)
