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

LABELS = {0: "no pneumonia", 1: "pneumonia"}
COLUMNS: Sequence[str] = ("file", "probability", "label", "name", "atypical")


def predict_files(paths: list[Path], models: Path) -> list[dict[str, Any]]:
    """One row a file: file, probability of pneumonia, label (0 | 1), its name, whether atypical.

    An atypical image is unlike those that the model was trained on: do not rely on its label.
    Files are decoded as decision.json says that the training images were; with `frames: all`
    there is a row for each frame of a DICOM file: FILE#1, FILE#2 ... Raises InputError where the
    model or a file is missing or unreadable, naming it.
    """
    from pneumonia.evaluation.calibration import apply_calibration
    from pneumonia.evaluation.decision import read_decision
    from pneumonia.evaluation.typicality import load_typicality

    decision = read_decision(models / "decision.json")
    names, images = decode_images(paths, decision)
    from pneumonia.evaluation.predictor import add_features, predict_with_features
    from pneumonia.model import load_model

    network = load_model(models / "model.keras")
    typicality = load_typicality(models / "typicality.npy")
    raw, features = predict_with_features(add_features(network), images)
    atypical = typicality.is_atypical(features)
    probabilities = apply_calibration(raw, decision["calibration"])
    labels = (probabilities >= decision["threshold"]).astype(int)
    return [
        {
            "file": name,
            "probability": float(p),
            "label": int(label),
            "name": LABELS[label],
            "atypical": bool(far),
        }
        for name, p, label, far in zip(names, probabilities, labels, atypical, strict=True)
    ]


def decode_images(paths: list[Path], decision: dict[str, Any]) -> tuple[list[str], np.ndarray]:
    """Names, one a frame, and images uint8 (N, S, S), decoded as decision.json says.

    Raises InputError where a file is missing or unreadable, naming it.
    """
    with quiet():
        decoded = [pair for path in paths for pair in _decode(path, decision)]
    return [name for name, _ in decoded], np.stack([image for _, image in decoded])


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
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give an image file") from None


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

    table = Table("file", "P(pneumonia)", "label", "like the training images")
    table.columns[0].overflow = "fold"  # names often differ at their ends alone
    for row in rows:
        like = "no: do not rely on the label" if row["atypical"] else "yes"
        label = f"{row['label']} {row['name']}"
        table.add_row(row["file"], f"{row['probability']:.3f}", label, like)
    Console(markup=False, highlight=False).print(table)
