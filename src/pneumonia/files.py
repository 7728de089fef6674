"""Writing results whole or not at all: to a temporary name first, then renamed."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pneumonia.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the same suffix; renamed to `path` if the block succeeds.

    The content is on the disk before the new name is, so that a power cut leaves no empty file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path)
    partial = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield partial
        _flush(partial)
        partial.replace(path)
        _flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_stale(path: Path) -> None:
    """Remove what killed processes left half-written beside `path` (see `atomic`)."""
    import psutil

    for left in path.parent.glob(f".*-{path.name}"):
        pid = left.name[1:].split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            left.unlink(missing_ok=True)


def find_root(environ: Mapping[str, str]) -> Path:
    """The repository that owns the experiment, also for `dvc exp run --temp` and `--queue`."""
    return Path(environ.get("DVC_ROOT") or Path.cwd()).resolve()


@contextmanager
def own_work(folder: Path) -> Iterator[Path]:
    """Be the only process that works in a folder; it is deleted if the block succeeds.

    What a killed process left there is found again. A stage whose `dvc` was killed may still run:
    the next one waits for it.
    """
    import filelock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        yield folder
        if folder.exists():  # renamed first: a folder half deleted must not look like work
            gone = folder.with_name(f".{folder.name}")
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)
            shutil.rmtree(gone)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with atomic(path) as partial:
        partial.write_bytes(text.encode())


def write_json(path: Path, data: Any) -> None:
    """Write JSON with sorted keys; NaN is refused (say null and why instead)."""
    write_text(path, json.dumps(data, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_csv(path: Path, frame: "pd.DataFrame") -> None:
    """Write a table without its index, floats to nine significant digits."""
    write_text(path, frame.to_csv(index=False, float_format="%.9g", lineterminator="\n"))


def read_json(path: Path) -> Any:
    """Read JSON. Raises InputError where the file is missing or is no JSON."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(
            f"{path} does not exist: in the project's folder, run `dvc repro` or `dvc pull`"
        ) from None
    except ValueError:
        raise InputError(f"{path} is not JSON: delete it and run `dvc repro`") from None


def hash_work(inputs: list[Path | None], *settings: Any) -> str:
    """A short key of files (or all in folders), settings and our code: same key, same work.

    What is None or missing is left out.
    """
    below = [path for start in inputs if start for path in (start, *sorted(start.rglob("*")))]
    files = [path for path in below if path.is_file()]
    files += sorted(Path(__file__).parent.rglob("*.py"))
    digest = hashlib.sha256("".join(hash_file(path) for path in files).encode())
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
