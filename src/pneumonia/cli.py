"""The `pneumonia` command: data in, predictions out, and MLflow's side of the pipeline."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pneumonia import cli_data, cli_evaluate, cli_pages, cli_reproduce
from pneumonia.errors import run

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


@main.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or DICOM files.")],
    models: Annotated[Path, typer.Option(help="Folder of model.keras, decision.json.")] = Path(
        "models"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output.")] = False,
) -> None:
    """Probability of pneumonia, and the label at the threshold chosen on validation images."""
    from pneumonia.prediction import predict_files, show_predictions

    show_predictions(predict_files(images, models), "json" if as_json else "csv" if as_csv else "")


@main.command()
def sync(params: Path = Path("params.yaml")) -> None:
    """Log the result in the workspace to MLflow, unless a run carries it already."""
    from pneumonia.params import load_params
    from pneumonia.tracking import sync_workspace

    run_id = sync_workspace(load_params(params), os.environ)
    typer.echo(f"MLflow run {run_id} carries this result; look with `make ui`")


@main.command()
def ui(port: int = 5000) -> None:
    """Open the MLflow user interface on this machine: http://127.0.0.1:PORT."""
    from pneumonia.tracking import ui_command, ui_store

    command = ui_command(os.environ, port)
    os.execvpe(command[0], command, os.environ | {"MLFLOW_BACKEND_STORE_URI": ui_store(os.environ)})


def app() -> None:
    """The entry point: bad input ends with one sentence and code 2."""
    run(main)
