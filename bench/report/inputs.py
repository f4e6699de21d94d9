"""The inputs of pages: one object for each page, so that no function takes its parts one by one."""

import functools
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from bench.experiments.study import Study
from bench.experiments.suites import Suite
from bench.measure.collect import Collected
from bench.measure.cost import Estimate
from bench.measure.study_cost import Cost
from bench.report.claim_runs import ClaimRuns
from bench.report.frame import Records, runs_frame, table_frame
from bench.report.study_frames import ClaimVerdict
from bench.results.measurement import Complexity
from bench.results.step_speeds import NetworkSpeed
from bench.spec.run import Network
from bench.spec.table import Edition, RecipeTable, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class TableInputs:
    """A table of the paper with the results collected for its rows."""

    table: Table
    edition: Edition
    """whose printed numbers are shown"""
    found: Collected
    """for the rows of this table, and perhaps of others"""
    frame: pd.DataFrame
    """from ``table_frame``"""


def table_inputs(table: Table, edition: Edition, found: Collected) -> TableInputs:
    """Join a table's rows with the results collected for them."""
    return TableInputs(table=table, edition=edition, found=found, frame=table_frame(table, edition, found))


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexInputs:
    """All tables with their results, and the pages beside them."""

    tables: Sequence[TableInputs]
    """all of one edition"""
    recipe_tables: Sequence[RecipeTable]
    claims: pd.DataFrame
    """from ``claims_frame``"""
    figures: Mapping[int, str]
    """titles, by number"""
    estimates: Mapping[str, Estimate | None]
    """of the runs that are ``untrained``, by run id"""
    apart: Mapping[str, str]
    """titles of reports that fill none of the paper's cells, by file"""
    problems: Sequence[str]
    """a line on each file that is not used"""
    in_study: Mapping[int, ClaimVerdict] = field(default_factory=dict)
    """what studies say of a claim, by its number"""
    speed: str = ""
    """what the speeds of the networks say, in words; empty where none were measured"""

    @property
    def edition(self) -> Edition:
        """The edition whose printed numbers are shown."""
        return self.tables[0].edition


@dataclass(frozen=True, kw_only=True)  # without slots, which would leave no room for the cached frame
class SuiteInputs:
    """A suite of runs that fill no cell of the paper, with their records."""

    suite: Suite
    records: Records
    command: tuple[str, ...] = ()
    """its words; trains the runs that are missing"""
    seeds: tuple[int, ...] = ()
    """seeds that were requested"""
    corrupt: Mapping[str, str] = field(default_factory=dict)
    """a line on each corrupt record of these runs, which is not used, by run id"""
    lost: Sequence[str] = ()
    """a line on each file that a completed one of them has lost"""

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """The suite's ``runs_frame``."""
        return runs_frame(self.suite.entries, self.records, self.suite.sweep, self.seeds, self.corrupt)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCost:
    """The cost of a study at one scale."""

    study: Study
    networks: str
    """which of its arms are trained, in words"""
    cost: Cost
    """of all their runs, those that are trained already too"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostInputs:
    """The runs behind the claims and the studies, with what they cost."""

    claims: Sequence[ClaimRuns]
    estimates: Mapping[str, Mapping[str, Estimate | None]]
    """of whole runs, by GPU and run id"""
    measured: Container[Network]
    """networks whose MACs were counted here"""
    studies: Sequence[StudyCost]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedInputs:
    """The speeds of networks, with the rows of the tables that show their accuracies."""

    edition: Edition
    """whose printed accuracies are shown"""
    frames: Mapping[int, pd.DataFrame]
    """from ``table_frame``, by table"""
    measurements: Mapping[Network, Complexity]
    """params and MACs"""
    speeds: Sequence[NetworkSpeed]
