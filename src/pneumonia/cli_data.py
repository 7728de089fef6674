"""`pneumonia data`: bring image sets into the project."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Bring image sets into the project.", no_args_is_help=True)


@app.command("import")
def import_data(
    name: Annotated[str, typer.Argument(help="Name of the data set: letters, digits, . _ -")],
    path: Annotated[Path, typer.Argument(help="Folder CLASS/FILE or SPLIT/CLASS/FILE.")],
    link: Annotated[bool, typer.Option(help="Hard-link files instead of copying them.")] = False,
    replace: Annotated[bool, typer.Option(help="Take the place of a set of that name.")] = False,
) -> None:
    """Copy images to data/raw/NAME and track them with DVC."""
    from pneumonia.data.importing import import_folder

    summary = import_folder(name, path, Path("data/raw"), link=link, replace=replace)
    typer.echo(summary)
