"""Bringing images under data/raw, whole or not at all, tracked by DVC."""

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pneumonia.data.archives import enter_folder, is_archive, unpack
from pneumonia.data.listing import MANIFEST, read_listing
from pneumonia.data.medmnist import unpack_npz
from pneumonia.data.sources import find_class_folders, find_images
from pneumonia.errors import InputError
from pneumonia.files import hash_file
from pneumonia.progress import track

Files = dict[Path, Path]  # path in the data set -> the file that becomes it


def import_data(name: str, path: Path, raw: Path, *, link: bool, replace: bool) -> str:
    """Copy (or hard-link) a folder, CSV, .npz, zip or tar to `raw`/`name`; returns a summary.

    Repeating it changes nothing. Raises InputError where `path` is no data set, or a set of
    that name with other files is there, or tracked without being there, and `replace` is false.
    """
    summary = place_data(name, path, raw, link=link, replace=replace)
    track_with_dvc(raw / name)
    return summary


def require_project() -> None:
    """Raises InputError outside the project's folder, before anything is copied."""
    if not Path(".dvc").is_dir():
        raise InputError(f"{Path.cwd()} is not the project's folder: go to that with dvc.yaml")


def place_data(name: str, path: Path, raw: Path, *, link: bool, replace: bool) -> str:
    """`import_data` without DVC."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name == "phantom":
        raise InputError(f"{name!r} cannot name a data set: use letters, digits, '.', '_', '-'")
    target = raw / name
    with scratch_folder(target) as scratch:
        root = open_source(path, scratch)
        files, counts = list_files(root)
        images = sum(counts.values())
        if target.exists():
            if same_files(files, target):
                return f"{target} holds these {images} images already"
            if not replace:
                raise InputError(
                    f"{target} holds other files: choose another name or pass --replace"
                )
        elif (tracked := target.with_name(f"{name}.dvc")).exists() and not replace:
            raise InputError(
                f"{tracked} is tracked, but its images are not here: run `dvc pull`, or choose "
                "another name or pass --replace"
            )
        own = scratch in root.parents
        bring = os.replace if own else os.link if link else shutil.copyfile
        copy_files(files, scratch / "new", bring)
        shutil.rmtree(target, ignore_errors=True)
        (scratch / "new").rename(target)
    lines = [f"{what}: {count} images" for what, count in sorted(counts.items())]
    return "\n".join(
        [*lines, f"{images} images in {target}; run `dvc exp run -S data.name={name}`"]
    )


@contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target` that is gone afterwards, as are those of killed processes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in target.parent.glob(f".*-{target.name}"):
        number = old.name[1:].removesuffix(f"-{target.name}")
        if number.isdigit() and not _is_running(int(number)):
            shutil.rmtree(old, ignore_errors=True)
    scratch = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        scratch.mkdir()
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def open_source(path: Path, scratch: Path) -> Path:
    """The folder, or the CSV file, of what a user names; archives are unpacked into `scratch`."""
    if path.is_dir() or (path.suffix.lower() == ".csv" and path.is_file()):
        return path
    if not path.is_file():
        raise InputError(f"{path} does not exist: name a folder, a CSV file or an archive")
    if path.suffix.lower() == ".npz":
        unpack_npz(path, scratch / "npz")
        return scratch / "npz"
    if is_archive(path):
        unpack(path, scratch / "unpacked")
        return _open_unpacked(path, scratch)
    raise InputError(f"{path} is no folder and no .csv, .npz, .zip, .tar or .tar.gz file")


def _open_unpacked(archive: Path, scratch: Path) -> Path:
    if not (scratch / "unpacked").is_dir():
        raise InputError(f"{archive} holds no files")
    root = enter_folder(scratch / "unpacked")
    inner = [file for file in root.iterdir() if file.suffix.lower() == ".npz"]
    return open_source(inner[0], scratch) if len(inner) == 1 else root


def list_files(root: Path) -> tuple[Files, Counter[str]]:
    """The files of a data set, and its images by class folder or by label."""
    table = root / MANIFEST if root.is_dir() else root
    if table.is_file():
        entries = read_listing(table)
        files = {Path(entry.path): table.parent / entry.path for entry in entries}
        return files | {Path(MANIFEST): table}, Counter(f"label {e.label}" for e in entries)
    paths = [path for folder, _ in find_class_folders(root) for path in find_images(folder)]
    if not paths:
        raise InputError(f"{root} holds no images: put them into CLASS/FILE or SPLIT/CLASS/FILE")
    files = {path.relative_to(root): path for path in paths}
    return files, Counter(path.parent.as_posix() for path in files)


def same_files(files: Files, target: Path) -> bool:
    """Whether `target` holds just these files with the same bytes."""
    there = {path.relative_to(target) for path in target.rglob("*") if path.is_file()}
    return there == files.keys() and all(
        hash_file(source) == hash_file(target / file) for file, source in files.items()
    )


def copy_files(files: Files, target: Path, bring: Callable[[Path, Path], object]) -> None:
    """Bring each file below `target`: by copying, linking or moving."""
    for file, source in track(files.items(), "import", total=len(files)):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        bring(source, target / file)


def track_with_dvc(target: Path) -> None:
    """`dvc add`, and tell Git of the small files that it writes, as --temp and --queue need."""
    _call("dvc", "add", str(target))
    _call("git", "add", f"{target}.dvc", str(target.parent / ".gitignore"))


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        told = (done.stderr or done.stdout).strip().split("\n")
        reason = next((line for line in told if line.startswith("ERROR")), told[-1])
        raise InputError(f"`{' '.join(command)}` failed ({reason}): mend it and run this again")
