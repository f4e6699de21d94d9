"""A command on a pseudo-terminal, as a person has it before them: typed to, and read through a terminal emulator."""

import copy
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from types import TracebackType

import pyte

from tests.conftest import ROOT
from tests.zygote import take_terminal

ALTERNATE_SCREEN = (1049,)


class Screen(pyte.HistoryScreen):
    """Remembers the lines that had to be broken at its right edge, but for those with an echoed ^C in them."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__(columns, rows, history=10_000)
        self.broken: list[str] = []

    def draw(self, data: str) -> None:
        for character in data:
            if self.cursor.x == self.columns and "^C" not in (line := self.display[self.cursor.y]):
                self.broken.append(line)
            super().draw(character)

    def set_mode(self, *modes: int, **where: bool) -> None:
        """Keep what is seen while the alternate screen covers it, which pyte knows nothing of."""
        if modes == ALTERNATE_SCREEN and where.get("private"):
            self._covered = copy.deepcopy(self.buffer), copy.copy(self.cursor)
            self.erase_in_display(2)
        super().set_mode(*modes, **where)

    def reset_mode(self, *modes: int, **where: bool) -> None:
        """Show it again."""
        if modes == ALTERNATE_SCREEN and where.get("private"):
            self.buffer, self.cursor = self._covered
        super().reset_mode(*modes, **where)

    def select_graphic_rendition(self, *attributes: int, **_: object) -> None:
        """Colours: none that a test looks at, and of those that xterm sets itself pyte knows nothing."""


class Terminal:
    """``run_all.py`` on a terminal of its own; killed with all that it started when the block ends.

    Args:
        arguments: of the command.
        columns: of the terminal.
        rows: of the terminal.
        python_options: of the interpreter.
    """

    def __init__(
        self, *arguments: object, columns: int = 80, rows: int = 24, python_options: Sequence[str] = ()
    ) -> None:
        self.screen = Screen(columns, rows)
        self.said = ""
        """all that was written, as it came"""
        self._stream = pyte.ByteStream(self.screen)
        self._fd, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, *python_options, str(ROOT / "run_all.py"), *map(str, arguments)],
            cwd=ROOT,
            env={**env, "TERM": "xterm"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=take_terminal,
        )
        os.close(inner)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._fd)

    @property
    def now(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    @property
    def all(self) -> str:
        """What is on the screen and what has left it at the top."""
        above = ["".join(line[x].data for x in range(self.screen.columns)) for line in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*above, *self.screen.display]).rstrip()

    def press(self, key: str) -> None:
        """Type."""
        os.write(self._fd, key.encode())

    def see(self, wanted: str | Callable[[], bool], timeout: float = 300) -> str:
        """Read until the screen matches a pattern, or something is so; returns the screen."""

        def there() -> bool:
            return bool(re.search(wanted, self.now)) if isinstance(wanted, str) else wanted()

        self._read(there, timeout)
        assert there(), f"never saw {wanted!r}; all that was seen:\n{self.all}"
        return self.now

    def end(self, timeout: float = 300) -> int:
        """Read to the end; returns the exit code."""
        self._read(lambda: False, timeout)
        return self.process.wait(timeout)

    def _read(self, enough: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not enough() and time.monotonic() < deadline:
            if not select.select([self._fd], [], [], 0.05)[0]:
                continue
            try:
                chunk = os.read(self._fd, 512)
            except OSError:  # Linux's way to say that the other end is closed
                return
            self.said += chunk.decode(errors="replace")
            self._stream.feed(chunk)
