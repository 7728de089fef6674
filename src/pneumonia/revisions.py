"""Results of earlier revisions: of Git commits and DVC experiments, read without a checkout."""

import re
from pathlib import Path

from pneumonia.errors import InputError
from pneumonia.git import run_git

WORKSPACE = "workspace"


def find_commit(revision: str) -> str | None:
    """The commit of a Git revision or of a DVC experiment's name; None where there is none.

    Raises InputError where several experiments have the name.
    """
    found = run_git(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    if found is not None:
        return found.decode().strip()
    listed = (
        run_git("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps") or b""
    ).decode()
    pattern = rf"^refs/exps/[0-9a-f]{{2}}/[0-9a-f]{{38}}/{re.escape(revision)} ([0-9a-f]{{40}})$"
    commits = re.findall(pattern, listed, re.MULTILINE)
    if len(commits) > 1:
        raise InputError(
            f"{revision} names {len(commits)} experiments: give one of {', '.join(commits)}"
        )
    return commits[0] if commits else None


def require_commit(revision: str) -> str:
    """As `find_commit`; InputError where there is none."""
    commit = find_commit(revision)
    if commit is None:
        raise InputError(
            f"{revision} is no Git revision and no DVC experiment here: see `git log` and "
            "`dvc exp show`"
        )
    return commit


def read_tracked(commit: str, path: Path) -> bytes | None:
    """A file as Git has it in a commit; None where it is not there."""
    return run_git("show", f"{commit}:./{path.as_posix()}")


def fetch_outputs(commit: str, wanted: list[Path], folder: Path) -> list[Path]:
    """Copy DVC's outputs of a commit out of cache or remote into `folder`; the paths written.

    An output that the commit doesn't know is left out. Raises InputError where one is lost.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    files = DVCFileSystem(".", rev=commit)
    written = []
    for path in wanted:
        if not files.exists(path.as_posix()):
            continue
        target = folder / path.name
        try:
            files.get_file(path.as_posix(), str(target))
        except (DvcException, OSError):
            raise InputError(
                f"{path} of {commit[:10]} is neither in DVC's cache nor in a remote: get it with "
                f"`dvc fetch --all-commits`, or run the pipeline at that revision"
            ) from None
        written.append(target)
    return written
