"""The pipeline killed for real at random moments ends with the bytes of an undisturbed one."""

import contextlib
import os
import random
import signal
import subprocess
from pathlib import Path

import mlflow
import psutil
import pytest
from pipeline import Project, change_params, clone_project

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow's and DVC's own dependencies

SEED = 20261124
# stage, what it must have written first, seconds from then to the blow at most, signal, whether it
# strikes DVC alone: then the stage goes on while the next DVC begins
BLOWS = [
    ("augment", "", 0.7, signal.SIGKILL, False),
    ("tune", "tune/*/search.json", 2.0, signal.SIGKILL, False),
    ("train", "train/*/history.csv", 0.5, signal.SIGTERM, False),
    ("train", "", 6.0, signal.SIGKILL, True),
    ("evaluate", "", 6.0, signal.SIGINT, False),
]
Blow = tuple[str, str, float, signal.Signals, bool]


def begin_repro(project: Project) -> subprocess.Popen[bytes]:
    with (project.root.parent / "log").open("ab") as log:
        return subprocess.Popen(
            ["dvc", "repro"],
            cwd=project.root,
            env=project.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_for_stage(
    project: Project, process: subprocess.Popen[bytes], stage: str, file: str
) -> bool:
    """Until the stage's script runs and has written the file; False if DVC ended before."""
    while True:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                written = not file or any((project.root / ".cache").glob(file))
                if written and f"stages/{stage}.py" in " ".join(child.cmdline()):
                    return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
            return False


def strike(project: Project, blow: Blow, rng: random.Random) -> bool:
    """Begin the pipeline and kill it at a random moment; False if it was done before."""
    stage, file, longest, kind, dvc_alone = blow
    process = begin_repro(project)
    if wait_for_stage(project, process, stage, file):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=rng.uniform(0, longest))
            return False
        (os.kill if dvc_alone else os.killpg)(process.pid, kind)
        process.wait()
        return True
    return False


def test_killed_pipeline_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    project = clone_project(tmp_path)
    # so many copies that the first blow strikes the stage, not DVC while it writes its own files
    longer = {"epochs: 2 ": "epochs: 6 ", "min_images: 0 ": "min_images: 40000 "}
    change_params(project.root, longer)
    rng = random.Random(SEED)
    assert sum(strike(project, blow, rng) for blow in BLOWS) >= 4
    project.run("dvc", "repro")
    assert "carries this result" in project.call("sync").out
    client = mlflow.MlflowClient(project.database)
    runs = client.search_runs(["1"])
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    (result,) = [run for run in runs if "evaluation_sha256" in run.data.tags]
    assert result.info.status == "FINISHED"
    steps = [m.step for m in client.get_metric_history(result.info.run_id, "val_loss")]
    assert sorted(steps) == list(range(1, 7))
    left = [path.name for path in (project.root / ".cache").rglob("*") if path.is_dir()]
    assert set(left) <= {"tune", "train"}
    assert not [p for p in project.root.rglob(".[0-9]*-*") if ".dvc" not in p.parts]
    lock = project.read("dvc.lock")
    project.run("dvc", "repro", "--force", "--single-item", "train")
    assert project.read("dvc.lock") == lock
