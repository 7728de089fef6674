"""Images with heat laid over them."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STRONGEST = 0.65  # opacity of the most heat: the image stays visible below
FULL = 6.0  # logits: heat is drawn on this scale, so that little heat looks like little


def draw_heat(axes: Axes, image: np.ndarray, heat: np.ndarray | None, title: str) -> Axes:
    """An image uint8 (H, W); over it heat in logits, float (H, W), if given."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=255)
    if heat is not None:
        share = heat / max(FULL, heat.max())
        colours = colormaps["inferno"](share)
        colours[..., 3] = STRONGEST * share
        axes.imshow(colours)
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
    return axes


def draw_pair(figure: Figure, image: np.ndarray, heat: np.ndarray, title: str) -> Figure:
    """The image alone and, beside it, with its heat."""
    left, right = figure.subplots(1, 2)
    draw_heat(left, image, None, "as the model sees it")
    draw_heat(right, image, heat, "what speaks for pneumonia")
    figure.suptitle(title, fontsize=11)
    return figure


def draw_rows(figure: Figure, rows: dict[str, list[tuple[np.ndarray, np.ndarray, str]]]) -> Figure:
    """Rows of cases (image, heat, title), each as the image and below it with its heat."""
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, (name, cases) in zip(parts, rows.items(), strict=True):
        part.suptitle(name if cases else f"{name}: none", fontsize=12)
        if cases:
            axes = part.subplots(2, max(len(cases), 4))
            for axis in axes.flat:
                axis.set_axis_off()
            for column, (image, heat, title) in enumerate(cases):
                draw_heat(axes[0, column], image, None, title)
                draw_heat(axes[1, column], image, heat, "")
    return figure
