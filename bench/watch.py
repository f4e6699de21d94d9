"""What a run tells its log: an aligned line an epoch."""

import sys


class Lines:
    """A line an epoch, on standard error."""

    def __init__(self, run_id: str) -> None:
        print(run_id, file=sys.stderr, flush=True)

    def epoch(self, line: dict[str, float], *, images_per_s: float, epochs: int) -> None:
        """One aligned line."""
        accuracies = " ".join(
            f"{kind} top-1 {line[f'{kind}_top1_pct']:6.2f} top-5 {line[f'{kind}_top5_pct']:6.2f} "
            for kind in ("raw", "ema")
            if f"{kind}_top1_pct" in line
        )
        print(
            f"  epoch {line['epoch'] + 1:>4.0f}/{epochs}  lr {line['lr']:.2e}  loss {line['train_loss']:7.4f}  "
            f"{accuracies} {images_per_s:8.1f} images/s",
            file=sys.stderr,
            flush=True,
        )

    def note(self, text: str) -> None:
        """One line."""
        print(f"  {text}", file=sys.stderr, flush=True)
