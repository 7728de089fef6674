"""Where a result comes from: commit, lock file, DVC experiment."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from pneumonia.errors import InputError
from pneumonia.files import hash_file


def describe_result(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Commit, changes since, hash of dvc.lock and DVC experiment of the project in `root`.

    Raises InputError where there is no dvc.lock or no Git commit.
    """
    lock = root / "dvc.lock"
    if not lock.exists():
        raise InputError(f"{lock} does not exist: run `dvc repro` in the project's folder first")
    changed = [line[3:] for line in run_git(root, "status", "--porcelain").splitlines()]
    facts = {
        "Git commit": run_git(root, "rev-parse", "HEAD").strip(),
        "changes since that commit": ", ".join(changed[:20]) or "none",
        "dvc.lock (sha256)": hash_file(lock),
    }
    if name := environ.get("DVC_EXP_NAME"):
        facts["DVC experiment"] = name
    return facts


def run_git(root: Path, *arguments: str) -> str:
    """Standard output of a Git command in `root`. Raises InputError where it fails."""
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or "no commit").splitlines()[0]
        raise InputError(f"{root} has no Git commit to name ({reason}): commit the result first")
    return done.stdout
