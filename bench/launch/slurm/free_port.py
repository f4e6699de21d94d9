"""``python -m bench.launch.slurm.free_port`` prints a port on which the processes of this job can meet.

The job's script calls it, on the node of the first process.
"""

import errno
import os
import socket

MOST_TRIES = 1000


def first_choice() -> int:
    """The port of this job, outside of the range from which the kernel gives ports to anyone, srun included.

    Jobs that share a node have other ids, and so mostly other ports.
    """
    return 10_000 + int(os.environ["SLURM_JOB_ID"]) % 20_000


def free_port() -> int:
    """The first port from that on which nobody listens.

    Raises:
        OSError: a thousand ports are taken.
    """
    first = first_choice()
    for port in range(first, first + MOST_TRIES):
        if _is_free(port):
            return port
    raise OSError(f"no port from {first} to {first + MOST_TRIES} is free")


def _is_free(port: int) -> bool:
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
                probe.listen()
        except OSError as error:
            if family == socket.AF_INET6 and error.errno != errno.EADDRINUSE:
                continue  # a machine without IPv6
            return False
    return True


if __name__ == "__main__":
    print(free_port())
