"""Where MLflow's runs live, and how they begin and end, also when a process is killed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pneumonia.errors import InputError
from pneumonia.files import find_root
from pneumonia.processes import is_gone, name_process

QUICK_FAILURE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
PROCESS_TAG = "process"


def connect(experiment: str, environ: Mapping[str, str]) -> str:
    """Point MLflow at its server or the repository's SQLite file; returns the experiment's id.

    Database and experiment are made under a lock, since MLflow's migrations cannot run twice at
    once. Runs whose process is gone are marked KILLED. Raises InputError where no server answers.
    """
    for name, value in QUICK_FAILURE.items():
        os.environ.setdefault(name, value)
    import filelock
    import mlflow

    root, uri = find_root(environ), environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri or f"sqlite:///{root / 'mlflow.db'}")
    cache = root / ".cache"
    cache.mkdir(exist_ok=True)
    with filelock.FileLock(cache / "mlflow.lock"):
        try:
            identity = _ensure_experiment(experiment, None if uri else root / "mlartifacts")
            sweep_stale_runs(identity)
        except mlflow.MlflowException as error:
            reason = str(error).split("\n")[0][:200]
            raise InputError(
                f"the tracking server {_hide_password(uri or 'mlflow.db')} does not answer: start "
                f"it, or mend or unset MLFLOW_TRACKING_URI ({_hide_password(reason)})"
            ) from None
    return identity


def _ensure_experiment(name: str, artifacts: Path | None) -> str:
    import mlflow

    known = mlflow.get_experiment_by_name(name)
    if known:
        return known.experiment_id
    return mlflow.create_experiment(name, artifacts.as_uri() if artifacts else None)


def _hide_password(text: str) -> str:
    import re

    return re.sub(r"//[^/@\s]*@", "//***@", text)


def sweep_stale_runs(experiment_id: str) -> None:
    """Mark as KILLED what is RUNNING by name only: its process on this machine is gone."""
    import mlflow

    client = mlflow.MlflowClient()
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        if is_gone(run.data.tags.get(PROCESS_TAG, "")):
            client.set_terminated(run.info.run_id, "KILLED")


@contextmanager
def open_run(
    experiment_id: str, name: str | None, tags: dict[str, str], run_id: str | None = None
) -> Iterator[str]:
    """A new MLflow run, or the one of that id once more; gives its id.

    FINISHED at the end, KILLED on a signal, FAILED on an error.
    """
    import mlflow

    tags = tags | {PROCESS_TAG: name_process()}
    if run_id:  # before it is RUNNING: nobody shall think that its first process is meant
        mlflow.MlflowClient().set_tag(run_id, PROCESS_TAG, tags[PROCESS_TAG])
    run = mlflow.start_run(run_id, experiment_id, run_name=None if run_id else name, tags=tags)
    status = "FAILED"
    try:
        yield run.info.run_id
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        mlflow.end_run(status)


def ui_command(environ: Mapping[str, str], port: int) -> list[str]:
    """The command that serves MLflow's pages, to this machine only."""
    root = find_root(environ)
    store = environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"
    return [
        "mlflow", "ui", "--backend-store-uri", store, "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
