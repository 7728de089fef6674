"""Where MLflow's runs live, and how they begin and end, also when a process is killed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pneumonia.credentials import take_credentials
from pneumonia.errors import InputError
from pneumonia.files import find_root
from pneumonia.processes import find_host, is_gone, name_process

QUICK_FAILURE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
NO_PICKLE = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
PROCESS_TAG = "process"
RUNNING = "attributes.status = 'RUNNING'"


def connect(experiment: str, environ: Mapping[str, str]) -> str:
    """Point MLflow at its server or the repository's SQLite file; returns the experiment's id.

    Database and experiment are made under a lock, since MLflow's migrations cannot run twice at
    once. Runs whose process is gone are marked KILLED. Raises InputError where no server answers.
    """
    os.environ.update(NO_PICKLE)
    import filelock
    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    root = find_root(environ)
    own = f"sqlite:///{root / 'mlflow.db'}"
    uri = take_credentials(environ.get("MLFLOW_TRACKING_URI", ""), os.environ) or own
    if uri == own and set("?%") & set(str(root)):
        raise InputError(f"{root} has ? or % in its name, which MLflow cannot take: rename it")
    mlflow.set_tracking_uri(uri)  # which also sets the variable: another call finds it there
    cache = root / ".cache"
    cache.mkdir(exist_ok=True)
    with filelock.FileLock(cache / "mlflow.lock"), fail_quickly():
        try:
            identity = ensure_experiment(experiment, root / "mlartifacts" if uri == own else None)
            sweep_stale_runs(list_known_experiments() if uri == own else [identity])
        except (mlflow.MlflowException, SQLAlchemyError, ImportError) as error:
            reason = str(error).split("\n")[0][:200]
            raise InputError(
                f"the tracking server {_hide_password(uri)} does not answer: start "
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


def list_known_experiments() -> list[str]:
    """Ids of all experiments: in a database of its own a project may have used several names."""
    import mlflow

    return [known.experiment_id for known in mlflow.MlflowClient().search_experiments()]


def sweep_stale_runs(experiments: list[str]) -> None:
    """Mark as KILLED what is RUNNING by name only: its process on this machine is gone."""
    import mlflow

    client = mlflow.MlflowClient()
    for run in client.search_runs(experiments, RUNNING):
        if is_gone(run.data.tags.get(PROCESS_TAG, "")):
            client.set_terminated(run.info.run_id, "KILLED")


@dataclass(frozen=True)
class DistantRun:
    """A run of another machine that has not told its end; whether it is alive cannot be seen."""

    run_id: str
    host: str
    last_sign: datetime


def find_distant_runs(experiment_id: str) -> list[DistantRun]:
    """RUNNING runs of other machines, with the time of the last epoch (or beginning) they told."""
    import mlflow

    client, found = mlflow.MlflowClient(), []
    for run in client.search_runs([experiment_id], RUNNING):
        host = find_host(run.data.tags.get(PROCESS_TAG, ""))
        if host != find_host(name_process()):
            epochs = client.get_metric_history(run.info.run_id, "val_loss")
            told = max([run.info.start_time, *(epoch.timestamp for epoch in epochs)])
            last_sign = datetime.fromtimestamp(told / 1000, UTC)
            found.append(DistantRun(run.info.run_id, host or "an unknown machine", last_sign))
    return found


def end_silent_runs(experiment_id: str, hours: float) -> list[DistantRun]:
    """Mark as KILLED the runs of other machines that were silent for so long; gives the others."""
    import mlflow

    client, left = mlflow.MlflowClient(), []
    for run in find_distant_runs(experiment_id):
        silence = datetime.now(UTC) - run.last_sign
        if silence.total_seconds() > 3600 * hours:
            client.set_terminated(run.run_id, "KILLED")
        else:
            left.append(run)
    return left


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
