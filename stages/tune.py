"""Search the hyperparameters on the augmented training images, judged on validation images."""

import os
from pathlib import Path

from pneumonia.errors import run
from pneumonia.files import find_root, own_work, write_csv, write_json
from pneumonia.params import load_params


def main(
    augmented: Path = Path("data/augmented"),
    val: Path = Path("data/split/val"),
    hyperparameters: Path = Path("models/hyperparameters.json"),
    metrics: Path = Path("metrics/tune.json"),
    trials: Path = Path("plots/trials.csv"),
    curves: Path = Path("plots/trial_curves.csv"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write the best hyperparameters, and every trial with its curves."""
    settings = load_params(params)
    from pneumonia.tuning import key_search, summarise
    from pneumonia.tuning_workers import search

    key = key_search(augmented, val, settings)
    with own_work(find_root(os.environ) / ".cache/tune" / key) as work:
        found = search(augmented, val, settings, key, work, params)
        write_json(hyperparameters, found.best.model_dump())
        write_json(metrics, summarise(found))
        write_csv(trials, found.trials)
        write_csv(curves, found.curves)


if __name__ == "__main__":
    run(main)
