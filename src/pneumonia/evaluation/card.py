"""The model card: what the model is for, how it was tested, what it cannot do."""

from pathlib import Path
from typing import Any

from pneumonia.files import write_text

ROWS = (
    "auc", "average_precision", "accuracy", "balanced_accuracy", "sensitivity", "specificity",
    "ppv", "npv", "f1", "mcc", "brier", "ece", "loss",
)  # fmt: skip
TEXT = """# Model card

A convolutional network, trained from scratch, that gives the probability of pneumonia in a chest
image (0 = no pneumonia, 1 = pneumonia). Made for research on how such models hold up; not a
medical device and not to be used for the care of patients.

- Data: `{data}`{note}
- Test part: {images} images of {patients} patients, prevalence {prevalence:.3f}; no patient and no
  picture is in training or validation as well.
- Threshold {threshold:.4f} on probabilities (calibration: {calibration}), both fixed on validation
  images before the test part was opened.
- Model file: sha256 `{model_sha256}`

| figure on the test part | value | {confidence:.0%} interval (bootstrap over patients) |
| --- | --- | --- |
{rows}

Limits: images of other hospitals, scanners and ages may give worse results; a threshold may not
travel to another prevalence or exposure. Measure both on own images first.
"""


def write_card(path: Path, figures: dict[str, Any], confidence: float) -> None:
    """Write the card as Markdown from the figures of metrics/evaluate.json."""
    note = f" ({figures['note']})" if "note" in figures else ""
    rows = "\n".join(_row(name, figures) for name in ROWS)
    facts = figures | {"note": note, "rows": rows, "confidence": confidence}
    write_text(path, TEXT.format(**facts))


def _row(name: str, figures: dict[str, Any]) -> str:
    value, low, high = (figures[name + end] for end in ("", "_low", "_high"))
    if value is None:
        return f"| {name} | none | {figures['reasons'][name]} |"
    interval = f"{low:.3f} to {high:.3f}" if None not in (low, high) else figures["reasons"][name]
    return f"| {name} | {value:.3f} | {interval} |"
