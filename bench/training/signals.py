"""Signals that ask a run to stop: remembered here, obeyed where it is safe to."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Interrupted(Exception):
    """A signal asked the work to stop, and it has saved itself."""

    def __init__(self, number: int, where: str) -> None:
        self.signal = signal.Signals(number)
        """that any of the processes received"""
        super().__init__(f"{self.signal.name} in {where}")


class Stop:
    """Whether a signal asked to stop: set by the handler, read by whoever can save first."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP)

    def __init__(self) -> None:
        self.signal = 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = number

    @contextlib.contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Handle the signals inside the block; their old handlers return after it."""
        deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # under nohup, which means it
        numbers = [number for number in self.SIGNALS if not (deaf and number == signal.SIGHUP)]
        old = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
