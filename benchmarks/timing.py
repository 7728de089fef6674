"""Works of one kind beside each other: images per second of processor time."""

from collections.abc import Callable
from time import process_time


def measure_rates(
    works: dict[str, Callable[[], object]], count: int, rounds: int
) -> dict[str, float]:
    """Images a second of works on `count` images, the best of some rounds in turn."""
    seconds = {name: float("inf") for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = process_time()
            work()
            seconds[name] = min(seconds[name], process_time() - start)
    return {name: count / best for name, best in seconds.items()}
