"""MLflow for single results: reading a run's files, and logging an external evaluation."""

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pneumonia.errors import InputError
from pneumonia.params import Params
from pneumonia.tracking.result import MODEL_TAG, list_numbers
from pneumonia.tracking.store import connect, open_run


def find_run(name: str, experiment: str, environ: Mapping[str, str]) -> str | None:
    """The whole id of the run that an id or its first characters mean; None if there is none.

    A whole id is looked for in every experiment, a part in this one. Raises InputError where
    several ids begin so.
    """
    if not re.fullmatch("[0-9a-f]{1,32}", name):
        return None
    experiment_id = connect(experiment, environ)
    import mlflow

    client = mlflow.MlflowClient()
    if len(name) == 32:
        try:
            return client.get_run(name).info.run_id
        except mlflow.MlflowException:
            return None
    runs = client.search_runs([experiment_id], max_results=10_000)
    found = [run.info.run_id for run in runs if run.info.run_id.startswith(name)]
    if len(found) > 1:
        raise InputError(f"{name} begins {len(found)} MLflow runs: give one of {', '.join(found)}")
    return found[0] if found else None


def download(run_id: str, path: Path) -> bytes | None:
    """An artifact of a run that `find_run` found; None where it has none."""
    import mlflow
    from mlflow import artifacts

    listed = mlflow.MlflowClient().list_artifacts(run_id, path.parent.as_posix())
    if path.as_posix() not in {item.path for item in listed}:
        return None
    with TemporaryDirectory() as folder:
        uri = f"runs:/{run_id}/{path.as_posix()}"
        return Path(artifacts.download_artifacts(uri, dst_path=folder)).read_bytes()


def log_external(
    figures: dict[str, Any],
    metrics: Path,
    plots: Path,
    params: Params,
    environ: Mapping[str, str],
) -> str:
    """Log an external evaluation as a run of its own, tagged with its model's run; the run's id."""
    experiment_id = connect(params.tracking.experiment, environ)
    import mlflow

    client = mlflow.MlflowClient()
    query = f"tags.{MODEL_TAG} = '{figures['model_sha256']}'"
    runs = client.search_runs([experiment_id], query, max_results=1)
    tags = {
        "kind": "external evaluation",
        "data_name": figures["data"],
        "trained_on": figures["trained_on"],
        "evaluated_model_sha256": figures["model_sha256"],
        "model_run": runs[0].info.run_id if runs else "none",
    }
    numbers = {f"external_{name}": value for name, value in list_numbers(figures).items()}
    with open_run(experiment_id, f"{figures['trained_on']} on {figures['data']}", tags) as run_id:
        mlflow.log_params({"evaluate.data": figures["data"], "evaluate.model": figures["model"]})
        mlflow.log_metrics(numbers)
        mlflow.log_artifacts(str(plots), "plots")
        mlflow.log_artifact(str(metrics), "metrics")
    return run_id
