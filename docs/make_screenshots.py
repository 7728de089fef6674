"""Takes docs/mlflow-comparison.png, mlflow-roc.png, plots-diff.png and report.png.

Run in the project's root, with Chromium: python docs/make_screenshots.py REV1 REV2. Without a
network, the scripts that DVC's page loads come from a folder: npm install --prefix FOLDER
--legacy-peer-deps vega@5.20.2 vega-lite@5.2.0 vega-embed@6.18.2, and then --vega FOLDER.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from pneumonia import errors
from pneumonia.files import atomic, write_text
from pneumonia.params import load_params
from pneumonia.tracking.pages import ui_command, ui_environment
from pneumonia.tracking.store import connect

COMPARISON, ROC = Path("docs/mlflow-comparison.png"), Path("docs/mlflow-roc.png")
DIFF = Path("docs/plots-diff.png")
REPORT, PAGE = Path("docs/report.png"), Path("plots/report.html")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--virtual-time-budget=60000",  # milliseconds that the page believes have passed
)  # fmt: skip
HOST = "mlflow.localhost"  # loopback too; at plain localhost MLflow opens its assistant's panel
START_LIMIT, PICTURE_LIMIT, RUNS = 90, 180, 3  # seconds, seconds, runs side by side


def take_picture(browser: str, url: str, target: Path, size: str, scale: float) -> None:
    """Write `url`, laid out at `size` pixels, as a scaled PNG; InputError if the browser fails."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, atomic(target) as png:
        size_flags = (f"--window-size={size}", f"--force-device-scale-factor={scale}")
        files = (f"--user-data-dir={profile}", f"--screenshot={png.resolve()}")
        command = [browser, *FLAGS, *size_flags, *files, url]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=PICTURE_LIMIT)
        except subprocess.TimeoutExpired:
            raise errors.InputError(f"{browser} hangs at {url}: try it by hand") from None
        if done.returncode or not png.exists():
            raise errors.InputError(f"{browser} made no picture of {url}: try it by hand")


@contextmanager
def serve_mlflow() -> Iterator[str]:
    """MLflow's pages on a free loopback port; gives their address, ends the server afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, quiet = f"http://{HOST}:{port}", subprocess.DEVNULL
    known = {
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST}:{port}",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": address,
    }
    environ = ui_environment(os.environ | known)
    command = ui_command(os.environ, port)
    server = subprocess.Popen(command, env=environ, stdout=quiet, stderr=quiet, process_group=0)
    try:
        end = time.monotonic() + START_LIMIT
        with socket.socket() as client:
            while client.connect_ex(("127.0.0.1", port)):
                if server.poll() is not None or time.monotonic() > end:
                    raise errors.InputError("MLflow's pages do not start: try `make ui`")
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # the server and its workers
        server.wait()


def find_pages() -> tuple[str, str]:
    """MLflow's page that compares the newest evaluated runs, and the first one's ROC curve."""
    import mlflow

    experiment = load_params(Path("params.yaml")).tracking.experiment
    identity = connect(experiment, os.environ)
    found = mlflow.MlflowClient().search_runs(
        [identity], "metrics.test_auc >= 0", order_by=["attributes.start_time DESC"]
    )
    runs = [run.info.run_id for run in found if "mlflow.parentRunId" not in run.data.tags][:RUNS]
    if len(runs) < RUNS:
        raise errors.InputError(f"{experiment} has {len(runs)} evaluated runs, {RUNS} are needed")
    return address_comparison(runs, identity), address_roc(runs[0], identity)


def address_comparison(runs: list[str], experiment_id: str) -> str:
    """Path and query of MLflow's page that holds these runs against each other."""
    listed, experiments = quote(json.dumps(runs)), quote(json.dumps([experiment_id]))
    return f"/#/compare-runs?runs={listed}&experiments={experiments}"


def address_roc(run: str, experiment_id: str) -> str:
    """Path of MLflow's page that shows a run's ROC picture among its artifacts."""
    return f"/#/experiments/{experiment_id}/runs/{run}/artifacts/plots/roc.png"


def make_diff(rev1: str, rev2: str, folder: Path, vega: Path | None) -> Path:
    """The page of `dvc plots diff`; its Vega scripts come from `vega`/node_modules if given."""
    command = ["dvc", "plots", "diff", rev1, rev2, "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    page = folder / "index.html"
    if done.returncode or not page.exists():
        reason = (done.stderr.strip() or "no page was written").splitlines()[0]
        raise errors.InputError(f"`dvc plots diff {rev1} {rev2}` failed: {reason}")
    text = page.read_text("utf-8").replace("<head>", '<head><meta charset="utf-8">')
    write_text(page, load_locally(text, vega / "node_modules") if vega else text)
    return page


def load_locally(page: str, modules: Path) -> str:
    """A page of DVC that loads its Vega scripts from a folder of npm's instead of the network.

    Raises InputError where the page loads none, or one that the folder lacks.
    """
    remote = re.compile(r'src="https://[^"]*/(vega[a-z-]*)@[\d.]+"')
    names = remote.findall(page)
    scripts = [modules.resolve() / name / "build" / f"{name}.min.js" for name in names]
    if missing := [script for script in scripts if not script.exists()]:
        raise errors.InputError(f"{missing[0]} does not exist: run npm install as the script says")
    if not names:
        raise errors.InputError("DVC's page loads no Vega script: mend load_locally")
    waiting = iter(scripts)
    return remote.sub(lambda _match: f'src="{next(waiting).as_uri()}"', page)


def main(rev1: str, rev2: str, vega: Path | None = None) -> None:
    """Take the pictures; --vega: folder where npm installed vega, vega-lite and vega-embed."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        raise errors.InputError(f"no browser: install Chromium ({', '.join(BROWSERS)} on PATH)")
    take_picture(browser, PAGE.resolve().as_uri(), REPORT, "1100,1720", 0.8)
    comparison, roc = find_pages()
    with serve_mlflow() as address:
        take_picture(browser, address + comparison, COMPARISON, "1500,2000", 0.8)
        take_picture(browser, address + roc, ROC, "1300,800", 0.8)
    with tempfile.TemporaryDirectory() as folder:
        page = make_diff(rev1, rev2, Path(folder), vega)
        take_picture(browser, page.as_uri(), DIFF, "2500,2850", 0.6)  # two pictures fit in a row


if __name__ == "__main__":
    errors.run(main)
