"""Trains runs in several real processes each: ``python -m tests.together JOBS``, a JSON list of
[folder, processes, resources]. Children are forked from one process that has imported all, which saves most of the
time that torchrun takes."""

import json
import multiprocessing
import os
import socket
import sys
from pathlib import Path

from bench.launch import job  # before the children are forked
from bench.spec.errors import RequestError
from bench.spec.run import Resources
from bench.training import trainer  # noqa: F401  # before the children are forked
from bench.training.signals import Stop


def train(folder: str, rank: int, size: int, port: int, resources: dict[str, object]) -> None:
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank}
    os.environ |= {name: str(value) for name, value in place.items()}
    try:
        job.attempt(Path(folder), Resources(**resources), Stop())
    except (RequestError, job.RunFailed) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    fork = multiprocessing.get_context("fork")
    for folder, size, resources in json.loads(sys.argv[1]):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        children = [fork.Process(target=train, args=(folder, rank, size, port, resources)) for rank in range(size)]
        for child in children:
            child.start()
        for child in children:
            child.join()
