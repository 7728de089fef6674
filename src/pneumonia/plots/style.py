"""What all pictures share: light, colour-blind-safe (Okabe and Ito), the same bytes each time."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pneumonia.files import atomic

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#707070"
CLASS_COLOURS = (BLUE, ORANGE)
NAMES = ("no pneumonia", "pneumonia")
DPI, COLOURS = 110, 128  # a palette makes files four times smaller, and looks the same
STYLE: Any = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "text.parse_math": False,  # names of files and columns may hold dollar signs
}


@contextmanager
def open_figure(
    path: Path, size: tuple[float, float], colours: int | None = COLOURS
) -> Iterator[Figure]:
    """A new figure, `size` in inches; written as PNG if the block succeeds, with
    a palette of `colours`, or with all of them."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        yield figure
        pixels = io.BytesIO()
        figure.savefig(pixels, format="png", dpi=DPI)
    with atomic(path) as partial, Image.open(pixels) as image:
        plain = image.convert("RGB")
        if colours:
            plain = plain.quantize(colours, dither=Image.Dither.NONE)
        plain.save(partial, optimize=True)


def say_nothing(axes: Axes, title: str, reason: str) -> Axes:
    """An empty picture that says why there is nothing to draw."""
    axes.text(0.5, 0.5, reason, ha="center", va="center", wrap=True, transform=axes.transAxes)
    axes.set_title(title)
    axes.set_axis_off()
    return axes
