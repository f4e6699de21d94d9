"""Pieces of command lines that several commands share."""

import argparse
from collections.abc import Callable
from typing import NoReturn

from bench.spec.errors import RequestError


class Parser(argparse.ArgumentParser):
    """Refuses a request as everything else here does: by one line, and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise RequestError."""
        raise RequestError(f"{message}; {self.prog} --help shows the options")


def at_least(least: int) -> Callable[[str], int]:
    """Type of an option that counts something."""

    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
        return int(text)

    return count
