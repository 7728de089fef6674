"""Measure the trained model on the test part, and log the result to its MLflow run."""

import os
from pathlib import Path

from pneumonia.errors import run
from pneumonia.params import load_params

DECODING = {"name", "image_size", "keep_aspect", "ct_window", "frames"}


def main(
    split: Path = Path("data/split"),
    models: Path = Path("models"),
    metrics: Path = Path("metrics"),
    plots: Path = Path("plots"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write figures with intervals, curves, pictures, the decision rule, report and model card."""
    settings = load_params(params)
    from pneumonia.evaluation.cases import draw_cases
    from pneumonia.evaluation.facts import ResultPaths
    from pneumonia.evaluation.page import write_pages
    from pneumonia.evaluation.report import Folders, evaluate
    from pneumonia.tracking.sync import log_workspace

    data = settings.data.model_dump(include=DECODING)
    folders = Folders(split, models, metrics / "evaluate.json", plots)
    cross_fit = settings.train.cross_fit
    evaluate(folders, settings.evaluate, data, settings.seed, cross_fit=cross_fit)
    paths = ResultPaths(metrics, plots, models, split)
    draw_cases(paths, models / "cases.png")
    write_pages(paths, settings.model_dump(exclude={"tracking"}))
    log_workspace(settings, os.environ, "evaluate")


if __name__ == "__main__":
    run(main)
