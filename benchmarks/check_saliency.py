"""How much of the heat (Grad-CAM) lies in the lesions of the built-in data, which are known.

Run in the project's root after `dvc repro` on the phantom: python benchmarks/check_saliency.py.
The same figures for an untrained model and for one heat map for all (where lesions are in training
images on average) tell what is easy. The lesions are simulated anew, with the data's own seed.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from pneumonia.data.decode import fit_square
from pneumonia.data.phantom import Sample, simulate_samples
from pneumonia.data.store import load_manifest, load_part, part_rows
from pneumonia.errors import InputError, run
from pneumonia.files import read_json
from pneumonia.model import build_model, load_model
from pneumonia.params import ModelParams, load_params
from pneumonia.saliency import map_heat, measure_heat


def load_lesions(
    split: Path, part: str, samples: list[Sample], keep_aspect: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 and lesions bool, both (N, H, W), of a part's images with pneumonia.

    Raises InputError where the simulated images are not those of the part.
    """
    rows = part_rows(load_manifest(split / "manifest.csv"), part)
    stored = np.asarray(load_part(split / part).images)
    known = {sample.path: sample for sample in samples}
    if not set(rows["path"]) <= set(known):
        raise InputError(f"{split} does not hold the phantom of this seed: run `dvc repro`")
    size, own = stored.shape[1], [known[path] for path in rows["path"]]
    made = np.stack([fit_square(sample.image, size, keep_aspect=keep_aspect) for sample in own])
    if not np.array_equal(made, stored):
        raise InputError(f"{split} does not hold the phantom of this seed: run `dvc repro`")
    masks = [
        fit_square(np.uint8(255) * one.mask, size, keep_aspect=keep_aspect) > 127 for one in own
    ]
    sick = rows["label"].to_numpy() == 1
    return stored[sick], np.stack(masks)[sick]


def main(
    split: Path = Path("data/split"),
    models: Path = Path("models"),
    images: int = 600,
    seed: int = 1,
) -> None:
    """Print heat share, the lesions' share of the area, their ratio and the pointing game."""
    samples = list(simulate_samples(images, seed))
    keep_aspect = load_params(Path("params.yaml")).data.keep_aspect
    test, lesions = load_lesions(split, "test", samples, keep_aspect)
    _, known = load_lesions(split, "train", samples, keep_aspect)
    best = ModelParams(**read_json(models / "hyperparameters.json"))
    heats = {
        "trained model": map_heat(load_model(models / "model.keras"), test),
        "untrained model": map_heat(build_model(best, test.shape[1], seed=1), test),
        "one map for all": np.repeat(known.mean(axis=0)[None], len(test), axis=0),
    }
    rows = {name: pd.DataFrame(measure_heat(heat, lesions)).mean() for name, heat in heats.items()}
    table = pd.DataFrame(rows).T
    table["ratio"] = table["heat_share"] / table["area_share"]
    sys.stdout.write(f"{len(test)} test images with lesions\n{table.round(3).to_string()}\n")


if __name__ == "__main__":
    run(main)
