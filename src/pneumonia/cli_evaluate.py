"""`pneumonia compare` and `pneumonia evaluate`: models held against each other and elsewhere."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
REVISION = "workspace, a Git revision or a DVC experiment"


def compare(
    first: Annotated[str, typer.Argument(help=f"{REVISION}, or an MLflow run's id.")],
    second: Annotated[str, typer.Argument(help="The same; differences are second minus first.")],
    as_json: AsJson = False,
    params: Path = Path("params.yaml"),
) -> None:
    """Test whether one of two results is better, on the same test images."""
    from pneumonia.evaluation.compare import align, load_predictions, show_comparison
    from pneumonia.evaluation.compare import compare as compare_results
    from pneumonia.evaluation.intervals import Resampling
    from pneumonia.params import load_params

    settings = load_params(params)
    experiment = settings.tracking.experiment
    before, after = (load_predictions(name, experiment, os.environ) for name in (first, second))
    how = Resampling(settings.evaluate.bootstrap_draws, settings.evaluate.confidence, settings.seed)
    result = compare_results(align(before, after, (first, second)), (first, second), how)
    if as_json:
        typer.echo(json.dumps(result, indent=2, allow_nan=False))
    else:
        show_comparison(result)


def evaluate(
    data: Annotated[str, typer.Option(help="A data set in data/raw, or a folder of images.")],
    model: Annotated[str, typer.Option(help=f"{REVISION}.")] = "workspace",
    name: Annotated[str | None, typer.Option(help="Name of the results; else the data's.")] = None,
    as_json: AsJson = False,
    params: Path = Path("params.yaml"),
) -> None:
    """Measure a model on another data set, with threshold and calibration as they were fixed."""
    from pneumonia.evaluation.external import evaluate_external
    from pneumonia.evaluation.facts import gather_external
    from pneumonia.evaluation.page import write_report
    from pneumonia.evaluation.pictures import describe
    from pneumonia.params import load_params
    from pneumonia.tracking_results import log_external

    settings = load_params(params)
    figures, folders = evaluate_external(data, model, name, settings)
    shown = settings.model_dump(include={"seed", "data", "evaluate", "augment"})
    facts = gather_external(folders.metrics, folders.plots, shown)
    write_report(folders.plots / "report.html", facts)
    run_id = log_external(figures, folders.metrics, folders.plots, settings, os.environ)
    if as_json:
        typer.echo(json.dumps(figures, indent=2, sort_keys=True, allow_nan=False))
        return
    typer.echo(f"{figures['images']} images of {figures['patients']} patients")
    for key in ("auc", "sensitivity", "specificity", "calibration_slope"):
        typer.echo(f"{key}: {describe(figures, key)}")
    typer.echo(figures["drift"]["sentence"])
    typer.echo(f"written to {folders.metrics} and {folders.plots}; MLflow run {run_id}")
