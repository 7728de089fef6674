"""`pneumonia report` and `pneumonia explain`: what is handed to people."""

import os
from pathlib import Path
from typing import Annotated

import typer


def report(
    output: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write the report of the result in this folder, with its commit and hash of dvc.lock."""
    from pneumonia.errors import InputError
    from pneumonia.evaluation.facts import ResultPaths, gather_facts
    from pneumonia.evaluation.page import write_report
    from pneumonia.origin import describe_result
    from pneumonia.params import load_params
    from pneumonia.tracking.revisions import find_mismatch

    origin = describe_result(Path.cwd(), os.environ)
    if wrong := find_mismatch(Path()):
        raise InputError(f"{wrong} is not what the result was made with: run `dvc repro` first")
    facts = gather_facts(ResultPaths(), load_params(params).model_dump(exclude={"tracking"}))
    write_report(output, facts, origin)
    typer.echo(f"{output} can be handed over: it needs no other file")


def explain(
    images: Annotated[list[Path], typer.Argument(help="PNG, JPEG or DICOM files.")],
    models: Annotated[
        Path, typer.Option(help="Folder of model.keras and what belongs to it.")
    ] = Path("models"),
    output: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("explained"),
) -> None:
    """Write pictures of what speaks for pneumonia in each image (Grad-CAM)."""
    from pneumonia.explaining import explain_files

    for row in explain_files(images, models, output):
        typer.echo(f"{row['picture']}: P(pneumonia) {row['probability']:.3f}, {row['name']}")
