"""The `pneumonia` command: data in, predictions out, and MLflow's side of the pipeline."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pneumonia import cli_data, cli_evaluate, cli_pages, cli_reproduce, cli_runs, cli_tune
from pneumonia.errors import InputError, run

main = typer.Typer(
    help="Classify chest images: 0 = no pneumonia, 1 = pneumonia.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
main.add_typer(cli_data.app, name="data")
main.command()(cli_evaluate.compare)
main.command()(cli_evaluate.evaluate)
main.command("reproduce")(cli_reproduce.reproduce)
main.command()(cli_pages.explain)
main.command()(cli_pages.report)
main.add_typer(cli_runs.app)
main.add_typer(cli_tune.app)


@main.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or DICOM files.")],
    models: Annotated[
        Path, typer.Option(help="Folder of model.keras and what belongs to it.")
    ] = Path("models"),
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output.")] = False,
) -> None:
    """Probability of pneumonia, and the label at the threshold chosen on validation images."""
    from pneumonia.prediction import predict_files, show_predictions

    if as_json and as_csv:
        raise InputError("--json and --csv cannot both be had: choose one")
    show_predictions(predict_files(images, models), "json" if as_json else "csv" if as_csv else "")


def app() -> None:
    """The entry point: bad input ends with one sentence and code 2."""
    # dvc, mlflow and python of this environment, also where nobody activated it
    found = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found])
    run(main)
