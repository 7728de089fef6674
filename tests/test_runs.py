"""MLflow runs: what they take, how they are found, ended where their process is gone."""

import time
from itertools import pairwise
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Metric

from pneumonia.cli_runs import tell_distant_runs
from pneumonia.errors import InputError
from pneumonia.processes import find_host, name_process
from pneumonia.tracking.result import list_numbers, log_parameters
from pneumonia.tracking.store import PROCESS_TAG, connect
from pneumonia.tracking_results import find_run

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's own dependencies

HOUR = 3_600_000  # milliseconds
GONE = f"{find_host(name_process())}:1:1"  # process 1 began later


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return {"DVC_ROOT": str(tmp_path)}


def begin_run(experiment_id: str, process: str, hours_ago: float = 0) -> str:
    """A run of that process that never told its end."""
    began = int(time.time() * 1000 - hours_ago * HOUR)
    client = mlflow.MlflowClient()
    run = client.create_run(experiment_id, start_time=began, tags={PROCESS_TAG: process})
    return run.info.run_id


def test_runs_end_where_it_is_known_and_are_named_where_not(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before, now = connect("the name before", environ), connect("pneumonia", environ)
    client = mlflow.MlflowClient()
    runs = {
        "gone": begin_run(now, GONE),
        "gone under another name": begin_run(before, GONE),
        "ours": begin_run(now, name_process()),
        "elsewhere": begin_run(now, "node7:1:1", hours_ago=30),
        "elsewhere, alive": begin_run(now, "node8:1:1", hours_ago=30),
    }
    epoch = Metric("val_loss", 0.5, int(time.time() * 1000 - 2 * HOUR), 1)
    client.log_batch(runs["elsewhere, alive"], [epoch])

    def tell(stale_hours: float | None) -> tuple[set[str], str]:
        tell_distant_runs("pneumonia", stale_hours)
        states = {name: client.get_run(run_id).info.status for name, run_id in runs.items()}
        killed = {name for name, status in states.items() if status == "KILLED"}
        return killed, capsys.readouterr().err

    killed, said = tell(None)
    assert killed == {"gone", "gone under another name"}
    assert f"MLflow run {runs['elsewhere']} is RUNNING on node7" in said
    assert "--stale-hours" in said
    assert runs["ours"] not in said
    killed, said = tell(24)
    assert killed == {"gone", "gone under another name", "elsewhere"}
    assert said.count("RUNNING") == 1
    assert f"MLflow run {runs['elsewhere, alive']} is RUNNING on node8" in said
    assert tell(1)[0] == set(runs) - {"ours"}
    client.set_terminated(runs["ours"])


def test_a_run_is_found_by_the_first_characters_of_its_id(environ: dict[str, str]) -> None:
    here, elsewhere = connect("pneumonia", environ), connect("another name", environ)
    client = mlflow.MlflowClient()
    ids = [client.create_run(here).info.run_id for _ in range(17)]  # two must begin alike
    other = client.create_run(elsewhere).info.run_id
    assert find_run(ids[0][:12], "pneumonia", environ) == ids[0]
    assert find_run(ids[0], "pneumonia", environ) == ids[0]
    assert find_run(other, "pneumonia", environ) == other
    for unknown in ("0" * 32, "0" * 31, "main", "brave-name", "", other[:12]):
        assert find_run(unknown, "pneumonia", environ) is None
    (first, *_) = [a[0] for a, b in pairwise(sorted(ids)) if a[0] == b[0]]
    with pytest.raises(InputError, match=f"{first} begins .* MLflow runs: give one of {first}"):
        find_run(first, "pneumonia", environ)


def test_names_that_mlflow_refuses_are_logged_all_the_same(environ: dict[str, str]) -> None:
    experiment = connect("pneumonia", environ)
    with mlflow.start_run(experiment_id=experiment) as run:
        log_parameters({"data": {"classes": {"NORMAL (0)": 0, "Lungenentzündung, a&b+": 1}}}, {})
        mlflow.log_metrics(list_numbers({"left_out": {"too large: 5,000 (pixels)": 2}}))
    logged = mlflow.MlflowClient().get_run(run.info.run_id).data
    assert logged.params == {
        "data.classes.NORMAL _0_": "0", "data.classes.Lungenentzündung_ a_b_": "1",
    }  # fmt: skip
    assert logged.metrics == {"left_out.too large: 5_000 _pixels_": 2}


def test_a_store_that_cannot_be_used_is_one_sentence(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    with pytest.raises(InputError, match=r"sqlite:.* does not answer"):
        connect("pneumonia", environ)
    (tmp_path / "50%").mkdir()
    with pytest.raises(InputError, match=r"50% has \? or % in its name"):
        connect("pneumonia", {"DVC_ROOT": str(tmp_path / "50%")})
    elsewhere = {
        "DVC_ROOT": str(tmp_path / "50%"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/a.db",
    }
    assert connect("pneumonia", elsewhere) == connect("pneumonia", elsewhere)
