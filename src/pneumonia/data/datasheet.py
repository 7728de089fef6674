"""The data at a glance: images by part and class, and what was left out."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pneumonia.files import atomic

COLOURS = {"no_pneumonia": "#0072B2", "pneumonia": "#D55E00"}  # Okabe and Ito


def draw_counts(figures: dict[str, Any], path: Path) -> None:
    """Stacked bars of the images in each part, from the figures of metrics/data.json, as PNG."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    parts = figures["parts"]
    bottom = dict.fromkeys(parts, 0)
    for label, colour in COLOURS.items():
        counts = [counts[label] for counts in parts.values()]
        bars = axes.bar(
            list(parts), counts, bottom=list(bottom.values()), color=colour,
            label=label.replace("_", " "),
        )  # fmt: skip
        axes.bar_label(bars, label_type="center", color="white")
        bottom = {part: bottom[part] + parts[part][label] for part in parts}
    for position, part in enumerate(parts):
        text = f"{parts[part]['patients']} patients"
        axes.annotate(text, (position, bottom[part]), ha="center", va="bottom")
    axes.set_ylabel("images")
    axes.margins(y=0.12)
    axes.legend(frameon=False)
    axes.set_title(f"{figures['name']}: {figures['used']} images used, {figures['left_out']} not")
    with atomic(path) as partial:
        figure.savefig(partial, dpi=110, metadata={"Software": None})
