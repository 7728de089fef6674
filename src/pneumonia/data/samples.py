"""A few images of each part to look at; patients' images, so it stays out of Git and MLflow."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pneumonia.data.dealing import hash_text
from pneumonia.data.store import PARTS, Scratch
from pneumonia.files import atomic

COLUMNS = 10
TILE = 112  # pixels
NAMES = ("no pneumonia", "pneumonia")


def draw_samples(path: Path, images: Scratch, table: pd.DataFrame) -> None:
    """A PNG of ten images by part and label, each of another patient, as the network gets them."""
    strips, titles = [], []
    for part in PARTS:
        for label, name in enumerate(NAMES):
            rows = table[(table["split"] == part) & (table["label"] == label)]
            rows = rows.drop_duplicates("group")
            order = sorted(rows.index, key=lambda row: hash_text(0, table["path"][row]))
            strips.append(make_strip(images.read(order[:COLUMNS])))
            titles.append(f"{part}\n{name}\n{len(rows)} patients")
    picture = np.vstack(strips)
    figure = Figure(figsize=(12, 7), layout="constrained")
    axes = figure.subplots()
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="none")
    axes.set_yticks((np.arange(len(titles)) + 0.5) * TILE, titles, fontsize=9)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("Samples, cut to the network's square. Patients' images: not for Git or the web")
    with atomic(path) as partial:
        figure.savefig(partial, dpi=110, metadata={"Software": None})


def make_strip(images: np.ndarray) -> np.ndarray:
    """Images uint8 (N, H, W) in a row of ten, white where there are fewer: (TILE, 10 TILE)."""
    strip = np.full((TILE, COLUMNS * TILE), 255, "uint8")
    for place, image in enumerate(images):
        left = place * TILE
        strip[1:-1, left + 1 : left + TILE - 1] = cv2.resize(
            image, (TILE - 2, TILE - 2), interpolation=cv2.INTER_AREA
        )
    return strip
