# PYTHON_ARGCOMPLETE_OK
"""Measure and report the T2T-ViT paper's tables: ``python run_all.py --help``."""

import sys


def main() -> int:
    """Run the command line; returns the exit code, of Ctrl-C while modules are still being imported too."""
    try:
        from bench.cli.main import main
    except KeyboardInterrupt:
        print("run_all.py: interrupted before it began", file=sys.stderr)
        return 130
    return main()


if __name__ == "__main__":
    sys.exit(main())
