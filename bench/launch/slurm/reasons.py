"""Reasons for which a job waits that do not go away by themselves."""

import functools
import re

_NEVER = {
    r"DependencyNeverSatisfied": "the job that it waits for has failed",
    r"PartitionTimeLimit": "it asks for more time than its partition allows",
    r"PartitionNodeLimit": "it asks for more nodes than its partition allows",
    r"BadConstraints|NodeConfig.*|.*node configuration is not available.*": "no node has what it asks for",
    r"(Assoc|QOS)MaxWall\w*": "it asks for more time than its account or QOS allows one job",
    r"(Assoc|QOS)Max\w+Per(Job|Node)\w*": "it asks for more than its account or QOS allows one job",
    r"QOSMin\w+": "it asks for less than its QOS requires",
    r"Invalid(Account|QOS)|(QOS|Account|Association(Job)?)NotAllowed": "its account or QOS may not be used here",
    r"DeadLine": "its deadline cannot be met any more",
}
_HELD = {
    r"JobHeldUser": "a user holds it; scontrol release {job} lets it go",
    r"JobHeldAdmin": "an administrator holds it",
    r"(?i:launch.failed.requeued.held)|JobHoldMaxRequeue": "Slurm could not start it, and holds it; scontrol release "
    "{job} lets it try again",
}


@functools.cache
def never(reason: str) -> str:
    """The reason why a job that waits for this will never start; empty if it may."""
    return next((why for pattern, why in _NEVER.items() if re.fullmatch(pattern, reason)), "")


@functools.cache
def _holder(reason: str) -> str:
    return next((why for pattern, why in _HELD.items() if re.fullmatch(pattern, reason)), "")


def held(reason: str, job: str) -> str:
    """The holder of a job that waits for this reason, and the way to release it; empty if nobody holds it."""
    return _holder(reason).replace("{job}", job)
