"""Labels of verdicts and statuses: words that stand alone get a colour and a sign."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tone:
    """A colour and a sign, and what they stand for."""

    name: str
    """the class of labels that have it"""
    words: tuple[str, ...]
    """those that stand alone in a cell and get such a label"""
    meaning: str


LEGEND = (
    Tone(name="good", words=("equal", "holds", "agrees", "completed"), meaning="as the paper says, or done"),
    Tone(
        name="near",
        words=("within 1 %", "too close to tell", "cannot tell", "running", "interrupted"),
        meaning="close, undecided or under way",
    ),
    Tone(
        name="bad",
        words=("differs", "fails", "disagrees", "failed", "diverged", "corrupt", "corrupt record"),
        meaning="not as the paper says, or broken",
    ),
    Tone(name="none", words=("untested", "not begun"), meaning="no result yet"),
)
"""all labels, as the page explains them"""

_TONE = {word: tone.name for tone in LEGEND for word in tone.words}


def tone(text: str) -> str | None:
    """The class of the text's label, if it is a verdict or a status."""
    return _TONE.get(text.partition(" (")[0].partition(", ")[0])
