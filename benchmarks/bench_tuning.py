"""Does memory grow from trial to trial? Prints the resident memory (MiB) after each of N trials.

Run in the project's root: python benchmarks/bench_tuning.py [--trials 50]
"""

import tempfile
from pathlib import Path

import numpy as np
import psutil
import typer

from pneumonia import tuning
from pneumonia.data.store import Part
from pneumonia.params import load_params

SIDE, COUNT = 32, 64


def make_part(copies: int) -> Part:
    """Noise images and labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT * copies, SIDE, SIDE), dtype=np.uint8)
    return Part(images, np.arange(COUNT) % 2, copies)


def main(trials: int = 50) -> None:
    """Random search over small models, one epoch each."""
    params = load_params(Path("params.yaml"))
    changes = {"strategy": "random", "max_trials": trials, "epochs": 1, "max_minutes": None}
    space = params.tune.model_dump()["space"] | {"width": [4, 6, 8], "depth": [1, 2]}
    tune = params.tune.model_validate(params.tune.model_dump() | changes | {"space": space})
    small = params.model.model_copy(update={"width": 4, "depth": 1})
    data = params.data.model_copy(update={"image_size": SIDE})
    params = params.model_copy(update={"tune": tune, "model": small, "data": data})
    process, memory = psutil.Process(), []
    with tempfile.TemporaryDirectory() as folder:
        oracle = tuning.prepare_oracle(params, "key", Path(folder))
        end_trial = oracle.end_trial

        def end_and_measure(trial: tuning.Trial) -> None:
            end_trial(trial)
            memory.append(process.memory_info().rss / 2**20)
            print(f"trial {trial.trial_id}: {memory[-1]:.0f} MiB", flush=True)

        oracle.end_trial = end_and_measure
        parts = make_part(params.augment.copies), make_part(1)
        tuning.run_trials(oracle, "key/bench", params, *parts, Path(folder))
    half = memory[len(memory) // 2 :]
    growth = np.polyfit(range(len(half)), half, 1)[0]
    print(f"second half: {growth:+.2f} MiB a trial, from {half[0]:.0f} to {half[-1]:.0f} MiB")


if __name__ == "__main__":
    typer.run(main)
