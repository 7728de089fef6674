"""`pneumonia tune-worker`: another machine, or another process, helps with a search."""

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command("tune-worker")
def tune_worker(
    chief: Annotated[str, typer.Option(help="HOST:PORT, as tune.listen of the chief says.")],
    augmented: Annotated[Path, typer.Option(help="As the chief has it.")] = Path("data/augmented"),
    val: Annotated[Path, typer.Option(help="As the chief has it.")] = Path("data/split/val"),
    params: Annotated[Path, typer.Option(help="As the chief has it.")] = Path("params.yaml"),
    chief_process: Annotated[int, typer.Option(hidden=True)] = 0,
) -> None:
    """Do trials for the chief of a search (`dvc repro` with tune.listen) until there are none."""
    from pydantic import ValidationError

    from pneumonia.errors import InputError
    from pneumonia.files import find_root
    from pneumonia.params import TuneParams, load_params

    settings = load_params(params)
    try:
        TuneParams.model_validate(settings.tune.model_dump() | {"listen": chief})
    except ValidationError:
        raise InputError(
            f"--chief is {chief!r}: give HOST:PORT, as tune.listen of the chief says"
        ) from None
    from pneumonia.tuning_workers import end_with, join

    if chief_process:
        end_with(chief_process)
    join(chief, settings, augmented, val, find_root(os.environ) / ".cache/tune")
