"""Steps of training as they are, without oneDNN, and with freed memory given back as glibc does.

    python benchmarks/bench_training.py

Each way has a process of its own, since oneDNN is chosen when TensorFlow is imported, and what a
process has once kept it does not give back.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

IMAGES, SIDE, ROUNDS = 640, 96, 2
WAYS = ("as they are", "without oneDNN", "memory given back")


def measure(way: str) -> dict[str, float]:
    """Figures of some steps on noise after a first one, which compiles the graph."""
    import pneumonia  # noqa: F401  # sets the environment that TensorFlow reads

    if way == "without oneDNN":
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

    from pneumonia import model
    from pneumonia.batches import EpochCopies
    from pneumonia.data.store import Part
    from pneumonia.params import load_params
    from pneumonia.training import compile_model, open_logits

    if way == "memory given back":
        model.keep_freed_memory = lambda: None
    settings = load_params(Path("params.yaml"))
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE), "u1")
    part = Part(images, np.arange(IMAGES) % 2)
    data = EpochCopies(part, settings.train, seed=0, members=settings.model.members)
    learner = open_logits(model.build_model(settings.model, SIDE, seed=0))
    compile_model(learner, settings.model, settings.train, steps=1000)
    learner.train_on_batch(*data[0])
    before, start = resource.getrusage(resource.RUSAGE_SELF), perf_counter()
    for batch in range(1, IMAGES // settings.train.batch_size):
        learner.train_on_batch(*data[batch])
    after, seconds = resource.getrusage(resource.RUSAGE_SELF), perf_counter() - start
    return {
        "seconds": seconds,
        "seconds in the system": after.ru_stime - before.ru_stime,
        "page faults": after.ru_minflt - before.ru_minflt,
        "MiB": after.ru_maxrss / 1024,
    }


def main() -> None:
    """Print all ways in turn and the ratio of their best times to the first's."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for way in WAYS:
            done = subprocess.run(
                [sys.executable, __file__, way], stdout=subprocess.PIPE, text=True, check=True
            )
            figures = json.loads(done.stdout)
            best[way] = min(figures["seconds"], best.get(way, figures["seconds"]))
            print(way, *(f"{name} {value:.1f}" for name, value in figures.items()), sep=", ")
    for way in WAYS[1:]:
        print(f"{way}: ratio {best[way] / best[WAYS[0]]:.2f}")


if __name__ == "__main__":
    main()
