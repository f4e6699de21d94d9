"""The paper's claims, as comparisons of rows."""

from dataclasses import dataclass, field

from bench.spec.errors import unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two rows of a table, and the number by which one is compared with the other."""

    table: int
    row: str
    against: str
    cell: str = "top1_pct"
    """top1_pct, cifar10_pct, cifar100_pct, params_m or macs_g"""
    of: str = "difference"
    """in points (accuracies), M or G; or "ratio", in %"""

    def __post_init__(self) -> None:
        if self.of not in ("difference", "ratio"):
            raise unknown("kind of comparison", self.of, ("difference", "ratio"))

    def differs_like(self, other: "Pair") -> bool:
        """Whether both are differences of the same cell of the same table."""
        own = self.of, self.table, self.cell
        return own == ("difference", other.table, other.cell) and other.of == "difference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Pair):
    """A claim's statement about a pair."""

    low: float | None = None
    """least that it is claimed to be, None for no least; two bounds are values at their printed precision, of one digit
    behind the point, and one is a threshold"""
    high: float | None = None
    less: Pair | None = None
    """another pair of the table, whose difference in the same cell is taken off: what is claimed is how much more the
    first changes, with one bound"""
    note: str = ""
    """a possible origin of the claim, where the printed numbers contradict it"""

    def __post_init__(self) -> None:
        Pair.__post_init__(self)
        if self.low is None and self.high is None:
            raise ValueError(f"{self.row!r} against {self.against!r}: a claim needs a bound")
        if self.less and ((self.low is None) == (self.high is None) or not self.differs_like(self.less)):
            raise ValueError(f"{self.name}: two differences of one cell of one table are compared, with one bound")

    @property
    def name(self) -> str:
        """A name of what is compared, for the reader."""
        own = f"{self.row} against {self.against}"
        return f"{own}, minus {self.less.row} against {self.less.against}" if self.less else own


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadChannels:
    """A claim's statement about the channels of a trained network that are dead on test images."""

    network: str
    """as Figure 2 names it"""
    against: str = ""
    """another, whose share is taken off"""
    low: float
    """least share of the channels of all layers, or least difference of the shares, in %"""
    high: None = None

    @property
    def of(self) -> str:
        """The kind of comparison, as in ``Pair``."""
        return "difference" if self.against else "ratio"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """A design that the paper tries on several networks, each against its baseline."""

    name: str = field(kw_only=False)
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One of the paper's claims, with what must hold for it."""

    number: int
    text: str
    comparisons: tuple[Comparison, ...] = ()
    dead_channels: tuple[DeadChannels, ...] = ()

    def __post_init__(self) -> None:
        if not (self.comparisons or self.dead_channels):
            raise ValueError(f"claim {self.number} needs something that it can be tried on")
