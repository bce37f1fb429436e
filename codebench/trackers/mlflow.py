"""MLflow: a run for each line, its metrics with their step; steps may come in any order.

Settings: MLflow's own variables (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME); with MLFLOW_RUN_ID
the numbers go into that run.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from codebench.trackers import DEFAULT_PROJECT
from codebench.trackers.point import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MAX_METRICS = 1000
"""MLflow's limit for one call."""


def log(run: str, points: Sequence[Point], project: str | None) -> str:
    """Add some steps to a run, found by its name or made; return where they are.

    Raises:
        Exception: whatever MLflow raises.
    """
    from mlflow import MlflowClient, get_tracking_uri
    from mlflow.entities import Metric

    client = MlflowClient()
    name = project or os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_PROJECT
    own = os.environ.get("MLFLOW_RUN_ID")
    run_id = own or _run_id(client, name, run)
    metrics = [
        Metric(key, value, int(1000 * point.time_s), point.step)
        for point in points
        for key, value in point.metrics.items()
    ]
    for start in range(0, len(metrics), _MAX_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + _MAX_METRICS])
    if own is None:
        client.set_terminated(run_id)
    return f"{get_tracking_uri()}, experiment {name}, run {run}"


def _run_id(client: "MlflowClient", experiment: str, run: str) -> str:
    """Return the run of this name in the experiment; both are made where they are not there."""
    found = client.get_experiment_by_name(experiment)
    experiment_id = found.experiment_id if found else client.create_experiment(experiment)
    runs = client.search_runs([experiment_id], f"attributes.run_name = '{run}'", max_results=1)
    one = runs[0] if runs else client.create_run(experiment_id, run_name=run)
    return str(one.info.run_id)
