"""What an MLflow run of one pipeline result holds: parameters, trials, curves, figures, model."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from pneumonia.files import hash_file, read_json
from pneumonia.git import run_git
from pneumonia.params import TrackingParams
from pneumonia.processes import name_process
from pneumonia.provenance import describe_machine, hash_results
from pneumonia.tracking.store import PROCESS_TAG, connect, open_run

MODEL_TAG, EVALUATION_TAG = "model_sha256", "evaluation_sha256"
EXPERIMENT_TAG, SOURCE_TAG = "dvc_experiment", "source"
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

    def under(self, root: Path) -> "ResultFiles":
        """The same files below another folder."""
        paths = {field.name: root / getattr(self, field.name) for field in fields(self)}
        return ResultFiles(**paths)


def read_head() -> str:
    """The commit that the workspace stands on; 'none' outside Git."""
    return (run_git("rev-parse", "HEAD") or b"none").decode().strip()


def describe_source(
    environ: Mapping[str, str], manifest: Path, data_name: str, commit: str
) -> dict[str, str]:
    """Tags that lead from a run back to code and data; the manifest names every image's hash."""
    tags = {
        "git_commit": commit,
        "data_name": data_name,
        "data_sha256": hash_file(manifest),
        **{f"machine.{key}": value for key, value in describe_machine().items()},
    }
    if name := environ.get("DVC_EXP_NAME"):
        note = (
            f"Back to this result: `dvc exp apply {name}` "
            f"(in another clone first `dvc exp pull REMOTE {name}`)"
        )
        baseline = environ.get("DVC_EXP_BASELINE_REV", "")
        tags |= {EXPERIMENT_TAG: name, "dvc_baseline": baseline}
    else:
        note = (
            f"Made in the workspace on top of commit {commit[:12]}; once the result is "
            "committed, `pneumonia runs` names the commit that holds it"
        )
    return tags | {"mlflow.note.content": note}


def log_parameters(parameters: dict[str, Any], hyperparameters: dict[str, Any]) -> None:
    """All of params.yaml as section.key, and the values that the search chose as best.key."""
    import mlflow

    mlflow.log_params(list_parameters(parameters) | list_parameters(hyperparameters, "best."))
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


def name_key(key: str) -> str:
    """A key as MLflow takes it: it refuses what a class's folder may have in its name."""
    return re.sub(r"[^\w.\-: /]", "_", key)


def list_parameters(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as MLflow has them: joined keys, texts."""
    return {name_key(key): str(value) for key, value in flatten(tree, prefix).items()}


def list_numbers(figures: dict[str, Any]) -> dict[str, float]:
    """The numbers among figures, by their joined keys: what MLflow takes as metrics."""
    return {
        name_key(key): float(value)
        for key, value in flatten(figures).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


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
        tags |= {PROCESS_TAG: name_process(), "trial_status": str(row["status"])}
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

    numbers = list_numbers(read_json(files.evaluation))
    mlflow.log_metrics({f"test_{key}": value for key, value in numbers.items()})
    for picture in sorted(files.plots.glob("*.*")):
        mlflow.log_artifact(str(picture), "plots")
    mlflow.log_artifact(str(files.evaluation), "metrics")
    mlflow.log_artifact(str(files.card))
    mlflow.log_dict(hash_results(files.evaluation.parent.parent), "results.json")
    if with_images:
        mlflow.log_artifact(str(files.cases))
    mlflow.set_tag(EVALUATION_TAG, hash_file(files.evaluation))


@dataclass
class TrackedTraining:
    """The open run of one training: parameters and trials first, then epochs, then the model."""

    experiment_id: str
    run_id: str
    log_models: bool
    epochs: int = 0

    def log_start(self, parameters: dict[str, Any], files: ResultFiles) -> None:
        log_parameters(parameters, read_json(files.hyperparameters))
        trials, curves = pd.read_csv(files.trials), pd.read_csv(files.trial_curves)
        log_trials(self.experiment_id, self.run_id, trials, curves)

    def log_history(self, history: pd.DataFrame) -> None:
        """Log the epochs that are new, also those from before an interruption."""
        log_epochs(history[history["epoch"] > self.epochs], self.run_id)
        self.epochs = int(history["epoch"].max())

    def log_end(self, model: Any, image_size: int, files: ResultFiles) -> None:
        import mlflow

        self.log_history(pd.read_csv(files.history))
        if self.log_models:
            log_model(model, image_size)
        mlflow.set_tag(MODEL_TAG, hash_file(files.model))


@contextmanager
def track_training(
    settings: TrackingParams, environ: Mapping[str, str], source: dict[str, str]
) -> Iterator[TrackedTraining]:
    """Open the MLflow run of a training; named after the DVC experiment if there is one."""
    experiment_id = connect(settings.experiment, environ)
    tags = source | {SOURCE_TAG: "train"}
    with open_run(experiment_id, source.get(EXPERIMENT_TAG), tags) as run_id:
        yield TrackedTraining(experiment_id, run_id, settings.log_model)
