"""``run_all.py speed``: images a second in training and inference, beside another implementation's."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cli.parser import Parser, as_name, as_path, whole

HELP = "measure the speed of a training step and of inference on this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRequest:
    """Cases to measure, every combination of these, and how."""

    models: tuple[str, ...]
    img_sizes: tuple[int, ...]
    """pixels, square"""
    batches: tuple[int, ...]
    precisions: tuple[str, ...]
    modes: tuple[str, ...]
    """``train``, ``infer``"""
    compile: bool
    device: str
    """``cuda``, ``cpu``, or empty for a GPU if there is one"""
    rounds: int
    clock: str
    """``wall``, or ``cpu`` for CPU time of one thread"""
    against: str | None
    """MODULE:FUNCTION that builds the other implementation"""
    add: bool
    """whether to keep the other cases of the page"""
    runs: Path
    """where estimates of cost find the speeds"""
    reports: Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    add = parser.add_argument_group("cases, in every combination").add_argument
    models = ["t2t_vit_7", "t2t_vit_14"]
    add("--models", nargs="+", type=as_name, default=models, metavar="NAME", help="default: t2t_vit_7 t2t_vit_14")
    add("--img-size", nargs="+", type=whole(16), default=[224], metavar="PX", help="default: 224")
    add("--batch", nargs="+", type=whole(2), default=[8], metavar="N", help="images per batch (default: 8)")
    precisions = ["float32", "bfloat16", "float16"]
    add("--precision", nargs="+", choices=precisions, default=precisions[:2], help="default: float32 bfloat16")
    add("--mode", nargs="+", choices=["train", "infer"], default=["train", "infer"], help="default: both")
    add = parser.add_argument_group("measuring").add_argument
    add("--against", type=as_name, metavar="MODULE:FUNCTION", help="compare with what this function builds")
    add("--compile", action="store_true", help="use torch.compile; the other implementation never does")
    add("--device", choices=["cuda", "cpu"], default="", help="default: a GPU if there is one")
    add("--rounds", type=whole(1), default=9, metavar="N", help="rounds of measurement (default: 9)")
    add("--clock", choices=["wall", "cpu"], default="wall", help="cpu: CPU time of one thread, for a busy machine")
    add = parser.add_argument_group("output").add_argument
    add("--add", action="store_true", help="keep the report's cases; they must have been measured in the same way")
    add("--runs", type=as_path, default=Path("runs"), metavar="DIR", help="where speeds are kept (default: runs)")
    add("--reports", type=as_path, default=Path("reports"), metavar="DIR", help="where to write (default: reports)")


def request(arguments: Sequence[str]) -> SpeedRequest:
    """Read the command line."""
    parser = Parser(
        "speed",
        description="Measure training steps and inference on this machine, alone or next to another implementation.",
        epilog="example: python run_all.py speed --models t2t_vit_14 --against tests.literal_t2t:create",
    )
    add_options(parser)
    args = parser.parse_args(arguments)
    return SpeedRequest(
        models=tuple(args.models),
        img_sizes=tuple(args.img_size),
        batches=tuple(args.batch),
        precisions=tuple(args.precision),
        modes=tuple(args.mode),
        compile=args.compile,
        device=args.device,
        rounds=args.rounds,
        clock=args.clock,
        against=args.against,
        add=args.add,
        runs=args.runs,
        reports=args.reports,
    )


def run(asked: SpeedRequest) -> int:
    """Measure, print the page and write it; returns the exit code."""
    from bench.cli.speed_report import report_speed

    print(report_speed(asked), end="")
    return 0
