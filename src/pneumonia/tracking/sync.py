"""A result on disk, in a DVC experiment or in a commit reaches MLflow once, whoever made it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pneumonia.errors import InputError
from pneumonia.files import find_root, hash_file, read_json
from pneumonia.params import Params, TrackingParams
from pneumonia.tracking import revisions
from pneumonia.tracking.result import (
    EVALUATION_TAG,
    EXPERIMENT_TAG,
    MODEL_TAG,
    SOURCE_TAG,
    ResultFiles,
    TrackedTraining,
    describe_source,
    list_parameters,
    log_evaluation,
    read_head,
)
from pneumonia.tracking.store import connect, open_run


@dataclass(frozen=True)
class Synced:
    """What became of one result: the run that carries it, or the reason why none does."""

    label: str
    run_id: str | None
    reason: str = ""


def find_runs(experiment_id: str, query: str, parameters: dict[str, Any]) -> list[Any]:
    """MLflow runs of a query, newest first, whose evaluation was asked the same.

    Two rules for the threshold may lead to the same figures; they are two results.
    """
    import mlflow

    wanted = list_parameters(parameters.get("evaluate", {}), "evaluate.")
    found = mlflow.MlflowClient().search_runs([experiment_id], query)
    return [run for run in found if wanted.items() <= run.data.params.items()]


def log_result(
    experiment_id: str,
    files: ResultFiles,
    parameters: dict[str, Any],
    tags: dict[str, str],
    settings: TrackingParams,
) -> str:
    """Log the evaluation in `files` into the run that trained its model; returns the run's id.

    A run that has this very evaluation is kept as it is. Where no run of the same DVC experiment
    waits for it (the model came from a cache, or `evaluate` alone ran again), a new one is made.
    """
    model_sha256, evaluation_sha256 = hash_file(files.model), hash_file(files.evaluation)
    if read_json(files.evaluation).get("model_sha256") != model_sha256:
        raise InputError(f"{files.evaluation} is of another model: run `dvc repro`")
    found = find_runs(experiment_id, f"tags.{MODEL_TAG} = '{model_sha256}'", parameters)
    name = tags.get(EXPERIMENT_TAG)
    own = next((run for run in found if run.data.tags.get(EXPERIMENT_TAG) == name), None)
    if own and EVALUATION_TAG not in own.data.tags:
        with open_run(experiment_id, None, {}, own.info.run_id):
            log_evaluation(files, shows_images(parameters))
        return own.info.run_id
    for run in found:
        if run.data.tags.get(EVALUATION_TAG) == evaluation_sha256:
            return run.info.run_id
    from pneumonia.model import load_model

    with open_run(experiment_id, name, tags) as run_id:
        tracked = TrackedTraining(experiment_id, run_id, settings.log_model)
        tracked.log_start(parameters, files)
        tracked.log_end(load_model(files.model), parameters["data"]["image_size"], files)
        log_evaluation(files, shows_images(parameters))
    return run_id


def shows_images(parameters: dict[str, Any]) -> bool:
    """Whether patients' images may go to MLflow, by the parameters that made the result."""
    return bool(parameters.get("evaluate", {}).get("log_images"))


def log_workspace(params: Params, environ: Mapping[str, str], source: str) -> str:
    """Log what the workspace holds, once; returns the id of the run that carries it.

    `source` becomes the tag that says how the result came. Raises InputError where the pipeline
    has not run yet.
    """
    files = ResultFiles()
    for path in (files.model, files.evaluation, files.manifest):
        if not path.exists():
            raise InputError(f"{path} does not exist: run `dvc repro` or `dvc pull` first")
    experiment_id = connect(params.tracking.experiment, environ)
    tags = describe_source(environ, files.manifest, params.data.name, read_head())
    with lock_sync(environ):
        return log_result(
            experiment_id, files, params.model_dump(), tags | {SOURCE_TAG: source}, params.tracking
        )


def lock_sync(environ: Mapping[str, str]) -> Any:
    """A lock under which results are looked for and logged, so that none is logged twice."""
    import filelock

    return filelock.FileLock(find_root(environ) / ".cache/sync.lock")


def sync_workspace(params: Params, environ: Mapping[str, str]) -> Synced:
    """Log the workspace's result, if it is the whole one that dvc.lock tells of."""
    if wrong := revisions.find_mismatch(Path()):
        return Synced(
            "workspace", None, f"{wrong} is not as dvc.lock says: run `dvc repro` or `dvc checkout`"
        )
    return Synced("workspace", log_workspace(params, environ, "restored"))


def sync_revisions(
    found: list[revisions.Revision], params: Params, environ: Mapping[str, str]
) -> list[Synced]:
    """Log the results of DVC experiments and commits that no run carries yet."""
    experiment_id = connect(params.tracking.experiment, environ)
    done = []
    for revision in found:
        if evaluation := revisions.hash_evaluation(revision):
            parameters = revisions.read_parameters(revision)
            query = f"tags.{EVALUATION_TAG} = '{evaluation}'"
            if known := find_runs(experiment_id, query, parameters):
                done.append(Synced(revision.label, known[0].info.run_id))
            else:
                done.append(_sync_revision(experiment_id, revision, params, environ))
    return done


def _sync_revision(
    experiment_id: str,
    revision: revisions.Revision,
    params: Params,
    environ: Mapping[str, str],
) -> Synced:
    from dvc.exceptions import DvcException

    named = {"DVC_EXP_NAME": revision.experiment, "DVC_EXP_BASELINE_REV": revision.baseline}
    origin = {key: value for key, value in named.items() if value}
    parameters = revisions.read_parameters(revision)
    try:
        with revisions.fetch_result(revision) as (root, files):
            if wrong := revisions.find_mismatch(root):
                return Synced(revision.label, None, f"{wrong} is not as its dvc.lock says")
            name = str(parameters["data"]["name"])
            tags = describe_source(origin, files.manifest, name, revision.commit)
            note = f"Back to this result: `{revision.way_back}`"
            tags |= {SOURCE_TAG: "restored", "mlflow.note.content": note}
            with lock_sync(environ):
                run_id = log_result(experiment_id, files, parameters, tags, params.tracking)
    except InputError as error:
        return Synced(revision.label, None, str(error))
    except (OSError, DvcException) as error:
        reason = str(error).strip().split("\n")[0]
        return Synced(revision.label, None, f"not in DVC's cache, run `dvc pull` ({reason})")
    return Synced(revision.label, run_id)
