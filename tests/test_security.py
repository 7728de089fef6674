"""Files of strangers run no code, passwords stay where they are, nothing listens to the world."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest
import requests
from servers import answers, find_port

from pneumonia.credentials import take_credentials
from pneumonia.data.store import load_part
from pneumonia.errors import InputError
from pneumonia.model import build_model, load_model, save_model
from pneumonia.params import ModelParams, Params
from pneumonia.tracking.pages import ui_command, ui_environment

COMMAND = Path(sys.executable).with_name("pneumonia")
UNSAFE = ("pickle.", "joblib", "cloudpickle", "allow_pickle=True", "eval(", "exec(", "yaml.load(")


def write_keras(path: Path, config: dict[str, object]) -> Path:
    """A `.keras` file with this configuration and no weights."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": keras.__version__}))
        archive.writestr("model.weights.h5", b"")
    return path


def call_on_load(function: object, module: str) -> dict[str, object]:
    """The configuration of a model whose layer calls a function of the attacker's choice."""
    layer = {"module": module, "class_name": "function", "config": function, "registered_name": ""}
    return {
        "module": "keras", "class_name": "Sequential", "registered_name": None,
        "config": {"name": "s", "trainable": True, "layers": [
            {"module": "keras.layers", "class_name": "Lambda", "registered_name": None,
             "config": {"name": "l", "function": layer, "arguments": {"args": ["id"]}}},
        ]},
    }  # fmt: skip


@pytest.fixture
def hostile(tmp_path: Path) -> list[Path]:
    """Models with code: a Lambda with bytecode, functions and classes that are not Keras's."""
    code = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2)])
    code.save(tmp_path / "bytecode.keras")
    foreign = {"module": "subprocess", "class_name": "Popen", "registered_name": None}
    configs = {
        "function.keras": call_on_load("system", "os"),
        "class.keras": foreign | {"config": {"args": ["touch", str(tmp_path / "ran")]}},
        "unknown.keras": foreign | {"module": "stranger", "config": {}},
        "typed.keras": {"module": "keras", "class_name": "Model", "config": 3},
    }
    written = [write_keras(tmp_path / name, config) for name, config in configs.items()]
    (tmp_path / "bytes.keras").write_bytes(b"\x80\x04K\x01.")
    return [
        tmp_path / "bytecode.keras",
        *written,
        tmp_path / "bytes.keras",
        tmp_path / "none.keras",
    ]


def test_models_with_code_are_refused(hostile: list[Path]) -> None:
    for path in hostile:
        with pytest.raises(InputError, match="does not load in Keras's safe mode") as caught:
            load_model(path)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (hostile[0].parent / "ran").exists()


def test_our_own_models_load(tmp_path: Path, params: Params) -> None:
    small = ModelParams(**params.model.model_dump() | {"width": 4, "depth": 1})
    save_model(build_model(small, 16, seed=1), tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").count_params() > 0


def test_predict_refuses_a_model_with_code(hostile: list[Path]) -> None:
    models = hostile[0].parent / "models"
    models.mkdir()
    hostile[0].rename(models / "model.keras")
    decision = {"image_size": 16, "keep_aspect": True, "threshold": 0.5, "rule": "youden"}
    decision |= {"calibration": {"method": "none"}, "thresholds": {"youden": 0.5}}
    (models / "decision.json").write_text(json.dumps(decision))
    done = subprocess.run(
        [COMMAND, "predict", "plots/data.png", "--models", str(models)],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "model.keras does not load in Keras's safe mode" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        np.save(tmp_path / f"{name}.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="holds no images"):
        load_part(tmp_path)


def test_no_source_loads_pickles_or_code() -> None:
    sources = [*Path("src").rglob("*.py"), *Path("stages").glob("*.py")]
    found = {(p.name, word) for p in sources for word in UNSAFE if word in p.read_text()}
    assert found == set()


def test_credentials_leave_the_address() -> None:
    environ: dict[str, str] = {}
    bare = take_credentials("https://anna:p%40ss%2F@host:8443/mlflow", environ)
    assert bare == "https://host:8443/mlflow"
    assert environ == {"MLFLOW_TRACKING_USERNAME": "anna", "MLFLOW_TRACKING_PASSWORD": "p@ss/"}
    for uri in ("http://host:5000", "sqlite:////a/mlflow.db", "postgresql://u:p@host/db", ""):
        environ.clear()
        assert take_credentials(uri, environ) == uri
        assert environ == {}


def test_ui_names_a_server_without_its_password() -> None:
    environ = {"MLFLOW_TRACKING_URI": "https://anna:secret@host:8443"}
    with pytest.raises(InputError, match="https://host:8443 serves") as caught:
        ui_command(environ, 5000)
    assert "secret" not in str(caught.value)
    environ = {"MLFLOW_TRACKING_URI": "postgresql://u:secret@host/db"}
    assert "secret" not in " ".join(ui_command(environ, 5000))
    assert environ["MLFLOW_TRACKING_URI"] in ui_environment(environ).values()


def test_ui_listens_to_this_machine_alone(tmp_path: Path) -> None:
    """Even where the environment asks for more: who wants that starts MLflow's server itself."""
    port = find_port()
    environ = os.environ | {"MLFLOW_HOST": "0.0.0.0", "DVC_ROOT": str(tmp_path)}  # noqa: S104
    environ.pop("MLFLOW_TRACKING_URI", None)
    command = [COMMAND, "ui", "--port", str(port)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            command, env=environ | {"PATH": path}, stdout=log, stderr=log, process_group=0
        )
        try:
            assert answers(f"http://127.0.0.1:{port}/health", server), Path(log.name).read_text()
            root = psutil.Process(server.pid)
            open_to = {
                connection.laddr.ip
                for process in (root, *root.children(recursive=True))
                for connection in process.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            }
            assert open_to == {"127.0.0.1"}
            host = {"Host": f"stranger.example:{port}"}
            assert (
                requests.get(f"http://127.0.0.1:{port}/", headers=host, timeout=30).status_code
                == 403
            )
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()
    assert (tmp_path / "mlflow.db").exists()
