"""The whole pipeline by real DVC and MLflow, on a shrunk copy of the project."""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.entities import Run
from pipeline import Project, clone_project
from pydicom.data import get_testdata_file

from pneumonia.crossfit import find_unseen
from pneumonia.data.store import load_manifest, load_part
from pneumonia.evaluation.decision import fix_decision
from pneumonia.evaluation.predictor import open_members, predict_images, predict_unseen
from pneumonia.model import load_model
from pneumonia.params import load_params
from pneumonia.shift import add_shifted

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


@contextmanager
def replaced(path: Path, content: str | bytes) -> Iterator[None]:
    """The file holds `content` for a while."""
    before = path.read_bytes()
    path.unlink()  # it may be a link into DVC's cache
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    try:
        yield
    finally:
        path.write_bytes(before)


LOGGED = {"card.md", "params.json", "results.json"}


def list_files(project: Project, run: Run) -> set[str]:
    """Artifacts at the top of a run."""
    items = mlflow.MlflowClient(project.database).list_artifacts(run.info.run_id)
    return {item.path for item in items if not item.is_dir}


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
    assert "plots/report.html" in stored
    assert list_files(project, run) == LOGGED  # no patient's image
    assert run.data.tags["data_name"] == "phantom"
    assert len(run.data.tags["data_sha256"]) == 64
    head = project.run("git", "rev-parse", "HEAD~1").strip()
    assert run.data.tags["git_commit"] == head


def test_trials_are_child_runs(project: Project) -> None:
    parent = list_results(project)[-1].info.run_id
    children = list_runs(project, f"tags.mlflow.parentRunId = '{parent}'")
    assert len(children) == 2
    assert all(
        {"score", "val_loss", "train_auc"} <= child.data.metrics.keys() for child in children
    )
    assert {child.data.params["width"] for child in children} <= {"4", "6"}


def test_logged_model_gives_the_same_probabilities(project: Project) -> None:
    mlflow.set_tracking_uri(project.database)
    run = list_results(project)[-1]
    logged = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    images = np.asarray(load_part(project.root / "data/split/test").images)
    ours = predict_images(load_model(project.root / "models/model.keras"), images)
    np.testing.assert_allclose(np.asarray(logged.predict(images))[:, 0], ours, atol=1e-6)
    assert logged.metadata.signature.inputs.inputs[0].type == np.uint8


def test_nothing_to_do_runs_nothing(project: Project) -> None:
    assert "Running stage" not in project.run("dvc", "repro")
    assert project.run("dvc", "status").strip() == "Data and pipelines are up to date."


def test_a_change_of_evaluate_reruns_evaluate_alone_in_temp(project: Project) -> None:
    runs = len(list_results(project))
    said = project.run(
        *("dvc", "exp", "run", "--temp", "-n", "careful"),
        *("-S", "evaluate.threshold_rule=sensitivity", "-S", "evaluate.calibration=temperature"),
        *("-S", "evaluate.log_images=true"),
    )
    ran = [line.split("'")[1] for line in said.splitlines() if "Running stage" in line]
    # the built-in data are not cached, so that a clone without them can apply experiments
    assert ran == ["data/phantom/dvc.yaml:phantom", "evaluate"]
    results = list_results(project)
    assert len(results) == runs + 1
    assert results[0].data.tags["dvc_experiment"] == "careful"
    assert results[0].data.params["evaluate.threshold_rule"] == "sensitivity"
    assert list_files(project, results[0]) == LOGGED | {"cases.png"}
    root = (project.root / "mlartifacts").as_uri()
    assert results[0].info.artifact_uri.startswith(root)
    assert "`dvc exp apply careful`" in results[0].data.tags["mlflow.note.content"]
    assert "careful" in project.run("dvc", "exp", "show", "--csv")
    assert "auc" in project.run("dvc", "metrics", "diff", "main", "careful", "--all")


def test_plots_of_two_revisions_are_on_one_page(project: Project) -> None:
    page = Path(project.run("dvc", "plots", "diff", "main", "careful").split("file://")[1].strip())
    html = page.read_text()
    for title in ("Loss by epoch", "ROC, test part", "Confusion matrix, test part"):
        assert title in html
    for words in ("loss (nats)", "precision (PPV)", "net benefit", "predicted probability"):
        assert words in html
    assert "DVC_METRIC" not in html.split("</head>")[1]
    assert html.count("roc.png") >= 2


def test_runs_shows_both_names_figures_and_differences(project: Project) -> None:
    rows = json.loads(project.call("runs", "--json", "--sort", "brier").out)
    values = [row["metrics"]["brier"]["value"] for row in rows if row["metrics"]]
    assert values == sorted(values)
    (careful,) = [row for row in rows if row["experiment"] == "careful"]
    assert careful["back"] == "dvc exp apply careful"
    assert careful["run_id"] in {run.info.run_id for run in list_results(project)}
    assert careful["parameters"]["evaluate.threshold_rule"] == "sensitivity"
    assert careful["metrics"]["brier"]["low"] <= careful["metrics"]["brier"]["value"]
    head = project.run("git", "rev-parse", "HEAD").strip()
    assert head in {row["commit"] for row in rows}
    lines = project.call("runs").out.splitlines()
    assert len(lines) == len(rows) + 1
    assert lines[0].split("\t")[:4] == ["DVC", "MLflow run", "id", "status"]
    assert "there are: accuracy" in project.call("runs", "--sort", "x", code=2).err


@pytest.fixture
def clone(project: Project, tmp_path: Path) -> Project:
    """A fresh clone: no MLflow database yet, no images, but a cache that has all."""
    project.run("git", "clone", "-q", str(project.root), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    clone.name_author()
    clone.run("dvc", "config", "--local", "cache.dir", str(project.root / ".dvc/cache"))
    return clone


def test_sync_logs_pulled_experiments_once_and_no_mixture(clone: Project) -> None:
    clone.run("dvc", "exp", "pull", "--no-cache", "origin", "careful")
    said = clone.call("sync")
    assert "careful: MLflow run" in said.out
    assert "workspace: not logged: data/split/manifest.csv" in said.err
    (careful,) = list_results(clone)
    assert careful.data.tags["source"] == "restored"
    assert "test_auc" in careful.data.metrics
    assert len(list_runs(clone, f"tags.mlflow.parentRunId = '{careful.info.run_id}'")) == 2
    assert careful.data.tags["dvc_experiment"] == "careful"
    assert careful.data.params["evaluate.threshold_rule"] == "sensitivity"
    clone.run("dvc", "exp", "apply", "careful")
    assert careful.info.run_id in clone.call("sync").out.splitlines()[-1]
    params = clone.root / "params.yaml"
    params.write_text(params.read_text().replace("train:\n  epochs: 2", "train:\n  epochs: 3"))
    assert "train in params.yaml is not as dvc.lock says" in clone.call("sync").err
    assert len(list_results(clone)) == 1


def test_side_by_side_all_reach_mlflow(clone: Project) -> None:
    """One in a copy and one in the queue, at once, where there is no database yet."""
    run = ("dvc", "--wait-for-lock", "exp", "run")
    clone.run(*run, "--queue", "-n", "queue", "-S", "evaluate.confidence=0.6")
    clone.run("dvc", "queue", "start")
    said = clone.run(*run, "--temp", "-n", "temp", "-S", "evaluate.confidence=0.7")
    said += clone.run("dvc", "queue", "logs", "queue", "--follow")
    assert "OperationalError" not in said
    runs = {run.data.tags["dvc_experiment"]: run for run in list_results(clone)}
    assert sorted(runs) == ["queue", "temp"]
    client = mlflow.MlflowClient(clone.database)
    for run in runs.values():
        assert run.info.status == "FINISHED"
        stored = {item.path for item in client.list_artifacts(run.info.run_id, "plots")}
        assert "plots/roc.png" in stored
        assert client.search_logged_models(["1"], f"source_run_id = '{run.info.run_id}'")


def test_results_are_compared_by_revision_experiment_and_run(project: Project) -> None:
    found = json.loads(project.call("compare", "main", "careful", "--json").out)
    assert found["images"] == len(project.read("plots/predictions.csv").splitlines()) - 1
    assert found["figures"]["ece"]["difference"] != 0
    (run,) = [r for r in list_results(project) if r.data.tags.get("dvc_experiment") == "careful"]
    by_run = project.call("compare", "main", run.info.run_id[:8], "--json").out
    assert json.loads(by_run)["figures"] == found["figures"]
    assert "McNemar" in project.call("compare", "workspace", "careful").out
    assert "no MLflow run" in project.call("compare", "main", "0" * 32, code=2).err


def test_another_data_set_is_measured_at_the_same_threshold(project: Project, make_images) -> None:
    source = make_images("elsewhere", patients=12)
    copied = next((project.root / "data/raw/phantom/PNEUMONIA").iterdir())
    seen = project.read("data/split/manifest.csv")
    (source / "PNEUMONIA" / copied.name).write_bytes(copied.read_bytes())
    whole = next((source / "NORMAL").iterdir()).read_bytes()
    (source / "NORMAL" / "cut.png").write_bytes(whole[: len(whole) // 2])  # a reason with brackets
    runs = len(list_runs(project))
    said = project.call("evaluate", "--data", str(source), "--model", "main")
    assert "differ clearly" in said.out + said.err
    figures = json.loads(project.read("metrics/external/elsewhere.json"))
    decision = json.loads(project.read("models/decision.json"))
    assert figures["threshold"] == decision["threshold"]
    assert figures["thresholds"].keys() == decision["thresholds"].keys()
    in_test = any(line.startswith("PNEUMONIA/" + copied.name) and ",test," in line
                  for line in seen.splitlines())  # fmt: skip
    assert figures["images"] == 48 + in_test
    assert sum(figures["left_out"].values()) == 2 - in_test
    assert figures["drift"]["domain_auc"] > 0.8
    assert (project.root / "plots/external/elsewhere/roc.png").exists()
    page = project.read("plots/external/elsewhere/report.html")
    assert "external to the training data" in page
    run = list_runs(project)[0]
    assert len(list_runs(project)) == runs + 1
    assert run.data.tags["trained_on"] == "phantom"
    assert len(run.data.tags["model_run"]) == 32
    assert run.data.metrics["external_auc"] == pytest.approx(figures["auc"])
    told = json.loads(project.call("runs", "--json").out)
    (row,) = [row for row in told if row["run_id"] == run.info.run_id]
    assert row["metrics"]["auc"]["value"] == pytest.approx(figures["auc"])
    said = project.call("evaluate", "--data", "nowhere", code=2)
    assert "nowhere is no data set in data/raw (" in said.err
    said = project.call("evaluate", "--data", "phantom", "--model", "nothing", code=2)
    assert "no Git revision and no DVC experiment" in said.err


def test_report_for_handing_over_names_commit_and_lock(project: Project) -> None:
    project.call("report")
    page = project.read("report.html")
    assert project.run("git", "rev-parse", "HEAD").strip() in page
    assert sha256((project.root / "dvc.lock").read_bytes()).hexdigest() in page
    assert "report.html" not in project.run("git", "status", "--porcelain")
    lock = project.root / "dvc.lock"
    lock.rename(project.root / "away.lock")
    assert "dvc.lock does not exist" in project.call("report", code=2).err
    (project.root / "away.lock").rename(lock)


def test_explain_writes_a_picture_of_each_image_or_none(project: Project) -> None:
    images = [str(p) for p in sorted((project.root / "data/raw/phantom/NORMAL").iterdir())[:2]]
    said = project.call("explain", *images, "--output", "heat").out
    pictures = sorted((project.root / "heat").iterdir())
    assert [path.name for path in pictures] == [f"{Path(p).stem}.heat.png" for p in images]
    assert all(path.name in said and path.stat().st_size > 10_000 for path in pictures)
    twice = project.call("explain", images[0], images[0], "--output", "two", code=2)
    assert "both become" in twice.err
    project.call("explain", images[0], "nowhere.png", "--output", "two", code=2)
    assert not (project.root / "two").exists()
    shutil.rmtree(project.root / "heat")


def test_a_report_is_refused_where_params_are_not_those_of_the_result(project: Project) -> None:
    path = project.root / "params.yaml"
    edited = path.read_text().replace("calibration: platt", "calibration: isotonic")
    with replaced(path, edited):
        said = project.call("report", code=2).err
    assert "evaluate in params.yaml is not what the result was made with" in said


def test_a_port_that_is_taken_is_named(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = project.call("ui", "--port", port, code=2).err
    assert f"port {port}: Address already in use; choose another by --port" in said
    assert "65535" in project.call("ui", "--port", "99999", code=2).err


def test_predict_gives_probability_and_label(project: Project) -> None:
    images = sorted((project.root / "data/raw/phantom/PNEUMONIA").iterdir())[:3]
    paths = [str(path) for path in images] + [str(get_testdata_file("CT_small.dcm"))]
    rows = json.loads(
        project.run("sh", "-c", f"pneumonia predict --json {' '.join(paths)} 2>/dev/null")
    )
    threshold = json.loads(project.read("models/decision.json"))["threshold"]
    assert [row["file"] for row in rows] == paths
    assert all(row["label"] == (row["probability"] >= threshold) for row in rows)
    table = project.call("predict", "--csv", paths[0]).out
    assert table.splitlines()[0] == "file,probability,label,name,atypical"
    said = project.call("predict", "--csv", "--json", paths[0], code=2).err
    assert said == "error: --json and --csv cannot both be had: choose one\n"
    marked = project.root / "scan[left].png"
    shutil.copyfile(images[0], marked)
    assert marked.name in project.call("predict", marked.name).out
    marked.unlink()
    said = project.call("predict", "data", code=2).err
    assert "data: Is a directory; give an image file" in said
    said = project.call("report", "--output", "data", code=2).err
    assert "cannot read or write data: Is a directory" in said


def test_predict_decodes_as_training_did(project: Project) -> None:
    path = project.root / "models/decision.json"
    decision = json.loads(path.read_text())
    assert (decision["ct_window"], decision["frames"]) == (None, "first")
    cine, ct = (str(get_testdata_file(f"{n}.dcm")) for n in ("examples_ybr_color", "CT_small"))
    plain = json.loads(project.call("predict", "--json", cine, ct).out)
    with replaced(path, json.dumps(decision | {"ct_window": [-2000, 100], "frames": "all"})):
        rows = json.loads(project.call("predict", "--json", cine, ct).out)
    assert [row["file"] for row in rows[:2]] == [f"{cine}#1", f"{cine}#2"]
    assert len(rows) == 31
    assert rows[0]["probability"] == pytest.approx(plain[0]["probability"], abs=1e-5)
    assert rows[30]["probability"] != pytest.approx(plain[1]["probability"], abs=1e-5)


def test_the_threshold_is_fixed_on_what_has_not_learnt_from_the_image(project: Project) -> None:
    root = project.root
    network = load_model(root / "models/model.keras")
    manifest = load_manifest(root / "data/split/manifest.csv")
    judged = add_shifted(load_part(root / "data/split/val"), seed=1)
    settings = load_params(root / "params.yaml").evaluate
    unseen = find_unseen(manifest, 2, enabled=True)
    apart = predict_unseen(open_members(network), judged.images, unseen)
    thresholds = [
        fix_decision(judged.labels, scores, settings)["thresholds"]
        for scores in (apart, predict_images(network, judged.images))
    ]
    fixed = json.loads((root / "models/decision.json").read_text())
    assert fixed["threshold"] == fixed["thresholds"][settings.threshold_rule]
    assert fixed["thresholds"] == pytest.approx(thresholds[0], abs=1e-5)
    assert fixed["thresholds"] != pytest.approx(thresholds[1], abs=1e-4)


def test_predict_refuses_a_decision_made_for_another_model(project: Project) -> None:
    """Train has ended, evaluate has not: the threshold would be that of the model before."""
    image = next((project.root / "data/raw/phantom/NORMAL").iterdir())
    model = project.root / "models/model.keras"
    with replaced(model, model.read_bytes() + b"retrained"):
        said = project.call("predict", str(image), code=2).err
    assert "decision.json was made for another model than models/model.keras: run" in said


def test_predict_refuses_a_decision_without_threshold(project: Project) -> None:
    image = next((project.root / "data/raw/phantom/NORMAL").iterdir())
    with replaced(project.root / "models/decision.json", '{"rule": "youden"}'):
        said = project.call("predict", str(image), code=2).err
    assert "models/decision.json lacks calibration, threshold, thresholds: delete" in said


def test_a_worker_is_told_the_port_of_its_chief(project: Project) -> None:
    said = project.call("tune-worker", "--chief", "there", code=2).err
    assert "--chief is 'there': give HOST:PORT" in said
    said = project.call("tune-worker", "--chief", "there:65536", code=2).err
    assert "--chief is 'there:65536': give HOST:PORT" in said


def test_predict_refuses_what_is_no_image(project: Project) -> None:
    (project.root / "text.png").write_text("no image")
    assert "text.png: not an image" in project.run("pneumonia", "predict", "text.png", code=2)
    assert "does not exist" in project.call("predict", "nowhere.png", code=2).err
    (project.root / "text.png").unlink()


def test_a_typo_in_a_parameter_stops_before_any_work(project: Project) -> None:
    params = project.root / "params.yaml"
    lock = project.read("dvc.lock")
    with replaced(params, params.read_text().replace("batch_size:", "bach_size:")):
        said = project.run("python", "stages/train.py", code=2)
    assert "unknown key train.bach_size" in said
    assert "Traceback" not in said
    assert project.read("dvc.lock") == lock


def test_a_silent_tracking_server_is_named(project: Project) -> None:
    said = project.run(
        "python", "stages/train.py", code=2, MLFLOW_TRACKING_URI="http://user:secret@127.0.0.1:9"
    )
    assert "does not answer" in said
    assert "secret" not in said
    assert "Traceback" not in said
    project.run("dvc", "status")


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
        assert words in project.call("data", "import", *arguments, code=2).err
    (source / "empty").rmdir()
    bare = str(Path(shutil.which("git") or "").parent)  # .venv/bin is not on it
    said = project.call("data", "import", "other", str(source), PATH=bare).out
    assert "12 images in data/raw/other" in said
    assert "already" in project.call("data", "import", "other", str(source)).out
    before = sorted((project.root / "data/raw/other").rglob("*.png"))
    next(source.rglob("*.png")).unlink()
    said = project.call("data", "import", "other", str(source), code=2).err
    assert "holds other files" in said
    assert sorted((project.root / "data/raw/other").rglob("*.png")) == before
    project.call("data", "import", "other", str(source), "--replace")
    assert len(list((project.root / "data/raw/other").rglob("*.png"))) == len(before) - 1
    shutil.rmtree(project.root / "data/raw/other")  # as in a clone before `dvc pull`
    tracked = project.read("data/raw/other.dvc")
    said = project.call("data", "import", "other", str(source), code=2).err
    assert "data/raw/other.dvc is tracked, but its images are not here" in said
    assert project.read("data/raw/other.dvc") == tracked
    project.call("data", "import", "other", str(source), "--replace")
    assert project.read("data/raw/other.dvc") == tracked
