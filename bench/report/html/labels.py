"""Labels of verdicts and statuses: words that stand alone get a colour and a sign."""

_TONES = {
    "good": ("equal", "holds", "completed"),
    "near": ("within 1 %", "too close to tell", "running", "interrupted"),
    "bad": ("differs", "fails", "failed", "diverged", "corrupt", "corrupt record"),
    "none": ("untested", "not begun"),
}
"""words that stand alone in a cell and get a label, by its colour and sign"""
_TONE = {word: tone for tone, words in _TONES.items() for word in words}


def tone(text: str) -> str | None:
    """The class of the text's label, if it is a verdict or a status."""
    return _TONE.get(text.partition(" (")[0].partition(", ")[0])
