"""The whole pipeline by real DVC and MLflow, on a shrunk copy of the project."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.entities import Run
from pipeline import Project, clone_project
from pydicom.data import get_testdata_file

from pneumonia.data.store import load_part
from pneumonia.evaluation.predictor import predict_model

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's and DVC's own dependencies


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = clone_project(tmp_path_factory.mktemp("pipeline"))
    project.run("dvc", "repro")
    project.run("git", "add", "-A")
    project.run("git", "commit", "-q", "-m", "First result")
    return project


def list_runs(project: Project, query: str = "") -> list[Run]:
    client = mlflow.MlflowClient(project.database)
    experiment = client.get_experiment_by_name("pneumonia")
    assert experiment
    return list(client.search_runs([experiment.experiment_id], query))


def list_results(project: Project) -> list[Run]:
    return [run for run in list_runs(project) if "mlflow.parentRunId" not in run.data.tags]


def test_one_run_holds_parameters_curves_figures_and_pictures(project: Project) -> None:
    run = list_results(project)[-1]
    assert run.info.status == "FINISHED"
    assert run.data.params["tune.max_trials"] == "2"
    assert run.data.params["best.width"] in {"4", "6"}
    figures = json.loads(project.read("metrics/evaluate.json"))
    for name in ("auc", "auc_low", "auc_high", "sensitivity", "brier"):
        assert run.data.metrics[f"test_{name}"] == pytest.approx(figures[name])
    client = mlflow.MlflowClient(project.database)
    assert [m.step for m in client.get_metric_history(run.info.run_id, "val_loss")] == [1, 2]
    stored = {item.path for item in client.list_artifacts(run.info.run_id, "plots")}
    assert {"plots/roc.png", "plots/confusion.png", "plots/shift.png"} <= stored
    assert run.data.tags["data_name"] == "phantom"
    assert len(run.data.tags["data_sha256"]) == 64
    head = project.run("git", "rev-parse", "HEAD~1").strip()
    assert run.data.tags["git_commit"] == head


def test_trials_are_child_runs(project: Project) -> None:
    parent = list_results(project)[-1].info.run_id
    children = list_runs(project, f"tags.mlflow.parentRunId = '{parent}'")
    assert len(children) == 2
    assert all("score" in child.data.metrics for child in children)


def test_logged_model_gives_the_same_probabilities(project: Project) -> None:
    mlflow.set_tracking_uri(project.database)
    run = list_results(project)[-1]
    logged = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    images = np.asarray(load_part(project.root / "data/split/test").images)
    ours = predict_model(project.root / "models/model.keras", images)
    np.testing.assert_allclose(np.asarray(logged.predict(images))[:, 0], ours, atol=1e-6)
    assert logged.metadata.signature.inputs.inputs[0].type == np.uint8


def test_nothing_to_do_runs_nothing(project: Project) -> None:
    assert "Running stage" not in project.run("dvc", "repro")
    assert project.run("dvc", "status").strip() == "Data and pipelines are up to date."


def test_forced_rerun_leaves_the_lock_unchanged(project: Project) -> None:
    before = project.read("dvc.lock")
    project.run("dvc", "repro", "--force")
    assert project.read("dvc.lock") == before
    assert project.run("git", "status", "--porcelain").strip() == ""


def test_a_change_of_evaluate_reruns_evaluate_alone_in_temp(project: Project) -> None:
    runs = len(list_results(project))
    said = project.run(
        "dvc", "exp", "run", "--temp", "-n", "careful", "-S", "evaluate.threshold_rule=sensitivity"
    )
    ran = [line for line in said.splitlines() if "Running stage" in line]
    assert [line.split("'")[1] for line in ran] == ["evaluate"]
    results = list_results(project)
    assert len(results) == runs + 1
    assert results[0].data.tags["dvc_experiment"] == "careful"
    assert results[0].data.params["evaluate.threshold_rule"] == "sensitivity"
    root = (project.root / "mlartifacts").as_uri()
    assert results[0].info.artifact_uri.startswith(root)
    assert "careful" in project.run("dvc", "exp", "show", "--csv")
    assert "auc" in project.run("dvc", "metrics", "diff", "main", "careful", "--all")


def test_queued_experiments_reach_the_same_database(project: Project) -> None:
    runs = len(list_results(project))
    project.run("dvc", "exp", "run", "--queue", "-n", "queued", "-S", "evaluate.confidence=0.9")
    project.run("dvc", "queue", "start")
    project.run("dvc", "queue", "logs", "queued", "--follow")
    names = [run.data.tags.get("dvc_experiment") for run in list_results(project)]
    assert len(names) == runs + 1
    assert names[0] == "queued"


def test_plots_of_two_revisions_are_on_one_page(project: Project) -> None:
    project.run("dvc", "exp", "run", "-n", "diff", "-S", "train.epochs=3")
    page = Path(project.run("dvc", "plots", "diff", "main", "diff").split("file://")[1].strip())
    html = page.read_text()
    for title in ("Loss by epoch", "ROC, test part", "Confusion matrix, test part"):
        assert title in html
    assert html.count("roc.png") >= 2
    project.run("git", "checkout", "-q", ".")
    project.run("dvc", "checkout", "-q")


def test_sync_logs_a_restored_result_once(project: Project, tmp_path: Path) -> None:
    empty = f"sqlite:///{tmp_path / 'mlflow.db'}"
    first = project.run("pneumonia", "sync", MLFLOW_TRACKING_URI=empty).splitlines()[-1]
    again = project.run("pneumonia", "sync", MLFLOW_TRACKING_URI=empty).splitlines()[-1]
    assert again == first
    runs = mlflow.MlflowClient(empty).search_runs(["1"])
    assert len(runs) == 3
    (result,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert result.data.tags["source"] == "files"
    assert "test_auc" in result.data.metrics


def test_predict_gives_probability_and_label(project: Project) -> None:
    images = sorted((project.root / "data/raw/phantom/PNEUMONIA").iterdir())[:3]
    paths = [str(path) for path in images] + [str(get_testdata_file("CT_small.dcm"))]
    rows = json.loads(
        project.run("sh", "-c", f"pneumonia predict --json {' '.join(paths)} 2>/dev/null")
    )
    threshold = json.loads(project.read("models/decision.json"))["threshold"]
    assert [row["file"] for row in rows] == paths
    assert all(row["label"] == (row["probability"] >= threshold) for row in rows)
    table = project.run("sh", "-c", f"pneumonia predict --csv {paths[0]} 2>/dev/null")
    assert table.splitlines()[0] == "file,probability,label,name"


def test_predict_decodes_as_training_did(project: Project) -> None:
    path = project.root / "models/decision.json"
    before = path.read_text()
    decision = json.loads(before)
    assert (decision["ct_window"], decision["frames"]) == (None, "first")
    cine, ct = (str(get_testdata_file(f"{n}.dcm")) for n in ("examples_ybr_color", "CT_small"))
    command = ["sh", "-c", f"pneumonia predict --json {cine} {ct} 2>/dev/null"]
    plain = json.loads(project.run(*command))
    path.write_text(json.dumps(decision | {"ct_window": [-600, 1500], "frames": "all"}))
    try:
        rows = json.loads(project.run(*command))
    finally:
        path.write_text(before)
    assert [row["file"] for row in rows[:2]] == [f"{cine}#1", f"{cine}#2"]
    assert len(rows) == 31
    assert rows[0]["probability"] == pytest.approx(plain[0]["probability"], abs=1e-5)
    assert rows[30]["probability"] != pytest.approx(plain[1]["probability"], abs=1e-5)


def test_predict_refuses_what_is_no_image(project: Project) -> None:
    (project.root / "text.png").write_text("no image")
    assert "text.png: not an image" in project.run("pneumonia", "predict", "text.png", code=2)
    assert "does not exist" in project.run("pneumonia", "predict", "nowhere.png", code=2)
    (project.root / "text.png").unlink()


def test_a_typo_in_a_parameter_stops_before_any_work(project: Project) -> None:
    params = project.root / "params.yaml"
    before, lock = params.read_text(), project.read("dvc.lock")
    params.write_text(before.replace("patience:", "patiance:"))
    try:
        said = project.run("python", "stages/train.py", code=2)
        assert "unknown key train.patiance" in said
        assert "Traceback" not in said
        assert project.read("dvc.lock") == lock
    finally:
        params.write_text(before)


def test_a_silent_tracking_server_is_named(project: Project) -> None:
    said = project.run(
        "python", "stages/train.py", code=2, MLFLOW_TRACKING_URI="http://user:secret@127.0.0.1:9"
    )
    assert "does not answer" in said
    assert "secret" not in said
    assert "Traceback" not in said
    project.run("dvc", "status")


def test_imported_set_runs_in_temp(project: Project, make_images) -> None:
    source = make_images("own", patients=10)
    said = project.run("pneumonia", "data", "import", "own", str(source))
    assert "40 images in data/raw/own" in said
    assert "already" in project.run("pneumonia", "data", "import", "own", str(source))
    project.run("dvc", "exp", "run", "--temp", "-n", "own", "-S", "data.name=own")
    newest = list_results(project)[0]
    assert newest.data.tags["data_name"] == "own"
    assert newest.info.status == "FINISHED"


def test_import_refuses_and_keeps_what_is_there(project: Project, make_images) -> None:
    source = make_images("other", patients=3)
    (source / "empty").mkdir()
    refusals = [
        (["set", "nowhere"], "nowhere does not exist"),
        (["set", str(source / "empty")], "no class folders"),
        (["phantom", str(source)], "'phantom' cannot name a data set"),
        (["../set", str(source)], "cannot name a data set"),
    ]
    for arguments, words in refusals:
        said = project.run("pneumonia", "data", "import", *arguments, code=2)
        assert words in said
        assert "Traceback" not in said
    (source / "empty").rmdir()
    project.run("pneumonia", "data", "import", "other", str(source))
    before = sorted((project.root / "data/raw/other").rglob("*.png"))
    next(source.rglob("*.png")).unlink()
    said = project.run("pneumonia", "data", "import", "other", str(source), code=2)
    assert "holds other files" in said
    assert sorted((project.root / "data/raw/other").rglob("*.png")) == before
    project.run("pneumonia", "data", "import", "other", str(source), "--replace")
    assert len(list((project.root / "data/raw/other").rglob("*.png"))) == len(before) - 1
