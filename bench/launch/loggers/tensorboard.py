"""TensorBoard: event files in the run's folder, for ``tensorboard --logdir runs``."""

import time
from collections.abc import Mapping

from bench.launch.loggers import LoggedRun

LIBRARIES = ("tensorboard",)


class Logger:
    """The run's event files, of which each attempt that writes begins another."""

    def __init__(self, run: LoggedRun) -> None:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder = run.folder / "tensorboard"
        folder.mkdir(exist_ok=True)
        held = EventAccumulator(str(folder), size_guidance={"scalars": 0})  # 0: all of them, not a sample
        held.Reload()
        self._steps = {tag: {event.step for event in held.Scalars(tag)} for tag in held.Tags()["scalars"]}
        self._writer = EventFileWriter(str(folder))

    def has(self, name: str, epoch: int) -> bool:
        """Whether an event file of an earlier attempt holds it."""
        return epoch in self._steps.get(name, ())

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write one event, which a kill leaves whole or not at all."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        found = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._writer.add_event(Event(step=epoch, wall_time=time.time(), summary=Summary(value=found)))
        self._writer.flush()

    def end(self, status: str) -> None:
        """Close the file."""
        self._writer.close()
