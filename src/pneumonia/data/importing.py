"""Bringing a folder of images under data/raw, whole or not at all, tracked by DVC."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from pneumonia.data.decode import SUFFIXES
from pneumonia.data.sources import find_class_folders
from pneumonia.errors import InputError
from pneumonia.files import hash_file
from pneumonia.progress import track


def import_folder(name: str, path: Path, raw: Path, *, link: bool, replace: bool) -> str:
    """Copy (or hard-link) the images below `path` to `raw`/`name`; returns a summary.

    Repeating it changes nothing. Raises InputError where the folder is no data set, or a set of
    that name with other files is there and `replace` is false.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name == "phantom":
        raise InputError(f"{name!r} cannot name a data set: use letters, digits, '.', '_', '-'")
    files = list_images(path)
    target = raw / name
    if target.exists():
        if same_files(files, path, target):
            track_with_dvc(target)
            return f"{target} holds these {len(files)} images already"
        if not replace:
            raise InputError(f"{target} holds other files: choose another name or pass --replace")
    copy_files(files, path, target, link=link)
    track_with_dvc(target)
    counts = {f: sum(file.parent == f for file in files) for f in {file.parent for file in files}}
    lines = [f"{folder.as_posix()}: {count} images" for folder, count in sorted(counts.items())]
    return "\n".join(
        [*lines, f"{len(files)} images in {target}; run `dvc exp run -S data.name={name}`"]
    )


def list_images(root: Path) -> list[Path]:
    """The image files below the class folders of `root`, relative to it, sorted."""
    files = [
        path.relative_to(root)
        for folder, _ in find_class_folders(root)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    ]
    if not files:
        raise InputError(f"{root} holds no images: put them into CLASS/FILE or SPLIT/CLASS/FILE")
    return sorted(files)


def same_files(files: list[Path], source: Path, target: Path) -> bool:
    """Whether `target` holds just these files with the same bytes."""
    there = sorted(path.relative_to(target) for path in target.rglob("*") if path.is_file())
    return there == files and all(
        hash_file(source / file) == hash_file(target / file) for file in files
    )


def copy_files(files: list[Path], source: Path, target: Path, *, link: bool) -> None:
    """Copy to a temporary name beside `target`, then rename."""
    partial = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        for file in track(files, "import", total=len(files)):
            (partial / file).parent.mkdir(parents=True, exist_ok=True)
            if link:
                os.link(source / file, partial / file)
            else:
                shutil.copyfile(source / file, partial / file)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def track_with_dvc(target: Path) -> None:
    """`dvc add`, and tell Git of the small files that it writes, as --temp and --queue need."""
    _call("dvc", "add", "--quiet", str(target))
    _call("git", "add", f"{target}.dvc", str(target.parent / ".gitignore"))


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().split("\n")[-1]
        raise InputError(f"`{' '.join(command)}` failed: {reason}")
