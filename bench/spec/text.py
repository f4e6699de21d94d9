"""Text from files, names and options, made fit to be shown: nothing in it commands a terminal or names a folder."""

import contextlib
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and newline
    "\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"  # without a width, or turning the direction of text
    "\ud800-\udfff"  # bytes of a name that are no UTF-8
    "\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """The text with characters that a terminal obeys or hides written as in Python, such as ``\\x1b``."""
    return _INVISIBLE.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """Text of one line that cannot break out of it."""
    return printable(re.sub(r"\s*[\r\n\v\f\x85\u2028\u2029]\s*", " ", text))


_PART = r"[^\s/\\'\"()\[\]{}<>:;,|]+"
_ABSOLUTE = re.compile(rf"(?<![\w.:/~-])(?:[A-Za-z]:)?(?:[/\\]{_PART})+[/\\]({_PART})")


def without_folders(text: str, roots: Iterable[str | Path] = ()) -> str:
    """The text without absolute paths, which tell how a machine is laid out and mean nothing on another.

    Args:
        text: such as the message of an error.
        roots: folders that a path is told from; of other paths the last part alone stays.
    """
    for root in sorted(map(str, roots), key=len, reverse=True):
        if root.strip("/."):
            text = text.replace(f"{root.rstrip('/')}/", "")
    return _ABSOLUTE.sub(r"\1", text)


class _Printable:
    """A stream that writes text as ``printable`` has it.

    Args:
        stream: where to.
        name: its name, for an error.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self.stream, self._name = stream, name

    def write(self, text: str) -> int:
        with self._named():
            self.stream.write(printable(text))
        return len(text)

    def flush(self) -> None:
        with self._named():
            self.stream.flush()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._name) from error  # BrokenPipeError stays one

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def printable_streams() -> Iterator[None]:
    """Inside, what is printed commands no terminal, whatever it holds."""
    with contextlib.ExitStack() as stack:
        if sys.stdout:
            stack.enter_context(contextlib.redirect_stdout(cast(TextIO, _Printable(sys.stdout, "standard output"))))
        if sys.stderr:
            stack.enter_context(contextlib.redirect_stderr(cast(TextIO, _Printable(sys.stderr, "standard error"))))
        yield


def beneath(stream: TextIO) -> TextIO:
    """The stream that takes commands for a terminal, for a library that writes them, and text that is printable."""
    return stream.stream if isinstance(stream, _Printable) else stream


def at_words(line: str, stream: TextIO) -> str:
    """A line broken at words, where a terminal would break it inside of one; as it is for whatever else reads it."""
    if stream is None or not stream.isatty():
        return line
    columns = shutil.get_terminal_size().columns
    return textwrap.fill(line, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def answer(question: str, *, as_json: bool) -> bool | None:
    """Ask a question for yes or no on the terminal; None where nobody can be asked.

    Args:
        question: without its question mark.
        as_json: whether a program reads what is printed.
    """
    if as_json or not sys.stdin or not sys.stdin.isatty():
        return None
    return input(f"{question}? [y/N] ").strip().lower() in ("y", "yes")


_LONGEST = 3_000
"""characters of a complaint: of what is longer the middle is left out, since it repeats what was given"""


def complain(message: str) -> None:
    """A line on what is wrong, on standard error."""
    line = one_line(message)
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"
    print(at_words(f"run_all.py: {line}", sys.stderr), file=sys.stderr)
