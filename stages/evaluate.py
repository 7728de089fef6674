"""Measure the trained model on the test part, and log the result to its MLflow run."""

import os
from pathlib import Path

from pneumonia.errors import run
from pneumonia.params import load_params


def main(
    split: Path = Path("data/split"),
    models: Path = Path("models"),
    metrics: Path = Path("metrics/evaluate.json"),
    plots: Path = Path("plots"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write figures with intervals, curves, pictures, the decision rule and the model card."""
    settings = load_params(params)
    from pneumonia.evaluation.report import Folders, evaluate
    from pneumonia.tracking.sync import log_workspace

    data = settings.data.model_dump(include={"name", "image_size", "keep_aspect"})
    folders = Folders(split, models, metrics, plots)
    evaluate(folders, settings.evaluate, data, settings.seed)
    log_workspace(settings, os.environ, "evaluate")


if __name__ == "__main__":
    run(main)
