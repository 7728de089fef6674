"""Git as a command: what it answers, or nothing where it fails."""

import subprocess
from pathlib import Path


def run_git(*arguments: str, folder: Path = Path()) -> bytes | None:
    """Standard output of a Git command in a folder; None where it fails."""
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    return None if done.returncode else done.stdout
