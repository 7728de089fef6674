"""A file is whole or not there, after an error, a kill and a power cut."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pneumonia.files import atomic, write_text


def test_content_is_on_the_disk_before_its_name_and_the_name_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut may find: the old file until all of the new one is safe."""
    target, flush, seen = tmp_path / "file", os.fsync, []
    target.write_text("old")

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append((path, path.read_text() if path.is_file() else "", target.read_text()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    write_text(target, "new")
    (partial, content, before), folder = seen
    assert partial.parent == tmp_path
    assert partial != target
    assert (content, before) == ("new", "old")
    assert folder == (tmp_path, "", "new")


def write_half(target: Path) -> None:
    with atomic(target) as partial:
        partial.write_text("half")
        raise ZeroDivisionError


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "old")
    with pytest.raises(ZeroDivisionError):
        write_half(tmp_path / "file")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_what_a_killed_process_left_is_swept_and_a_living_one_kept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    (tmp_path / f".{ended.pid}-file").write_text("half")
    living = tmp_path / f".{os.getppid()}-file"
    living.write_text("half")
    write_text(tmp_path / "file", "new")
    assert sorted(tmp_path.iterdir()) == sorted([living, tmp_path / "file"])
