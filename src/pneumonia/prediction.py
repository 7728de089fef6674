"""Predictions for image files: decoded like the training images, judged at the fixed threshold."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pneumonia.data.decode import DecodeError, decode_file, looks_like_dicom, quiet
from pneumonia.errors import InputError
from pneumonia.files import read_json

LABELS = {0: "no pneumonia", 1: "pneumonia"}
COLUMNS: Sequence[str] = ("file", "probability", "label", "name")


def predict_files(paths: list[Path], models: Path) -> list[dict[str, Any]]:
    """One row a file: file, probability of pneumonia, label (0 | 1) and its name.

    Files are decoded as decision.json says that the training images were; with `frames: all`
    there is a row for each frame of a DICOM file: FILE#1, FILE#2 ... Raises InputError where the
    model or a file is missing or unreadable, naming it.
    """
    decision = read_json(models / "decision.json")
    with quiet():
        decoded = [pair for path in paths for pair in _decode(path, decision)]
    images = np.stack([image for _, image in decoded])
    from pneumonia.evaluation.decision import apply_temperature
    from pneumonia.evaluation.predictor import predict_model

    raw = predict_model(models / "model.keras", images)
    probabilities = apply_temperature(raw, decision["temperature"])
    labels = (probabilities >= decision["threshold"]).astype(int)
    return [
        {"file": name, "probability": float(p), "label": int(label), "name": LABELS[label]}
        for (name, _), p, label in zip(decoded, probabilities, labels, strict=True)
    ]


def _decode(path: Path, decision: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    """Each image of a file with its name."""
    size, keep_aspect = decision["image_size"], decision["keep_aspect"]
    window = decision.get("ct_window")
    try:
        frames = [(str(path), 0)]
        if looks_like_dicom(path):
            from pneumonia.data.dicom import list_frames

            frames = list_frames(path, decision.get("frames", "first"))
        return [
            (name, decode_file(path, size, keep_aspect=keep_aspect, frame=frame, ct_window=window))
            for name, frame in frames
        ]
    except DecodeError as error:
        raise InputError(f"{path}: {error}; give a PNG, JPEG or DICOM image") from None
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give an image file") from None


def show_predictions(rows: list[dict[str, Any]], form: str) -> None:
    """Write rows to standard output: json, csv, or a table."""
    if form == "json":
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _print_table(rows)


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("file", "P(pneumonia)", "label")
    for row in rows:
        table.add_row(row["file"], f"{row['probability']:.3f}", f"{row['label']} {row['name']}")
    Console().print(table)
