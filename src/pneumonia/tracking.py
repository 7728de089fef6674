"""MLflow: where runs are kept, what is logged, and how a run is found again by its model's hash."""

import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pneumonia.credentials import take_credentials
from pneumonia.errors import InputError
from pneumonia.files import hash_file, read_json
from pneumonia.params import Params, TrackingParams
from pneumonia.provenance import describe_machine, hash_results

MODEL_TAG, EVALUATION_TAG, SOURCE_TAG = "model_sha256", "evaluation_sha256", "source"
QUICK_FAILURE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
NO_PICKLE = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
REQUIREMENTS = ("tensorflow", "keras", "numpy", "h5py")


@dataclass(frozen=True)
class ResultFiles:
    """What one pipeline result consists of on disk."""

    model: Path = Path("models/model.keras")
    hyperparameters: Path = Path("models/hyperparameters.json")
    history: Path = Path("plots/history.csv")
    trials: Path = Path("plots/trials.csv")
    trial_curves: Path = Path("plots/trial_curves.csv")
    manifest: Path = Path("data/split/manifest.csv")
    train_metrics: Path = Path("metrics/train.json")
    evaluation: Path = Path("metrics/evaluate.json")
    card: Path = Path("models/card.md")
    cases: Path = Path("models/cases.png")
    plots: Path = Path("plots")


def find_root(environ: Mapping[str, str]) -> Path:
    """The repository that owns the experiment, also for `dvc exp run --temp` and `--queue`."""
    return Path(environ.get("DVC_ROOT") or Path.cwd()).resolve()


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
        host, _, pid = run.data.tags.get("process", "").rpartition(":")
        if host == socket.gethostname() and not Path(f"/proc/{pid}").exists():
            client.set_terminated(run.info.run_id, "KILLED")


@contextmanager
def open_run(experiment_id: str, name: str | None, tags: dict[str, str]) -> Iterator[str]:
    """A new MLflow run: FINISHED at the end, KILLED on a signal, FAILED on an error."""
    import mlflow

    tags = tags | {"process": f"{socket.gethostname()}:{os.getpid()}"}
    run = mlflow.start_run(experiment_id=experiment_id, run_name=name, tags=tags)
    status = "FAILED"
    try:
        yield run.info.run_id
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        mlflow.end_run(status)


def describe_source(environ: Mapping[str, str], manifest: Path, data_name: str) -> dict[str, str]:
    """Tags that lead from a run back to code and data; the manifest names every image's hash."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    tags = {
        "git_commit": git.stdout.strip() or "none",
        "data_name": data_name,
        "data_sha256": hash_file(manifest),
        **{f"machine.{key}": value for key, value in describe_machine().items()},
    }
    if name := environ.get("DVC_EXP_NAME"):
        tags |= {
            "dvc_experiment": name,
            "dvc_baseline": environ.get("DVC_EXP_BASELINE_REV", ""),
            "mlflow.note.content": f"Back to this result: `dvc exp apply {name}`",
        }
    return tags


def log_parameters(parameters: dict[str, Any], hyperparameters: dict[str, Any]) -> None:
    """All of params.yaml as section.key, and the values that the search chose as best.key."""
    import mlflow

    flat = flatten(parameters) | {f"best.{key}": value for key, value in hyperparameters.items()}
    mlflow.log_params({key: str(value) for key, value in flat.items()})
    mlflow.log_dict(parameters, "params.json")


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined with dots; lists stay values."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= (
            flatten(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else {f"{prefix}{key}": value}
        )
    return flat


def log_epochs(curves: pd.DataFrame, run_id: str) -> None:
    """Curves (epoch, part, loss, accuracy, auc) as metrics train_loss, …, step = epoch."""
    import time

    import mlflow
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [
        Metric(f"{row['part']}_{name}", float(row[name]), now, int(row["epoch"]))
        for row in curves.to_dict("records")
        for name in ("loss", "accuracy", "auc")
        if pd.notna(row[name])
    ]
    mlflow.MlflowClient().log_batch(run_id, metrics)


def log_trials(experiment_id: str, run_id: str, trials: pd.DataFrame, curves: pd.DataFrame) -> None:
    """One child run a trial: its hyperparameters, its score, its curves, how it ended."""
    import mlflow

    client = mlflow.MlflowClient()
    for row in trials.to_dict("records"):
        tags = {"mlflow.parentRunId": run_id, "mlflow.runName": f"trial {row['trial']}"}
        if isinstance(row["message"], str) and row["message"]:
            tags["message"] = row["message"][:5000]
        child = client.create_run(experiment_id, tags=tags).info.run_id
        for name, value in row.items():
            key = str(name)
            if key in ("trial", "status", "message") or pd.isna(value):
                continue
            if key == "score" or key.startswith("val_"):
                client.log_metric(child, key, value)
            else:
                client.log_param(child, key, value)
        log_epochs(curves[curves["trial"] == row["trial"]], child)
        failed = row["status"] in ("FAILED", "INVALID")
        client.set_terminated(child, "FAILED" if failed else "FINISHED")


def log_model(model: Any, image_size: int) -> None:
    """The Keras model with signature (uint8 N x H x W in, probability out) and pinned versions."""
    from importlib.metadata import version

    import numpy as np
    from mlflow import tensorflow as mlflow_tensorflow
    from mlflow.models import infer_signature

    example = np.zeros((1, image_size, image_size), "uint8")
    mlflow_tensorflow.log_model(
        model,
        name="model",
        signature=infer_signature(example, model.predict_on_batch(example)),
        pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
    )


def log_evaluation(files: ResultFiles, with_images: bool) -> None:
    """Numbers of the test part, pictures, report and model card, into the open run.

    Patients' images with their heat maps only `with_images`.
    """
    import mlflow

    numbers = flatten(read_json(files.evaluation))
    mlflow.log_metrics(
        {
            f"test_{key}": float(value)
            for key, value in numbers.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
    )
    for picture in sorted(files.plots.glob("*.*")):
        mlflow.log_artifact(str(picture), "plots")
    mlflow.log_artifact(str(files.evaluation), "metrics")
    mlflow.log_artifact(str(files.card))
    mlflow.log_dict(hash_results(files.evaluation.parent.parent), "results.json")
    if with_images:
        mlflow.log_artifact(str(files.cases))
    mlflow.set_tag(EVALUATION_TAG, hash_file(files.evaluation))


@dataclass(frozen=True)
class TrackedTraining:
    """The open run of one training: parameters and trials first, then epochs, then the model."""

    experiment_id: str
    run_id: str
    log_models: bool

    def log_start(self, parameters: dict[str, Any], files: ResultFiles) -> None:
        log_parameters(parameters, read_json(files.hyperparameters))
        trials, curves = pd.read_csv(files.trials), pd.read_csv(files.trial_curves)
        log_trials(self.experiment_id, self.run_id, trials, curves)

    def log_epoch(self, history: pd.DataFrame) -> None:
        log_epochs(history[history["epoch"] == history["epoch"].max()], self.run_id)

    def log_end(self, model: Any, image_size: int, files: ResultFiles) -> None:
        import mlflow

        if self.log_models:
            log_model(model, image_size)
        mlflow.set_tag(MODEL_TAG, hash_file(files.model))


@contextmanager
def track_training(
    settings: TrackingParams, environ: Mapping[str, str], source: dict[str, str]
) -> Iterator[TrackedTraining]:
    """Open the MLflow run of a training; named after the DVC experiment if there is one."""
    experiment_id = connect(settings.experiment, environ)
    with open_run(experiment_id, source.get("dvc_experiment"), source) as run_id:
        yield TrackedTraining(experiment_id, run_id, settings.log_model)


def find_run(
    experiment_id: str, model_sha256: str, evaluation_sha256: str | None, asked: dict[str, Any]
) -> str | None:
    """The newest run of this model with this evaluation (None: not evaluated yet).

    `asked` are the parameters of the evaluation: two rules may lead to the same figures.
    """
    import mlflow

    query = f"tags.{MODEL_TAG} = '{model_sha256}'"
    wanted = {key: str(value) for key, value in asked.items()}
    for run in mlflow.MlflowClient().search_runs([experiment_id], query):
        same = wanted.items() <= run.data.params.items()
        if same and run.data.tags.get(EVALUATION_TAG) == evaluation_sha256:
            return run.info.run_id
    return None


def log_result(
    experiment_id: str, files: ResultFiles, parameters: dict[str, Any], tags: dict[str, str]
) -> str:
    """Log the evaluation on disk into the run that trained its model; returns the run's id.

    A run that has this very evaluation is kept as it is. Where no run waits for it (DVC restored
    the model from its cache, or only `evaluate` ran again), a whole new run is made from files.
    """
    import mlflow

    model_sha256, evaluation_sha256 = hash_file(files.model), hash_file(files.evaluation)
    asked = flatten(parameters["evaluate"], "evaluate.")
    with_images = parameters["evaluate"]["log_images"]
    if waiting := find_run(experiment_id, model_sha256, None, asked):
        with mlflow.start_run(run_id=waiting):
            log_evaluation(files, with_images)
        return waiting
    if known := find_run(experiment_id, model_sha256, evaluation_sha256, asked):
        return known
    from pneumonia.model import load_model

    tags = tags | {SOURCE_TAG: "files"}
    with open_run(experiment_id, tags.get("dvc_experiment"), tags) as run_id:
        tracked = TrackedTraining(experiment_id, run_id, parameters["tracking"]["log_model"])
        tracked.log_start(parameters, files)
        log_epochs(pd.read_csv(files.history), run_id)
        tracked.log_end(load_model(files.model), parameters["data"]["image_size"], files)
        log_evaluation(files, with_images)
    return run_id


def sync_workspace(params: Params, environ: Mapping[str, str]) -> str:
    """Log what the workspace holds, once; returns the id of the run that carries it.

    Raises InputError where the pipeline has not run yet.
    """
    files = ResultFiles()
    for path in (files.model, files.evaluation, files.manifest):
        if not path.exists():
            raise InputError(f"{path} does not exist: run `dvc repro` first")
    tags = describe_source(environ, files.manifest, params.data.name)
    experiment_id = connect(params.tracking.experiment, environ)
    return log_result(experiment_id, files, params.model_dump(), tags)


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
