"""Loggers beside a run: each is a process of its own, which follows the run's folder.

It writes the epochs of metrics.jsonl that its tracker does not hold yet, so a run that was resumed, even after a kill
between two writes, has every epoch once. The training process only starts it, and waits for it at the end for a while:
no failure of a tracker, and no server that does not answer, can stop or slow the run.

``python -m bench.launch.follow FOLDER TOKEN NAME`` is such a process. The training process tells it the run's end
through standard input.
"""

import contextlib
import hashlib
import itertools
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.launch.loggers import LoggedRun, Logger, open_logger
from bench.results.files import CorruptFile
from bench.results.record import RunRecord
from bench.results.run_folder import OwnedRun, last_owner, load_metrics, load_own_record
from bench.results.spec_file import load_spec
from bench.spec.text import one_line

LOOK_S = 1.0
"""between two looks at the run's folder"""

RETRY_S = 300.0
"""after which a tracker that failed is tried again"""

PATIENCE_S, HASTE_S = 60.0, 5.0
"""at the end of a completed run, and of one that will be resumed: for a tracker's last answer"""

_END = b"end\n"
_NICENESS = 10
"""lets training have the cores first"""


@contextlib.contextmanager
def following(run: OwnedRun, names: Sequence[str], note: Callable[[str], None]) -> Iterator[None]:
    """Have loggers follow the run while the block lasts.

    Args:
        run: the owned folder.
        names: of ``LOGGERS``.
        note: takes a line on what goes wrong.
    """
    followers: dict[str, subprocess.Popen[bytes]] = {}
    for name in names:
        command = [sys.executable, "-m", __name__, str(run.folder), run.token, name]
        try:
            # In a session of its own, so that signals to the run's process group leave it alone.
            followers[name] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            note(f"{name}: {error.strerror}; the run goes on without it")
    is_completed = False
    try:
        yield
        is_completed = True
    finally:
        _end(followers, PATIENCE_S if is_completed else HASTE_S, note)


def _end(followers: dict[str, "subprocess.Popen[bytes]"], patience_s: float, note: Callable[[str], None]) -> None:
    """Tell the followers that the run has ended, and wait for them together."""
    deadline = time.monotonic() + patience_s
    for process in followers.values():
        assert process.stdin
        with contextlib.suppress(OSError):  # it is gone
            process.stdin.write(_END)
            process.stdin.close()
    for name, process in followers.items():
        try:
            code = process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with what its library has started
            process.wait()
            note(f"{name}: no answer within {patience_s:.0f} s after the run's end; epochs may be missing there")
        else:
            if code < 0:
                note(f"{name}: its process was ended by {signal.Signals(-code).name}; epochs may be missing there")


class _TrainerGone(Exception):
    """The training process died without a word; whoever resumes the run goes on with its loggers, too."""


class Follower:
    """Writes a run's epochs to a tracker until the run ends.

    Args:
        folder: the run's.
        token: of the folder's owner: a newer owner has a follower of its own.
        name: of the logger.
        say: takes a line on what goes wrong.
    """

    def __init__(self, folder: Path, token: str, name: str, say: Callable[[str], None]) -> None:
        self._folder, self._token, self._name, self._say = folder, token, name, say
        self._written: set[int] = set()
        self._seen: tuple[int, int] | None = None  # mtime and size of record.json
        self._ended = False
        self._said: set[str] = set()

    def follow(self) -> None:
        """Follow the run to its end."""
        with contextlib.suppress(_TrainerGone):
            while True:
                try:
                    self._follow()
                    return
                except _TrainerGone:
                    raise
                except Exception as error:  # of any library, and whatever it is, the run goes on
                    self._complain(error)
                if self._ended:
                    return
                self._wait(RETRY_S)

    def _follow(self) -> None:
        record = self._record()
        while record is None and not self._ended:
            self._wait(LOOK_S)
            record = self._record()
        if record is None or not self._is_current():
            return
        run = LoggedRun(folder=self._folder, spec=load_spec(self._folder), key=key_of(record))
        logger = open_logger(self._name, run)
        self._written, self._seen = set(), None
        while not self._ended:
            self._catch_up(logger)
            self._wait(LOOK_S)
        self._catch_up(logger)
        record = self._record()
        if record and self._is_current():
            logger.end(record.status)

    def _wait(self, seconds: float) -> None:
        """Wait for the run's end, at most so long."""
        if self._ended or not select.select([sys.stdin], [], [], seconds)[0]:
            return
        if os.read(sys.stdin.fileno(), len(_END)) != _END:
            raise _TrainerGone
        self._ended = True

    def _record(self) -> RunRecord | None:
        with contextlib.suppress(CorruptFile):  # the training process speaks of it
            return load_own_record(self._folder)
        return None

    def _is_current(self) -> bool:
        owner = last_owner(self._folder)
        return owner is not None and owner.token == self._token

    def _catch_up(self, logger: Logger) -> None:
        """Write the epochs that the tracker does not hold."""
        try:
            found = (self._folder / "record.json").stat()  # written after the metrics that it counts
            seen = found.st_mtime_ns, found.st_size
            record = self._record()
            if seen == self._seen or record is None:
                return
            lines = load_metrics(self._folder, record).lines
        except (OSError, CorruptFile):  # not there yet, or just being replaced
            return
        self._seen = seen
        speeds = itertools.chain(record.epoch_images_per_s, itertools.repeat(None))
        for epoch, (line, images_per_s) in enumerate(zip(lines, speeds, strict=False)):
            if epoch in self._written:
                continue
            values = {name: float(value) for name, value in line.items() if name != "epoch"}
            values |= {} if images_per_s is None else {"images_per_s": images_per_s}
            missing = {name: value for name, value in values.items() if not logger.has(name, epoch)}
            if not self._is_current():
                return
            if missing:
                logger.write(epoch, missing)
            self._written.add(epoch)

    def _complain(self, error: Exception) -> None:
        words = one_line(" ".join(str(error).split()))[:300] or type(error).__name__
        if words not in self._said:
            self._said.add(words)
            self._say(f"  {self._name}: {words.rstrip('.')}; the run goes on without it")


def key_of(record: RunRecord) -> str:
    """The ``LoggedRun.key`` of a run, from how it began."""
    first = record.history[0] if record.history else {}
    began = [record.run_id, *(first.get(name) for name in ("when", "host", "pid"))]
    return hashlib.sha256(repr(began).encode()).hexdigest()[:16]


def _main(folder: str, token: str, name: str) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # the training process hears them, saves, and tells the end
    os.nice(_NICENESS)
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as log:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # libraries tell of themselves
        Follower(Path(folder), token, name, lambda line: print(line, file=log, flush=True)).follow()


if __name__ == "__main__":
    _main(*sys.argv[1:])
