"""Where MLflow's runs live, and how they begin and end, also when a process is killed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pneumonia.credentials import take_credentials
from pneumonia.errors import InputError
from pneumonia.files import find_root
from pneumonia.processes import is_gone, name_process

QUICK_FAILURE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
NO_PICKLE = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
PROCESS_TAG = "process"


def connect(experiment: str, environ: Mapping[str, str]) -> str:
    """Point MLflow at its server or the repository's SQLite file; returns the experiment's id.

    Database and experiment are made under a lock, since MLflow's migrations cannot run twice at
    once. Runs whose process is gone are marked KILLED. Raises InputError where no server answers.
    """
    os.environ.update(NO_PICKLE)
    import filelock
    import mlflow

    root = find_root(environ)
    uri = take_credentials(environ.get("MLFLOW_TRACKING_URI", ""), os.environ)
    mlflow.set_tracking_uri(uri or f"sqlite:///{root / 'mlflow.db'}")
    cache = root / ".cache"
    cache.mkdir(exist_ok=True)
    with filelock.FileLock(cache / "mlflow.lock"), fail_quickly():
        try:
            identity = ensure_experiment(experiment, None if uri else root / "mlartifacts")
            sweep_stale_runs(identity)
        except mlflow.MlflowException as error:
            reason = str(error).split("\n")[0][:200]
            raise InputError(
                f"the tracking server {_hide_password(uri or 'mlflow.db')} does not answer: start "
                f"it, or mend or unset MLFLOW_TRACKING_URI ({_hide_password(reason)})"
            ) from None
    return identity


@contextmanager
def fail_quickly() -> Iterator[None]:
    """Learn within a minute that no server answers; later on MLflow may wait for a busy one."""
    added = {name: value for name, value in QUICK_FAILURE.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def ensure_experiment(name: str, artifacts: Path | None) -> str:
    """The experiment's id; it is made, with this folder or the server's own, if there is none."""
    import mlflow

    try:
        if known := mlflow.get_experiment_by_name(name):
            return known.experiment_id
        return mlflow.create_experiment(name, artifacts.as_uri() if artifacts else None)
    except mlflow.MlflowException as error:
        made = error.error_code == "RESOURCE_ALREADY_EXISTS"  # by another machine in the meantime
        known = mlflow.get_experiment_by_name(name) if made else None
        if not known:
            raise
        return known.experiment_id


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
    """The command that serves MLflow's pages, to this machine only.

    Raises InputError where a server has them already. The store's address may hold a password, so
    it goes by MLFLOW_BACKEND_STORE_URI (see `ui_store`), not where every process can read it.
    """
    store = ui_store(environ)
    if store.startswith("http"):
        address = take_credentials(store, {})
        raise InputError(f"{address} serves MLflow's pages already: open it in a browser")
    return ["mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]


def ui_store(environ: Mapping[str, str]) -> str:
    """Where the runs lie that MLflow's pages show."""
    root = find_root(environ)
    return environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"
