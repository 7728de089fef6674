"""`pneumonia reproduce`: is a logged result what its commit, data and parameters give?"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pneumonia.reproduce import Comparison

SHOWN = 12  # figures that differ, in the table; --json has all


def reproduce(
    run: Annotated[str, typer.Argument(help="Id of the MLflow run, or its first characters.")],
    folder: Annotated[
        Path | None, typer.Option(help="Clone into this new folder and keep it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
    params: Path = Path("params.yaml"),
) -> None:
    """Make the result of an MLflow run again in a temporary clone; compare every output's hash.

    Exit code 0: all the same; 1: something differs; 2: it cannot be made here.
    """
    from pneumonia import reproduce as library
    from pneumonia.errors import InputError
    from pneumonia.params import load_params
    from pneumonia.tracking_results import find_run

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    if folder and folder.exists():
        raise InputError(f"{folder} exists: name a new folder")
    run_id = find_run(run, load_params(params).tracking.experiment, os.environ)
    if run_id is None:
        raise InputError(f"no MLflow run {run}: take an id from `pneumonia runs`")
    logged = library.read_run(run_id)
    with tempfile.TemporaryDirectory(prefix="pneumonia-", ignore_cleanup_errors=True) as place:
        target = folder.resolve() if folder else Path(place) / "clone"
        found = library.reproduce(logged, Path.cwd(), target, os.environ)
    show_comparison(found, as_json)
    raise typer.Exit(0 if found.same else 1)


def show_comparison(found: "Comparison", as_json: bool) -> None:
    """Write a comparison to standard output, as JSON or as lines for people."""
    if as_json:
        text = json.dumps(vars(found) | {"same": found.same}, indent=2)
    else:
        text = "\n".join(describe_comparison(found))
    sys.stdout.write(text + "\n")


def describe_comparison(found: "Comparison") -> list[str]:
    """What differs, on which machines both were made, and what the comparison can promise."""
    states = list(found.outputs.values())
    lines = [f"run {found.run_id}, commit {found.commit}"]
    lines += [f"  {state}: {name}" for name, state in found.outputs.items() if state != "same"]
    for name, (logged, now) in list(found.figures.items())[:SHOWN]:
        was = "nothing" if logged is None else f"{logged:.9g}"
        lines.append(f"  {name}: logged {was}, now {now:.9g}")
    if len(found.figures) > SHOWN:
        lines.append(f"  and {len(found.figures) - SHOWN} more figures (--json has them all)")
    lines.append(f"made on: {describe_machine(found.made_on)}")
    changes = [f"{name} {now} instead of {was}" for name, (was, now) in found.machine.items()]
    lines.append(
        f"made again on: {', '.join(changes) or 'the same type of machine, with the same versions'}"
    )
    lines += [f"note: {note}" for note in found.notes]
    verdict = "the same result" if found.same else "another result"
    return [*lines, f"{verdict}: {states.count('same')} of {len(states)} outputs are the same"]


def describe_machine(machine: dict[str, str]) -> str:
    """A machine's type in a line."""
    return ", ".join(f"{name} {value}" for name, value in machine.items()) or "an unknown machine"
