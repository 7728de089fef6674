"""A team's set-up for real: MLflow on PostgreSQL and S3, data in S3, a second clone, no leaks."""

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import mlflow
import pytest
from pipeline import Project, clone_project
from servers import connect_postgres, serve_mlflow, serve_postgres, serve_s3

from pneumonia import reproduce
from pneumonia.cli_reproduce import describe_comparison
from pneumonia.tracking.store import ensure_experiment

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's and moto's own dependencies

NEEDLE = "-".join(["hush", "4711"])  # in every secret, and in no file of the project
DATABASE_PASSWORD, ADMIN_PASSWORD = f"{NEEDLE}-database", f"{NEEDLE}-server"
PASSWORD = f"{NEEDLE}/@member"  # with characters that an address must escape
VARIABLES = {
    "POSTGRES_PASSWORD": DATABASE_PASSWORD,
    "S3_BUCKET": "team",
    "AWS_ACCESS_KEY_ID": f"{NEEDLE}-id",
    "AWS_SECRET_ACCESS_KEY": f"{NEEDLE}-key",
    "MLFLOW_SECRET_KEY": f"{NEEDLE}-session",
    "MLFLOW_ADMIN_PASSWORD": ADMIN_PASSWORD,
}


@dataclass(frozen=True)
class Team:
    """The first member's project after one experiment, and what both members use."""

    folder: Path
    first: Project
    said: str
    address: str
    database: str
    s3: str

    def sign_in(self, name: str) -> dict[str, str]:
        """A member's environment: the server's address with a password in it, and keys for S3."""
        keys = {key: value for key, value in VARIABLES.items() if key.startswith("AWS_")}
        who = f"http://{name}:{quote(PASSWORD, safe='')}@"
        uri = self.address.replace("http://", who)
        return keys | {"AWS_DEFAULT_REGION": "us-east-1", "MLFLOW_TRACKING_URI": uri}

    def find_result(self) -> Any:
        client = mlflow.MlflowClient(self.address)
        runs = client.search_runs(["1"], "metrics.test_auc >= 0")
        (run,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
        return run


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    from mlflow.server import get_app_client

    folder = tmp_path_factory.mktemp("team")
    with (
        serve_postgres("mlflow", DATABASE_PASSWORD) as database,
        serve_s3("team") as s3,
        serve_mlflow(VARIABLES | {"S3_ENDPOINT": s3}, database, folder) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
        patch.setenv("MLFLOW_TRACKING_PASSWORD", ADMIN_PASSWORD)
        for name in ("anna", "berta"):
            get_app_client("basic-auth", f"http://{server}").create_user(name, PASSWORD)
        bare = Team(folder, clone_project(folder), "", f"http://{server}", database, s3)
        yield replace(bare, said=begin_project(bare))
        mlflow.set_tracking_uri(None)


def begin_project(team: Team) -> str:
    """An imported data set, DVC's remote in S3, and Anna's experiment with changed code."""
    project, anna = team.first, team.sign_in("anna")
    project.run("dvc", "repro", "data/phantom/dvc.yaml")
    images = shutil.copytree(project.root / "data/raw/phantom", team.folder / "images")
    project.run("pneumonia", "data", "import", "own", str(images))
    project.run("dvc", "remote", "add", "--default", "team", "s3://team/dvc")
    project.run("dvc", "remote", "modify", "team", "endpointurl", team.s3)
    project.run("git", "add", "-A")
    project.run("git", "commit", "-q", "-m", "Data and remote of the team")
    code = project.root / "src/pneumonia/model.py"
    code.write_text(code.read_text() + "# tried out\n")
    changes = ("-S", "data.name=own", "-S", "tune.enabled=false", "-S", "train.epochs=1")
    said = project.run("dvc", "exp", "run", "--temp", "-n", "try", *changes, **anna)
    project.run("dvc", "exp", "apply", "try")
    return said + share_result(team)


def share_result(team: Team) -> str:
    """Anna commits what is in her workspace and pushes it."""
    team.first.run("git", "add", "-A")
    team.first.run("git", "commit", "-q", "-m", "Result")
    return team.first.run("dvc", "push", **team.sign_in("anna"))


@pytest.fixture(scope="module")
def second(team: Team) -> Project:
    """Berta's clone with Anna's result in its workspace, and her experiment."""
    berta, project = team.sign_in("berta"), Project(team.folder / "second")
    team.first.run("git", "clone", "-q", str(team.first.root), str(project.root))
    project.name_author()
    project.run("dvc", "pull", **berta)
    project.run("git", "fetch", "-q", "origin", "refs/exps/*:refs/exps/*")
    return project


def test_the_server_asks_for_a_password(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(mlflow.MlflowException, match="not authenticated"):
        team.find_result()


def test_members_who_begin_at_once_share_an_experiment(team: Team) -> None:
    mlflow.set_tracking_uri(team.address)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ensure_experiment, ["at once"] * 8, [None] * 8))
    assert len(found) == 1


def test_run_is_in_postgres_and_its_artifacts_in_s3(team: Team) -> None:
    run = team.find_result()
    assert run.info.status == "FINISHED"
    assert run.data.tags["dvc_experiment"] == "try"
    assert run.data.tags["data_name"] == "own"
    assert not (team.first.root / "mlflow.db").exists()
    assert not (team.first.root / "mlartifacts").exists()
    with connect_postgres(team.database, "mlflow", DATABASE_PASSWORD, "mlflow") as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT value FROM tags WHERE key = 'dvc_experiment'")
        assert cursor.fetchall() == [("try",)]
    keys = [key for key in list_objects(team) if run.info.run_id in key]
    for name in ("results.json", "params.json", "plots/roc.png"):
        assert any(key.endswith(name) for key in keys)


def list_objects(team: Team) -> dict[str, bytes]:
    """Everything in the team's bucket."""
    import boto3

    bucket = boto3.resource(
        "s3", endpoint_url=team.s3, region_name="us-east-1",
        aws_access_key_id="any", aws_secret_access_key="any",  # noqa: S106
    ).Bucket("team")  # fmt: skip
    return {item.key: item.get()["Body"].read() for item in bucket.objects.all()}


def test_a_second_clone_evaluates_without_training(team: Team, second: Project) -> None:
    assert "Running stage" not in second.run("dvc", "repro", **team.sign_in("berta"))
    assert (second.root / "models/model.keras").read_bytes() == (
        team.first.root / "models/model.keras"
    ).read_bytes()
    image = next((second.root / "data/raw/own/PNEUMONIA").iterdir())
    assert "probability" in second.call("predict", "--json", str(image)).out


def test_no_secret_is_written_or_shown(team: Team, second: Project) -> None:
    assert NEEDLE not in team.said
    assert NEEDLE not in (team.folder / "mlflow.log").read_text()
    files = [p for project in (team.first, second) for p in project.root.rglob("*") if p.is_file()]
    objects = list_objects(team)
    assert len(files) > 200
    assert len(objects) > 30
    needle = NEEDLE.encode()
    assert [str(path) for path in files if needle in path.read_bytes()] == []
    assert [key for key, content in objects.items() if needle in content] == []
    with connect_postgres(team.database, "mlflow", DATABASE_PASSWORD, "mlflow") as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert NEEDLE not in str(cursor.fetchall()), table


def test_logged_model_holds_no_pickle(team: Team) -> None:
    models = [key for key in list_objects(team) if "/models/" in key]
    assert any(key.endswith("model.keras") for key in models)
    assert [key for key in models if "pickle" in key or key.endswith((".pkl", ".joblib"))] == []


@pytest.fixture(scope="module")
def again(team: Team, second: Project) -> tuple[Path, str]:
    """The clone in which Berta made Anna's run again, and what was said."""
    folder = team.folder / "again"
    command = ("reproduce", team.find_result().info.run_id, "--folder", str(folder))
    said = second.call(*command, **team.sign_in("berta"))
    assert "exists" in second.call(*command, code=2, **team.sign_in("berta")).err
    return folder, said.out + said.err


def test_an_experiment_is_made_again_elsewhere(again: tuple[Path, str]) -> None:
    folder, said = again
    assert "the same result: " in said
    assert "the same type of machine" in said
    assert "\nnote: " not in said
    assert "# tried out" in (folder / "src/pneumonia/model.py").read_text()
    ran = [line.split("'")[1] for line in said.splitlines() if "Running stage" in line]
    assert ran == ["split", "augment", "tune", "train", "evaluate"]


def test_a_result_touched_up_is_found_out(
    team: Team, second: Project, again: tuple[Path, str]
) -> None:
    """A figure is bettered and lock, commit and MLflow run made to agree with it."""
    path = second.root / "metrics/evaluate.json"
    figures = json.loads(path.read_text())
    path.write_text(json.dumps(figures | {"auc": 0.999}))
    second.run("dvc", "commit", "--force", "evaluate")
    second.run("git", "commit", "-q", "-a", "-m", "A better result")
    said = second.call("sync", "--commits", **team.sign_in("berta")).out
    *_, better, run = re.findall("MLflow run ([0-9a-f]{32}) carries", said)
    assert better == run  # that commit's, and the workspace's
    assert run not in again[1]  # where the first one is named
    mlflow.set_tracking_uri(team.address)
    found = reproduce.compare(reproduce.read_run(run), again[0], "commit", [])
    assert not found.same
    assert {k for k, v in found.outputs.items() if v != "same"} == {"metrics/evaluate.json"}
    assert len(found.outputs) > 40
    assert found.figures == {"auc": (0.999, figures["auc"])}
    text = "\n".join(describe_comparison(found))
    assert "differs: metrics/evaluate.json" in text
    assert "auc: logged 0.999, now" in text


def test_a_member_may_add_runs_that_cannot_be_made_again(
    team: Team, second: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "berta")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    berta = team.sign_in("berta")
    said = second.call("reproduce", "0" * 32, code=2, **berta).err
    assert f"no MLflow run {'0' * 32}" in said
    client = mlflow.MlflowClient(team.address)
    bare = client.create_run("1").info.run_id
    said = second.call("reproduce", bare, code=2, **berta).err
    assert "carries no params.json" in said
    assert "Traceback" not in said
    client.set_terminated(bare, "FAILED")
