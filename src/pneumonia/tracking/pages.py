"""MLflow's pages, served to this machine only."""

from collections.abc import Mapping

from pneumonia.credentials import take_credentials
from pneumonia.errors import InputError
from pneumonia.files import find_root

# MLflow's background jobs judge language models: eight processes and over a GiB for nothing here
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def ui_command(environ: Mapping[str, str], port: int) -> list[str]:
    """The command that serves the pages, to be run with `ui_environment`.

    Raises InputError where a server has them already.
    """
    store = _find_store(environ)
    if store.startswith("http"):
        address = take_credentials(store, {})
        raise InputError(f"{address} serves MLflow's pages already: open it in a browser")
    return ["mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]


def ui_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with the store's address, which may hold a password: arguments are seen by all."""
    return NO_JOBS | dict(environ) | {"MLFLOW_BACKEND_STORE_URI": _find_store(environ)}


def _find_store(environ: Mapping[str, str]) -> str:
    root = find_root(environ)
    return environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"
