"""The data at a glance: who is where, what images are like, what was left out, what gives away."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pneumonia.data.shortcuts import FEATURES
from pneumonia.files import atomic

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # Okabe and Ito
CLASSES = {"no_pneumonia": BLUE, "pneumonia": ORANGE}
MOST = 12  # images of a patient, from which patients are counted together
SHOWN = 8  # reasons


def draw_datasheet(figures: dict[str, Any], table: pd.DataFrame, path: Path) -> None:
    """Six panels as PNG, from the figures of metrics/data.json and the split table behind them."""
    used = table[table["split"] != ""]
    warnings = [line for text in figures["warnings"] for line in textwrap.wrap(f"! {text}", 175)]
    figure = Figure(figsize=(14, 8.6 + 0.22 * len(warnings)), layout="constrained")
    axes = figure.subplots(2, 3).ravel()
    draw_parts(axes[0], figures["parts"])
    draw_patients(axes[1], used)
    draw_sizes(axes[2], used)
    draw_brightness(axes[3], used)
    draw_left_out(axes[4], figures)
    draw_shortcuts(axes[5], figures["shortcuts"])
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    simulated = " (simulated, not clinical)" if figures["simulated"] else ""
    figure.suptitle(
        f"{figures['name']}{simulated}: {figures['used']:,} of {figures['files']:,} images used, "
        f"{figures['patients']:,} patients",
        fontsize=14,
    )
    if warnings:
        figure.supxlabel("\n".join(warnings), fontsize=10, color="#A00000", ha="left", x=0.01)
    with atomic(path) as partial:
        figure.savefig(partial, dpi=100, metadata={"Software": None})


def draw_parts(axes: Axes, parts: dict[str, dict[str, int]]) -> None:
    """Stacked bars of the images of each class, with the patients above."""
    bottom = np.zeros(len(parts))
    for label, colour in CLASSES.items():
        counts = [part[label] for part in parts.values()]
        name = label.replace("_", " ")
        bars = axes.bar(list(parts), counts, bottom=bottom, color=colour, label=name)
        axes.bar_label(bars, [f"{count:,}" for count in counts], label_type="center", color="white")
        bottom += counts
    for place, part in enumerate(parts.values()):
        text = f"{part['patients']:,} patients"
        axes.annotate(text, (place, bottom[place]), ha="center", va="bottom")
    axes.set(ylabel="images", title="Images by part and class")
    axes.margins(y=0.12)
    axes.legend(frameon=False)


def draw_patients(axes: Axes, used: pd.DataFrame) -> None:
    """How many patients have one image, two, and so on."""
    images = used.groupby("group").size().clip(upper=MOST)
    counts = images.value_counts().reindex(range(1, int(images.max()) + 1), fill_value=0)
    bars = axes.bar(counts.index, counts, color=GREEN)
    axes.bar_label(bars, [f"{count:,}" if count else "" for count in counts], fontsize=8)
    axes.margins(y=0.1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    beyond = f" ({MOST}: or more)" if images.max() == MOST else ""
    axes.set(xlabel=f"images of a patient{beyond}", ylabel="patients")
    axes.set_title("Images per patient, in all parts")


def draw_sizes(axes: Axes, used: pd.DataFrame) -> None:
    """Width and height of the files' images; the larger the mark, the more there are."""
    for label, (name, colour) in enumerate(CLASSES.items()):
        sizes = used[used["label"] == label].groupby(["width", "height"]).size().reset_index()
        width, height, count = (sizes[column].to_numpy("float64") for column in sizes)
        axes.scatter(
            width, height, s=12 + 300 * count / len(used), color=colour, alpha=0.4,
            label=name.replace("_", " "), marker="os"[label],
        )  # fmt: skip
    axes.margins(0.1)
    axes.set(xlabel="width (pixels)", ylabel="height (pixels)", title="Sizes of the files' images")
    legend = axes.legend(frameon=False)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set(sizes=[30])


def draw_brightness(axes: Axes, used: pd.DataFrame) -> None:
    """Distribution of the images' mean grey value, and of that of their border, by class."""
    bins = np.linspace(0, 255, 52)
    for column, style in (("brightness", "-"), ("border", ":")):
        for label, (name, colour) in enumerate(CLASSES.items()):
            values = used.loc[used["label"] == label, column].to_numpy("float64")
            shares = np.histogram(values, bins)[0] / max(len(values), 1)
            where = "border" if column == "border" else "image"
            name = f"{where}, {name.replace('_', ' ')}"
            axes.stairs(100 * shares, bins, color=colour, ls=style, label=name)
    axes.set(xlabel="mean grey value (0 to 255)", ylabel="images of the class (%)")
    axes.set_title("Brightness")
    axes.margins(y=0.35)
    axes.legend(frameon=False, fontsize=8)


def draw_left_out(axes: Axes, figures: dict[str, Any]) -> None:
    """How many files were left out for each reason, and how many copies were found."""
    rows = {
        **dict(list(figures["reasons"].items())[:SHOWN]),
        "kept: equal copies": figures["duplicates"],
        "kept: near copies": figures["near_copies"]["files"],
        "kept: neighbouring slices, joined": figures["joined_slices"],
        "kept: patients joined by copies": figures["joined_patients"],
    }
    names = [textwrap.fill(name, 26) for name in rows]
    colours = ["0.6" if name.startswith("kept") else ORANGE for name in rows]
    bars = axes.barh(names, list(rows.values()), color=colours)
    axes.bar_label(bars, [f"{count:,}" for count in rows.values()], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlim(0, max(1, *rows.values()) * 1.15)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.set(xlabel="files (patients in the last row)")
    axes.set_title(f"Left out: {figures['left_out']:,} files. Copies, each on one side")


def draw_shortcuts(axes: Axes, shortcuts: dict[str, Any]) -> None:
    """AUC of what is no picture for the label, and for train against test."""
    names = ["all, cross-validated", *(f"{name} alone" for name in FEATURES)]
    places = np.arange(len(names))
    for offset, (key, colour, marker) in enumerate((("label", BLUE, "o"), ("split", ORANGE, "s"))):
        found = shortcuts[key]
        if found["auc"] is None:
            axes.plot([], [], marker, color=colour, label=f"{key}: {found['reason']}")
            continue
        values = [found["auc"], *(feature["auc"] for feature in found["features"])]
        what = "the label" if key == "label" else "train from test"
        y = places + 0.2 * offset - 0.1
        axes.plot(values, y, marker, color=colour, ms=6, label=f"tells {what}")
        axes.plot([found["low"], found["high"]], [y[0]] * 2, color=colour, lw=2)
    axes.axvline(shortcuts["bound"], color="0.4", ls="--", lw=1, label="warning")
    axes.axvline(0.5, color="0.7", ls=":", lw=1, label="chance")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlim(0.3, 1.01)
    axes.set(xlabel="AUC (line: 95 % interval)", title="Told without looking at the picture")
    axes.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))
