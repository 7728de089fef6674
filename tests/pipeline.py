"""A copy of the project in a folder of its own, shrunk so that the pipeline runs in seconds."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from pneumonia.cli import app

SMALL = {
    "image_size: 96": "image_size: 24",
    "copies: 8": "copies: 2",
    "min_images: 8192": "min_images: 0",
    "members: 3 ": "members: 2 ",
    "width: 16 ": "width: 4 ",
    "depth: 3 ": "depth: 1 ",
    "dropout: {min: 0.0, max: 0.5, log: false}": "width: [4, 6]",
    "max_trials: 5": "max_trials: 2",
    "epochs: 4 ": "epochs: 1 ",
    "epochs: 28 ": "epochs: 2 ",
    "epoch_images: 2560": "epoch_images: 128",
    "bootstrap_draws: 2000": "bootstrap_draws: 200",
}


class Said(NamedTuple):
    """Standard output and error of a command."""

    out: str
    err: str


@dataclass(frozen=True)
class Project:
    """A Git and DVC repository; its MLflow database lies inside, as for a user."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a user's shell would have, without DVC's and MLflow's settings of this machine."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_"))}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        cache = {"DVC_SITE_CACHE_DIR": str(self.root.parent / "site"), "DVC_NO_ANALYTICS": "1"}
        return kept | cache | {"PATH": path, "PYTHONPATH": str(self.root / "src")}

    def run(self, *command: str, code: int = 0, **environment: str) -> str:
        """Run a command in the project; gives standard output and error together."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def call(self, *arguments: str, code: int = 0, **environment: str) -> Said:
        """`pneumonia` in this process: one of its own would import TensorFlow for seconds."""
        with (
            tempfile.TemporaryFile("w+") as out,  # files, since processes of ours write there too
            tempfile.TemporaryFile("w+") as err,
            contextlib.chdir(self.root),
            patch.dict(os.environ, self.environment | environment, clear=True),
            patch.object(sys, "argv", ["pneumonia", *arguments]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            with pytest.raises(SystemExit) as ended:
                app()
            for file in (out, err):
                file.seek(0)
            said = Said(out.read(), err.read())
        assert ended.value.code == code, said
        return said

    def name_author(self) -> None:
        """Let Git commit here: on a fresh machine it knows nobody."""
        self.run("git", "config", "user.email", "test@example.org")
        self.run("git", "config", "user.name", "Test")

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    @property
    def database(self) -> str:
        return f"sqlite:///{self.root / 'mlflow.db'}"


def change_params(root: Path, changes: dict[str, str]) -> None:
    """Replace texts of params.yaml, each of which must be there."""
    params = (root / "params.yaml").read_text()
    for old, new in changes.items():
        assert old in params, old
        params = params.replace(old, new)
    (root / "params.yaml").write_text(params)


def clone_project(folder: Path) -> Project:
    """Copy what Git knows of this checkout, shrink its parameters, and commit it."""
    root = folder / "project"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if Path(name).is_file() and not name.startswith(("metrics/", "plots/")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(name, root / name)
    change_params(root, SMALL)
    phantom = root / "data/phantom/dvc.yaml"
    phantom.write_text(phantom.read_text().replace("--images 600", "--images 90"))
    for lock in (root / "dvc.lock", root / "data/phantom/dvc.lock"):
        lock.unlink(missing_ok=True)
    project = Project(root)
    project.run("git", "init", "-q", "-b", "main")
    project.name_author()
    project.run("git", "add", "-A")
    project.run("git", "commit", "-q", "-m", "Begin")
    return project
