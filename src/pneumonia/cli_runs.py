"""Commands about results: `pneumonia runs`, `sync`, `ui`."""

import json
import os
import socket
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
ParamsFile = Annotated[Path, typer.Option(help="The project's parameters.")]


@app.command()
def runs(
    sort: Annotated[str, typer.Option(help="Metric of the images tested; best first.")] = "auc",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """DVC's experiments and MLflow's runs as one table: figures, and parameters that differ."""
    from pneumonia.params import load_params
    from pneumonia.tracking.table import list_results, show_results

    rows = list_results(load_params(params), os.environ, sort)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        show_results(rows, sort)


@app.command()
def sync(
    commits: Annotated[
        bool, typer.Option("--commits", help="Also each commit that changed a result.")
    ] = False,
    stale_hours: Annotated[
        float | None,
        typer.Option(min=0, help="End runs of other machines that were silent for so long."),
    ] = None,
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Log to MLflow what no run carries yet: the workspace's result and DVC's experiments."""
    from pneumonia.errors import InputError
    from pneumonia.params import load_params
    from pneumonia.tracking import revisions
    from pneumonia.tracking.sync import sync_revisions, sync_workspace

    settings = load_params(params)
    tell_distant_runs(settings.tracking.experiment, stale_hours)
    found = revisions.list_experiments() + (revisions.list_commits() if commits else [])
    results = sync_revisions(found, settings, os.environ)
    results.append(sync_workspace(settings, os.environ))
    for result in results:
        if result.run_id:
            typer.echo(f"{result.label}: MLflow run {result.run_id} carries this result")
        else:
            typer.echo(f"{result.label}: not logged: {result.reason}", err=True)
    if not any(result.run_id for result in results):
        raise InputError("there is no result to log: run `dvc repro` or `dvc pull` first")


def tell_distant_runs(experiment: str, stale_hours: float | None) -> None:
    """Name on standard error what is RUNNING elsewhere, after ending what was silent for long."""
    from pneumonia.tracking.store import connect, end_silent_runs

    hours = float("inf") if stale_hours is None else stale_hours
    for run in end_silent_runs(connect(experiment, os.environ), hours):
        typer.echo(
            f"MLflow run {run.run_id} is RUNNING on {run.host}, last heard of "
            f"{run.last_sign:%Y-%m-%d %H:%M} UTC: if that machine is gone, end the run with "
            "`pneumonia sync --stale-hours HOURS`",
            err=True,
        )


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=2**16 - 1)] = 5000,
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Open the MLflow user interface on this machine: http://127.0.0.1:PORT."""
    from pneumonia.errors import InputError
    from pneumonia.params import load_params
    from pneumonia.tracking.pages import ui_command, ui_environment
    from pneumonia.tracking.store import connect

    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            free.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(f"port {port}: {error.strerror}; choose another by --port") from None
    command = ui_command(os.environ, port)
    connect(load_params(params).tracking.experiment, os.environ)  # marks killed runs as such
    os.execvpe(command[0], command, ui_environment(os.environ))
