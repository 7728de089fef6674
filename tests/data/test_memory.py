"""The pixels of all images are never in memory together."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pneumonia.data.store import load_manifest

IMAGES = 20_000
LIMIT = 2**19  # KiB
# getrusage would count the memory of the process that started it, from before it was its own
RUN_AND_TELL = """
import atexit, pathlib, runpy, sys
status = pathlib.Path("/proc/self/status")
lines = lambda: [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
atexit.register(lambda: print(*lines()))
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
SIZE = 176  # pixels: all images together take 620 MB


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


def test_twenty_thousand_images_take_less_than_their_pixels(folder: Path) -> None:
    write_images(folder / "set")
    params = folder / "params.yaml"
    text = Path("params.yaml").read_text()
    assert "image_size: 96" in text
    params.write_text(text.replace("image_size: 96", f"image_size: {SIZE}"))
    out = folder / "out"
    command = ["stages/split.py", str(folder / "set"), "--output", str(out)]
    command += ["--metrics", str(out / "m.json"), "--picture", str(out / "p.png")]
    command = [sys.executable, "-c", RUN_AND_TELL, *command, "--params", str(params)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    peak = int(said.split()[-2])
    told = f"peak: {peak // 1024} MiB\n"
    sys.stdout.write(told)
    assert peak < LIMIT, told
    manifest = load_manifest(out / "manifest.csv")
    assert (manifest["split"] != "").sum() == IMAGES
    assert manifest.groupby("group")["split"].nunique().max() == 1
