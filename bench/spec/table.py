"""The paper's tables: their rows, the printed numbers, and the editions that print them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bench.spec.errors import unknown
from bench.spec.recipe import Recipe
from bench.spec.run import Network, RunSpec

CELLS = ("top1_pct", "params_m", "macs_g")
STRUCTURE = ("tokens", "depth", "hidden", "mlp")
"""what a table may say of a network's structure: the layer that makes tokens, blocks (layers of a CNN), widths"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One printing of the paper's numbers."""

    key: str
    """what ``--edition`` takes"""
    name: str
    citation: str
    amends: "Edition | None" = None
    """the edition whose numbers hold for rows that this one does not print"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One row's numbers as an edition prints them; None where it prints none."""

    top1_pct: float | None = None
    params_m: float | None = None
    macs_g: float | None = None
    cifar10_pct: float | None = None
    """top-1 after fine-tuning"""
    cifar100_pct: float | None = None
    change_pct: float | None = None
    """of top-1 against the group's baseline, where the printed change is not the difference of the printed numbers"""
    structure: Mapping[str, str] = field(default_factory=dict)
    """by column of STRUCTURE, as printed"""
    why: Mapping[str, str] = field(default_factory=dict)
    """the known reason, by cell, for a number that our measurement contradicts"""

    def __post_init__(self) -> None:
        for column in self.structure:
            if column not in STRUCTURE:
                raise unknown("column of a network's structure", column, STRUCTURE)
        for cell in self.why:
            if cell not in self.structure and (cell not in CELLS or getattr(self, cell) is None):
                raise ValueError(f"a reason needs a printed number beside it: {cell!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Trained weights that somebody released."""

    files: tuple[str, ...]
    """their names, the official one first; eight hex digits before the suffix begin the file's sha256"""
    tag: str = ""
    """timm's name for them, with which its hub has them; empty if it has none"""
    source: str
    """where the files are"""

    @property
    def name(self) -> str:
        """Their name here."""
        return self.tag or self.files[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """An accuracy that others reported: cited beside a row, and never in one of its cells."""

    top1_pct: float
    by: str
    source: str
    """where they say so"""
    retrained: bool = False
    """whether it is of weights that they trained themselves, instead of the released ones"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Another network that a row's printed numbers may belong to: shown as a note, never in the row."""

    network: Network
    what: str
    """in what it is another, for the reader"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A row's accuracy on a data set: its columns in a report."""

    dataset: str = ""
    """that the row's weights were fine-tuned on; empty for that of the row's own run"""

    @property
    def accuracy(self) -> str:
        """Column of the accuracy; behind ``published_`` that of the printed one."""
        return f"{self.dataset}_pct" if self.dataset else "top1_pct"

    @property
    def seeds(self) -> str:
        """Column of the number of seeds that were trained."""
        return self.trained("seeds")

    def trained(self, name: str) -> str:
        """Column about the runs: ``top1_pct``, ``top1_std``, ``top1_std_err``, ``seeds`` or ``run_ids``."""
        return f"{self.dataset}_{name.removeprefix('top1_')}" if self.dataset else name

    def evaluated(self, name: str) -> str:
        """Column of something about the evaluation of released weights, such as ``top1_pct`` or ``file``."""
        return f"{self.dataset}_evaluated_{name.removeprefix('top1_')}" if self.dataset else f"evaluated_{name}"


OWN_CELL = Cell()
FINE_TUNED_CELLS = (Cell(dataset="cifar10"), Cell(dataset="cifar100"))
ACCURACY_CELLS = (OWN_CELL, *FINE_TUNED_CELLS)
"""of which ``Published`` has a printed number"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of one of the paper's tables."""

    name: str = field(kw_only=False)
    """as the paper prints it"""
    run: RunSpec | None = None
    """how its printed top-1 came about; None where no recipe for that is known, and trains nothing"""
    untrained: Network | None = None
    """what is measured for a row without a run"""
    transfers: tuple[RunSpec, ...] = ()
    """what fine-tunes the run's final weights, a run a data set"""
    published: Mapping[Edition, Published]
    group: str = ""
    """heading that it stands under"""
    baseline: bool = False
    """whether the changes of its group are against it"""
    candidates: tuple[Candidate, ...] = ()
    curve: str = ""
    """line of the table's picture that the row belongs to, if it has one"""
    point: str = ""
    """label of the row on that line"""

    def __post_init__(self) -> None:
        if (self.run is None) == (self.untrained is None):
            raise ValueError(f"row {self.name!r} needs a run, or else the network to measure")

    @property
    def network(self) -> Network:
        """The network whose params and MACs it shows."""
        network = self.run.network if self.run else self.untrained
        assert network is not None  # checked when the row was made
        return network

    @property
    def runs(self) -> tuple[RunSpec, ...]:
        """All that fill cells of the row."""
        return (*([self.run] if self.run else []), *self.transfers)

    def cell(self, run: RunSpec) -> Cell:
        """The cell that one of the row's runs fills."""
        return OWN_CELL if run == self.run else Cell(dataset=run.dataset)

    def printed(self, edition: Edition) -> tuple[Published, Edition]:
        """The row's numbers in an edition, and the edition that printed them."""
        holder: Edition | None = edition
        while holder is not None:
            if holder in self.published:
                return self.published[holder], holder
            holder = holder.amends
        return Published(), edition


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One of the paper's tables of networks."""

    number: int
    title: str
    rows: tuple[Row, ...]

    def rows_in(self, edition: Edition) -> tuple[Row, ...]:
        """The rows that an edition prints, itself or through the one that it amends, and those that none prints."""
        return tuple(row for row in self.rows if not row.published or row.printed(edition)[1] in row.published)

    @property
    def has_picture(self) -> bool:
        """Whether its rows lie on curves of accuracy against cost."""
        return any(row.curve for row in self.rows)


def networks(rows: Iterable[Row]) -> list[Network]:
    """All networks that a report on the rows shows, candidates and teachers included, each once."""
    listed = list(rows)
    candidates = [candidate.network for row in listed for candidate in row.candidates]
    teachers = [teacher for row in listed if row.run and (teacher := row.run.teacher_network)]
    return list(dict.fromkeys([*(row.network for row in listed), *candidates, *teachers]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value of the authors' that is no part of a recipe."""

    name: str = field(kw_only=False)
    value: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeTable:
    """One of the paper's tables of experiment settings, read off the recipes."""

    number: int
    title: str
    recipes: tuple[Recipe, ...]
    beside: tuple[Setting, ...]
    """what is set elsewhere, for all of them"""
