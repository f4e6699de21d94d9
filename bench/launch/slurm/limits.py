"""The limits on a user's jobs and their length, from the accounting's associations and QOS."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bench.launch.slurm.ask import MARK, Unreachable, ask, rows
from bench.launch.slurm.client import Cluster, minutes, user_name
from bench.launch.slurm.config import SlurmRequest

L = TypeVar("L")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A limit on submitted jobs, and how much of it is left."""

    name: str
    """as in MaxSubmitJobs=30 of QOS few"""
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of this user; empty where Slurm enforces none or tells of none."""

    submit: Mapping[tuple[str, str], tuple[str, int]] = field(default_factory=dict)
    """by account and QOS, either of them perhaps empty for any, the limit's name and its number of jobs"""
    wall: Mapping[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    """likewise, the limit's name and its minutes"""
    submitted: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """jobs of the user that wait or run, by account and QOS"""
    account: str = ""
    """the user's default"""
    qos: str = "normal"
    """likewise"""
    partition_qos: Mapping[str, str] = field(default_factory=dict)

    def room(self, request: SlurmRequest, partition: str) -> list[Room]:
        """The room left under each limit that holds for a request's jobs."""
        found = []
        for key, (name, most) in self._that_hold(self.submit, request, partition):
            taken = sum(n for (account, qos), n in self.submitted.items() if key in ((account, ""), ("", qos)))
            found.append(Room(name=name, left=max(0, most - taken)))
        return found

    def most_minutes(self, request: SlurmRequest, partition: str) -> tuple[str, float]:
        """The narrowest limit on the time of jobs of a request: its name and minutes."""
        walls = [limit for _, limit in self._that_hold(self.wall, request, partition)]
        return min(walls, key=lambda limit: limit[1], default=("", math.inf))

    def _that_hold(
        self, limits: Mapping[tuple[str, str], L], request: SlurmRequest, partition: str
    ) -> list[tuple[tuple[str, str], L]]:
        asked = dict(request.passed_on)
        account, qos = str(asked.get("account", self.account)), str(asked.get("qos", self.qos))
        qoses = {qos, self.partition_qos.get(partition, "")} - {""}
        return [(key, limit) for key, limit in limits.items() if key == (account, "") or key[1] in qoses]


def limits(cluster: Cluster) -> Limits:
    """The limits of this user."""
    if "limits" not in cluster.enforced:
        return Limits()
    user = user_name()
    try:
        associations = _fields("assoc", f"user={user}", "Account,DefaultQOS,MaxSubmitJobs,GrpSubmitJobs,MaxWall")
        qoses = _fields("qos", "", "Name,MaxSubmitPU,MaxSubmitPA,GrpSubmit,MaxWall")
        default = _fields("user", user, "User,DefaultAccount")
        queue = rows(ask("squeue", "--array", f"--user={user}", f"--format={MARK}|%a|%q"), 2, "squeue")
        partitions = ask("scontrol", "--oneliner", "show", "partition")
    except Unreachable:
        return Limits()
    account = next((fields[1] for fields in default if fields[0] == user), "")
    submit: dict[tuple[str, str], tuple[str, int]] = {}
    wall: dict[tuple[str, str], tuple[str, float]] = {}
    for name, _, *jobs_of, limit in associations:
        if numbers := [int(jobs) for jobs in jobs_of if jobs.isdecimal()]:
            submit[name, ""] = f"MaxSubmitJobs={min(numbers)} of account {name}", min(numbers)
        if limit:
            wall[name, ""] = f"MaxWall={limit} of account {name}", minutes(limit)
    for name, *jobs_of, limit in qoses:
        if numbers := [int(jobs) for jobs in jobs_of if jobs.isdecimal()]:
            submit["", name] = f"MaxSubmitJobs={min(numbers)} of QOS {name}", min(numbers)
        if limit:
            wall["", name] = f"MaxWall={limit} of QOS {name}", minutes(limit)
    return Limits(
        submit=submit,
        wall=wall,
        submitted=Counter((fields[0], fields[1]) for fields in queue),
        account=account,
        qos=next((fields[1] for fields in associations if fields[0] == account and fields[1]), "normal"),
        partition_qos=dict(re.findall(r"PartitionName=(\S+).*? QoS=(?!N/A)(\S+)", partitions)),
    )


def _fields(what: str, which: str, columns: str) -> list[list[str]]:
    """The accounting's answer, in lines with as many fields as were requested; others come from a wrapper."""
    printed = ask("sacctmgr", "-nP", "show", what, *filter(None, [which]), f"format={columns}")
    return [fields for line in printed.splitlines() if len(fields := line.split("|")) == columns.count(",") + 1]
