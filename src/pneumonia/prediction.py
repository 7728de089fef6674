"""Predictions for image files: decoded like the training images, judged at the fixed threshold."""

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pneumonia.data.decode import DecodeError, decode_file
from pneumonia.errors import InputError

LABELS = {0: "no pneumonia", 1: "pneumonia"}
COLUMNS: Sequence[str] = ("file", "probability", "label", "name")


def predict_files(paths: list[Path], models: Path) -> list[dict[str, Any]]:
    """One row a file: file, probability of pneumonia, label (0 | 1) and its name.

    Raises InputError where the model or a file is missing or unreadable, naming it.
    """
    from pneumonia.evaluation.calibration import apply_calibration
    from pneumonia.evaluation.decision import read_decision

    decision = read_decision(models / "decision.json")
    images = np.stack([_decode(path, decision) for path in paths])
    from pneumonia.evaluation.predictor import predict_model

    raw = predict_model(models / "model.keras", images)
    probabilities = apply_calibration(raw, decision["calibration"])
    labels = (probabilities >= decision["threshold"]).astype(int)
    return [
        {"file": str(path), "probability": float(p), "label": int(label), "name": LABELS[label]}
        for path, p, label in zip(paths, probabilities, labels, strict=True)
    ]


def _decode(path: Path, decision: dict[str, Any]) -> np.ndarray:
    try:
        return decode_file(path, decision["image_size"], keep_aspect=decision["keep_aspect"])
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
