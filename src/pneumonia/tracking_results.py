"""MLflow for single results: reading a run's files, and logging an external evaluation."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pneumonia.errors import InputError
from pneumonia.params import Params
from pneumonia.tracking.result import MODEL_TAG, list_numbers
from pneumonia.tracking.store import connect, open_run


def download(run_id: str, path: Path, experiment: str, environ: Mapping[str, str]) -> bytes | None:
    """A run's artifact; None where it has none. Raises InputError where there is no such run."""
    connect(experiment, environ)
    import mlflow
    from mlflow import artifacts

    try:
        mlflow.get_run(run_id)
    except mlflow.MlflowException:
        raise InputError(
            f"{run_id} is no Git revision, no DVC experiment and no MLflow run: see `pneumonia ui`"
        ) from None
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
