"""The lines that a run writes to its log: an aligned one each epoch, and one a minute in between."""

import sys
import threading
import time
import warnings
from types import TracebackType

from bench.results.progress import Progress, speed

SILENCE_S = 60.0
"""after which a log says how far its run is: that it lives, whatever it is busy with"""

INSIDE = "    "
"""begins a line on how far a run is; where bars show that, such lines are left out"""


class Lines:
    """Lines on standard error, from the begin of its block to its end.

    What a library warns of inside is a line like any other.

    Args:
        run_id: stands above them.
    """

    def __init__(self, run_id: str) -> None:
        self._progress: Progress | None = None
        self._warned: set[str] = set()
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._break_silence, daemon=True)
        self._print(run_id)

    def __enter__(self) -> "Lines":
        self._clock.start()
        self._python_shows, warnings.showwarning = warnings.showwarning, self._warning
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        warnings.showwarning = self._python_shows
        self._over.set()
        self._clock.join()

    def progress(self, progress: Progress) -> None:
        """Remember it for the next line."""
        self._progress = progress

    def epoch(self, line: dict[str, float], *, images_per_s: float, epochs: int) -> None:
        """One aligned line."""
        accuracies = "".join(
            f"  {name} {line[f'{kind}_top1_pct']:6.2f} %"
            for kind, name in (("raw", "top-1"), ("ema", "EMA"))
            if f"{kind}_top1_pct" in line
        )
        self._print(
            f"  epoch {line['epoch'] + 1:>4.0f}/{epochs}  loss {line['train_loss']:7.4f}{accuracies}  "
            f"{speed(images_per_s):>15}"
        )

    def note(self, text: str) -> None:
        """One line."""
        self._print(f"  {text}")

    def _warning(self, message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        text = f"{category.__name__}: {' '.join(str(message).split())}"
        if text not in self._warned:
            self._warned.add(text)
            self.note(text)

    def _print(self, line: str) -> None:
        self._spoke = time.monotonic()
        print(line, file=sys.stderr, flush=True)

    def _break_silence(self) -> None:
        while not self._over.wait(max(0.0, self._spoke + SILENCE_S - time.monotonic())):
            if self._progress and time.monotonic() >= self._spoke + SILENCE_S:
                self._print(f"{INSIDE}{self._progress}")
