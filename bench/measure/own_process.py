"""Call a function in a process of its own, whose memory is its own, and whose end is not ours."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from bench.spec.errors import RequestError

T = TypeVar("T")

_CONTEXT = multiprocessing.get_context("forkserver")
"""processes are forked from one that has only imported what is slow to import: no CUDA, no threads, little memory"""
_CONTEXT.set_forkserver_preload(["timm", "bench.measure.speed"])


class Died(Exception):
    """The function raised, or its process ended without an answer: one line."""


def in_own_process(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call the function there; an interruption here ends the process.

    Args:
        function: at the top of its module.
        arguments: its own, which can be pickled, as can what it returns.
        named: likewise.

    Raises:
        RequestError: the function raised it.
        Died: it raised anything else, or its process was killed, as where memory is short.
    """
    answers, ours = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_answer, args=(ours, function, arguments, named), daemon=True)
    process.start()
    ours.close()
    try:
        result, error = answers.recv()
    except EOFError:
        process.join()
        raise Died(_ended(process.exitcode or 0)) from None
    finally:
        process.kill()  # it has answered, or nobody waits for it any more
        process.join()
    if error is not None:
        raise error
    returned: T = result
    return returned


def _ended(code: int) -> str:
    if code >= 0:
        return f"its process ended with code {code}"
    hint = ", as happens where memory runs out" if -code == signal.SIGKILL else ""
    return f"its process was ended by {signal.Signals(-code).name}{hint}"


def _answer(ours: Connection, function: Callable[..., object], arguments: Any, named: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    answer: tuple[object, Exception | None]
    try:
        answer = function(*arguments, **named), None
    except RequestError as error:
        answer = None, error
    except Exception as error:
        reason = " ".join(str(error).split())
        answer = None, Died(f"{type(error).__name__}: {reason}" if reason else type(error).__name__)
    ours.send(answer)


def _end_with_parent() -> None:
    """Wait until the process that asked is gone, however it ended, and end this one, of which nobody hears any more."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
