"""Progress on a terminal's standard error; silence everywhere else."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items, showing how many of `total` are done and how long the rest takes."""
    from rich.console import Console
    from rich.progress import track as rich_track

    console = Console(stderr=True)
    yield from rich_track(
        items, description, total=total, console=console, disable=not console.is_terminal
    )


def announce(text: str) -> None:
    """Show a line on a terminal's standard error; silence everywhere else."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        console.print(text, highlight=False, markup=False)


def warn(text: str) -> None:
    """Show a warning line on standard error, on a terminal or not."""
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(f"warning: {text}", highlight=False, markup=False)
