"""A chief and two workers on loopback, one killed in a trial: the result of a worker alone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML
from servers import find_port
from test_tuning import shrink, write_parts

from pneumonia.errors import InputError
from pneumonia.params import Params
from pneumonia.tuning_workers import WORKER, join

OUTPUTS = ("hyperparameters.json", "tune.json", "trials.csv", "trial_curves.csv")


def begin(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(Path("src").resolve())}
    return subprocess.Popen(command, cwd=folder, env=environment)


def begin_stage(folder: Path, settings: Params) -> subprocess.Popen[bytes]:
    """The tune stage in a folder of its own."""
    folder.mkdir()
    write_parts(folder)
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe").dump(settings.model_dump(), file)
    places = {
        "augmented": "augmented", "val": "val", "hyperparameters": OUTPUTS[0],
        "metrics": OUTPUTS[1], "trials": OUTPUTS[2], "curves": OUTPUTS[3],
    }  # fmt: skip
    options = [text for name, place in places.items() for text in (f"--{name}", place)]
    return begin(folder, sys.executable, str(Path("stages/tune.py").resolve()), *options)


def wait_for_epoch(folder: Path, worker: int) -> None:
    """Until a trial of that process has an epoch behind it."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for file in (folder / ".cache/tune").glob("*/search.json"):
            state = json.loads(file.read_text())
            for name, trial in state["oracle"]["ongoing_trials"].items():
                metrics = [t["metrics"] for t in state["trials"] if t["trial_id"] == trial]
                if f":{worker}:" in name and "val_loss" in str(metrics):
                    return
        time.sleep(0.02)
    raise AssertionError("no worker began")


def test_two_workers_one_killed_give_what_one_gives(tmp_path: Path, params: Params) -> None:
    settings = shrink(params, max_trials=3, epochs=2)
    assert begin_stage(tmp_path / "alone", settings).wait() == 0
    port = find_port()
    changes = {"workers": 0, "listen": f"127.0.0.1:{port}"}
    shared = settings.model_copy(update={"tune": settings.tune.model_copy(update=changes)})
    folder = tmp_path / "shared"
    chief = begin_stage(folder, shared)
    command = [*WORKER, "--chief", f"127.0.0.1:{port}", "--augmented", "augmented", "--val", "val"]
    workers = [begin(folder, *command) for _ in range(2)]
    wait_for_epoch(folder, workers[0].pid)
    workers[0].send_signal(signal.SIGKILL)
    assert chief.wait() == 0
    assert [worker.wait() for worker in workers] == [-signal.SIGKILL, 0]
    for name in OUTPUTS:
        assert (folder / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_workers_of_a_killed_chief_end(tmp_path: Path, params: Params) -> None:
    settings = shrink(params, max_trials=3, epochs=3, workers=2)
    chief = begin_stage(tmp_path / "w", settings)
    workers: list[psutil.Process] = []
    while len(workers) < 2:
        workers = psutil.Process(chief.pid).children()
    chief.kill()
    chief.wait()
    assert not psutil.wait_procs(workers, timeout=60)[1]


def test_no_chief_is_told(tmp_path: Path, params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pneumonia.tuning_workers.WAIT", 0.5)
    augmented, val = write_parts(tmp_path)
    with pytest.raises(InputError, match="no chief at 127"):
        join(f"127.0.0.1:{find_port()}", shrink(params), augmented, val, tmp_path)
