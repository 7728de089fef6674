"""An epoch of training with freed memory kept, and given back as glibc does: seconds, page faults.

    python benchmarks/bench_memory.py

Each way has a process of its own, since what a process has once kept it does not give back.
"""

import json
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from pneumonia import model
from pneumonia.data.store import Part
from pneumonia.params import load_params
from pneumonia.training import EpochCopies, compile_model, open_logits

IMAGES, SIDE, ROUNDS = 256, 96, 2


def measure() -> dict[str, float]:
    """Figures of the second of two epochs on noise, the first of which compiles the graph."""
    settings = load_params(Path("params.yaml"))
    train = settings.train.model_copy(update={"epoch_images": IMAGES})
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE), "u1")
    part = Part(images, np.arange(IMAGES) % 2)
    data = EpochCopies(part, train, seed=0, members=settings.model.members)
    learner = open_logits(model.build_model(settings.model, SIDE, seed=0))
    compile_model(learner, settings.model, train, steps=1000)
    learner.fit(data, verbose=0)  # pyright: ignore[reportArgumentType]
    before, start = resource.getrusage(resource.RUSAGE_SELF), perf_counter()
    learner.fit(data, verbose=0)  # pyright: ignore[reportArgumentType]
    after, seconds = resource.getrusage(resource.RUSAGE_SELF), perf_counter() - start
    return {
        "seconds": seconds,
        "seconds in the system": after.ru_stime - before.ru_stime,
        "page faults": after.ru_minflt - before.ru_minflt,
        "MiB": after.ru_maxrss / 1024,
    }


def main() -> None:
    """Print both ways in turn and the ratio of their best times."""
    if len(sys.argv) > 1:
        if sys.argv[1] == "given back":
            model.keep_freed_memory = lambda: None
        print(json.dumps(measure()))
        return
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for way in ("given back", "kept"):
            done = subprocess.run(
                [sys.executable, __file__, way], stdout=subprocess.PIPE, text=True, check=True
            )
            figures = json.loads(done.stdout)
            best[way] = min(figures["seconds"], best.get(way, figures["seconds"]))
            print(way, *(f"{name} {value:.1f}" for name, value in figures.items()), sep=", ")
    print(f"ratio {best['given back'] / best['kept']:.2f}")


if __name__ == "__main__":
    main()
