"""`pneumonia data`: bring image sets into the project."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Bring image sets into the project.", no_args_is_help=True)

RAW = Path("data/raw")
CACHE = Path(".cache/fetch")
REPLACE = typer.Option(help="Take the place of a set of that name.")


@app.command("import")
def import_data(
    name: Annotated[str, typer.Argument(help="Name of the data set: letters, digits, . _ -")],
    path: Annotated[
        Path,
        typer.Argument(
            help="Folder CLASS/FILE or SPLIT/CLASS/FILE or with manifest.csv; CSV file; "
            "MedMNIST .npz; zip or tar of these."
        ),
    ],
    link: Annotated[bool, typer.Option(help="Hard-link files instead of copying them.")] = False,
    replace: Annotated[bool, REPLACE] = False,
) -> None:
    """Copy images to data/raw/NAME and track them with DVC."""
    from pneumonia.data import importing

    importing.require_project()
    typer.echo(importing.import_data(name, path, RAW, link=link, replace=replace))


@app.command()
def fetch(
    name: Annotated[
        str, typer.Argument(help="chest_xray, pneumoniamnist, pneumoniamnist-64, -128 or -224.")
    ],
    url: Annotated[
        str | None, typer.Option(help="Another address of the same file, such as a mirror.")
    ] = None,
    checksum: Annotated[
        str | None, typer.Option(help="md5:DIGITS or sha256:DIGITS that the file must have.")
    ] = None,
    replace: Annotated[bool, REPLACE] = False,
) -> None:
    """Download a public data set from its publisher, check it, and import it as data/raw/NAME."""
    from pneumonia.data import fetching, importing
    from pneumonia.errors import InputError

    importing.require_project()
    file = fetching.fetch(fetching.choose_download(name, url, checksum), CACHE)
    try:
        typer.echo(importing.import_data(name, file, RAW, link=False, replace=replace))
    except InputError:
        if replace or not (RAW / name).exists():  # no such data set, maybe a page that says why
            file.unlink()
        raise
    file.unlink()
