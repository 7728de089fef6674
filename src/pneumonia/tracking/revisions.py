"""What Git and DVC hold: experiments and commits, and the result that each of them carries."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pneumonia.git import run_git
from pneumonia.provenance import hash_path
from pneumonia.revisions import read_tracked
from pneumonia.tracking.result import ResultFiles

FILES = ResultFiles()
LOCK, PARAMS = Path("dvc.lock"), Path("params.yaml")


@dataclass(frozen=True)
class Revision:
    """A DVC experiment (with its name and the commit it began at) or, without name, a commit."""

    commit: str
    experiment: str | None = None
    baseline: str = ""

    @property
    def label(self) -> str:
        """What people call it: the experiment's name or the commit's first characters."""
        return self.experiment or self.commit[:9]

    @property
    def way_back(self) -> str:
        """The command that brings this result into the workspace."""
        if self.experiment:
            return f"dvc exp apply {self.experiment}"
        return f"git checkout {self.label} && dvc checkout"


def list_experiments() -> list[Revision]:
    """DVC's experiments in this clone, whatever commit they began at."""
    listed = run_git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps") or b""
    found = []
    for line in listed.decode().splitlines():
        commit, _, ref = line.partition(" ")
        parts = ref.split("/")  # refs/exps/BASELINE[:2]/BASELINE[2:]/NAME
        if len(parts) >= 5 and len(parts[2]) == 2 and len(parts[3]) == 38:
            found.append(Revision(commit, "/".join(parts[4:]), parts[2] + parts[3]))
    return found


def list_commits() -> list[Revision]:
    """Commits on branches and tags, oldest first, that changed a result."""
    evaluation = FILES.evaluation.as_posix()
    arguments = ("log", "--reverse", "--branches", "--tags", "--format=%H", "--", evaluation)
    return [Revision(commit) for commit in (run_git(*arguments) or b"").decode().split()]


def read_at(revision: Revision, path: Path) -> bytes | None:
    """A file that Git holds at a revision; None where there is none."""
    return read_tracked(revision.commit, path)


def hash_evaluation(revision: Revision) -> str | None:
    """SHA-256 of a revision's evaluation, which names the model: the link to its MLflow run."""
    content = read_at(revision, FILES.evaluation)
    return hashlib.sha256(content).hexdigest() if content else None


def read_parameters(revision: Revision) -> dict[str, Any]:
    """params.yaml at a revision, as it stands there: older ones may have other keys."""
    content = YAML(typ="safe").load((read_at(revision, PARAMS) or b"{}").decode())
    return content if isinstance(content, dict) else {}


def find_parameter(parameters: dict[str, Any], key: str) -> Any:
    """A section, or with dots a value in it; None where there is none."""
    found: Any = parameters
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


@contextmanager
def fetch_result(revision: Revision) -> Iterator[tuple[Path, ResultFiles]]:
    """A temporary folder with a revision's result, from Git, DVC's cache or its remote.

    Raises OSError or DvcException where a file is in none of them.
    """
    from dvc.api import DVCFileSystem

    source = DVCFileSystem(url=str(Path.cwd()), rev=revision.commit)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path in (*vars(FILES).values(), LOCK, PARAMS):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            source.get(path.as_posix(), str(root / path), recursive=path == FILES.plots)
        yield root, FILES.under(root)


def find_mismatch(root: Path) -> str | None:
    """What in a folder is not the result that dvc.lock tells of: a file or a key; None if all is.

    After an interruption, or a change of params.yaml without a run, files of two results may lie
    side by side.
    """
    try:
        lock, parameters = (YAML(typ="safe").load(root / path) for path in (LOCK, PARAMS))
    except FileNotFoundError as error:
        return Path(error.filename).name
    for stage in lock.get("stages", {}).values():
        for key, value in stage.get("params", {}).get(PARAMS.as_posix(), {}).items():
            if find_parameter(parameters, key) != value:
                return f"{key} in {PARAMS}"
        for out in stage.get("outs", []):
            path = root / out["path"]
            if path not in vars(FILES.under(root)).values():
                continue
            if not path.is_file() or hash_path(path) != out["md5"]:
                return out["path"]
    return None
