"""MLflow: the server of ``MLFLOW_TRACKING_URI``, or else ``mlflow.db`` in the folder of runs."""

import contextlib
import os
import time
from collections.abc import Mapping

from bench.launch.loggers import PROJECT, LoggedRun

LIBRARIES = ("mlflow", "sqlalchemy", "alembic")

_KEY = "t2t_bench.key"
"""tag by which a resumed run finds itself"""

_STATUS = {"completed": "FINISHED", "interrupted": "KILLED"}
"""MLflow's name of a status; of others it is FAILED"""


class Logger:
    """A run of the experiment, found by its tag."""

    def __init__(self, run: LoggedRun) -> None:
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{run.folder.parent.resolve() / 'mlflow.db'}"
        self._client = MlflowClient(uri)
        experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT)
        found = self._client.search_runs([experiment], f"tags.`{_KEY}` = '{run.key}'", max_results=1)
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            tags = {_KEY: run.key, "group": run.group}
            self._id = self._client.create_run(experiment, tags=tags, run_name=run.spec.run_id).info.run_id
        params = [Param(name, str(value)) for name, value in run.config.items()]
        self._client.log_batch(self._id, params=params)  # the same again changes nothing
        names = self._client.get_run(self._id).data.metrics
        self._steps = {name: {each.step for each in self._client.get_metric_history(self._id, name)} for name in names}

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None:
            with contextlib.suppress(MlflowException):  # the logger of another run was faster
                return self._client.create_experiment(name)
            found = self._client.get_experiment_by_name(name)
            assert found
        return found.experiment_id

    def has(self, name: str, epoch: int) -> bool:
        """Whether the metric's history holds that step."""
        return epoch in self._steps.get(name, ())

    def write(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log a batch of metrics."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        self._client.log_batch(self._id, metrics=[Metric(name, v, now_ms, epoch) for name, v in values.items()])

    def end(self, status: str) -> None:
        """Give the run its status."""
        self._client.set_terminated(self._id, _STATUS.get(status, "FAILED"))
