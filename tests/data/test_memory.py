"""Memory stays under one GiB however many images there are."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumonia.data.store import load_manifest

IMAGES = 50_000
LIMIT = 2**20  # KiB
SIZE = 112  # pixels: all images together take 627 MB, and as much again on their way


def write_images(root: Path) -> None:
    """Pictures of noise, every one different, four of each patient."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (IMAGES, 16, 16), dtype=np.uint8)
    for name in ("NORMAL", "PNEUMONIA"):
        (root / name).mkdir(parents=True)
    for number, image in enumerate(pixels):
        name = "PNEUMONIA" if number // 4 % 2 else "NORMAL"
        cv2.imwrite(str(root / name / f"patient{number // 4:05d}_{number % 4}.png"), image)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone at once: pytest would keep more than a gigabyte of three test runs."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_fifty_thousand_images_take_less_than_one_gib(folder: Path) -> None:
    write_images(folder / "set")
    params = folder / "params.yaml"
    text = Path("params.yaml").read_text()
    assert "image_size: 96" in text
    params.write_text(text.replace("image_size: 96", f"image_size: {SIZE}"))
    out = folder / "out"
    command = [sys.executable, "stages/split.py", str(folder / "set"), "--output", str(out)]
    command += ["--metrics", str(out / "m.json"), "--picture", str(out / "p.png")]
    process = subprocess.Popen([*command, "--params", str(params)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss < LIMIT, f"{usage.ru_maxrss // 1024} MiB"
    manifest = load_manifest(out / "manifest.csv")
    assert (manifest["split"] != "").sum() == IMAGES
    assert manifest.groupby("group")["split"].nunique().max() == 1
