"""How a recipe holds elsewhere: trained on some patients, measured on others under the shift suite.

Only the training and validation parts of data/split are read: the test part stays unseen. A fifth
of the training patients is held out, the same for every seed and recipe; with --leave-out the
images whose path matches are held out instead (their kind is never trained on), beside the fifth's
images of the other label. Threshold and temperature come from the validation part, as in evaluate.

    python benchmarks/shift.py --seeds 3 --set model.normalisation=image --name 'image'
    python benchmarks/shift.py --leave-out virus

Each finished seed is a line in --results, so that an interrupted study goes on where it was.
"""

import hashlib
import json
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from ruamel.yaml import YAML

from pneumonia.augment import Ranges, augment_images
from pneumonia.data.store import Part, load_manifest, load_part, part_rows
from pneumonia.errors import run
from pneumonia.evaluation.calibration import apply_calibration
from pneumonia.evaluation.decision import decide
from pneumonia.evaluation.predictor import add_features, predict_with_features
from pneumonia.evaluation.shift import measure_shifts
from pneumonia.evaluation.typicality import fit_typicality
from pneumonia.files import hash_file
from pneumonia.params import Params, load_params
from pneumonia.progress import announce
from pneumonia.training import train_model

HELD_OUT = 0.2  # of the training part's patients


def override_params(path: Path, changes: list[str]) -> Params:
    """params.yaml with `section.key=value` changes, checked like the file itself."""
    content = YAML(typ="safe").load(path.read_text())
    for change in changes:
        key, value = change.split("=", 1)
        *sections, name = key.split(".")
        section: Any = content
        for part in sections:
            section = section[part]
        section[name] = YAML(typ="safe").load(value)
    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / "params.yaml"
        YAML(typ="safe").dump(content, changed)
        return load_params(changed)


def hold_out(
    paths: pd.Series, groups: pd.Series, labels: np.ndarray, left: str
) -> tuple[np.ndarray, np.ndarray]:
    """What to train on and what to measure on: two masks, bool (N,)."""
    digests = [hashlib.sha256(f"held out:{group}".encode()).hexdigest() for group in groups]
    fifth = np.array([int(digest[:8], 16) / 16**8 < HELD_OUT for digest in digests])
    if not left:
        return ~fifth, fifth
    matched = paths.str.contains(left, regex=True).to_numpy()
    others = fifth & (labels != labels[matched][0])
    touched = groups.isin(set(groups[matched]) | set(groups[others])).to_numpy()
    return ~touched, matched | others


def measure_seed(settings: Params, data: Path, left: str, seed: int) -> dict[str, Any]:
    """Train with one seed; the shift suite's table and the time that training took, in seconds."""
    part, val = load_part(data / "train"), load_part(data / "val")
    manifest = part_rows(load_manifest(data / "manifest.csv"), "train")
    train, held = hold_out(manifest["path"], manifest["group"], part.labels, left)
    images, labels = np.asarray(part.images)[held], part.labels[held]
    with tempfile.TemporaryDirectory() as folder:
        work, augmented = Path(folder) / "work", Path(folder) / "augmented"
        ranges = Ranges(**settings.augment.model_dump(exclude={"copies"}))
        copies = settings.augment.copies
        augment_images(
            np.asarray(part.images)[train], part.labels[train], augmented,
            copies=copies, ranges=ranges, seed=seed,
        )  # fmt: skip
        start = perf_counter()
        model, _ = train_model(
            settings.model, settings.data.image_size, load_part(augmented), val, settings.train,
            copies=copies, seed=seed, work=work,
        )  # fmt: skip
        seconds = perf_counter() - start
    read = partial(predict_with_features, add_features(model))
    typicality = fit_typicality(
        read(np.asarray(part.images)[train])[1], read(np.asarray(val.images))[1]
    )
    decision = decide(lambda images: read(images)[0], val, settings.evaluate, seed)

    def judge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raw, features = read(images)
        p = apply_calibration(raw, decision["calibration"])
        return p, typicality.is_atypical(features)

    table = measure_shifts(judge, Part(images, labels), decision["threshold"], seed)
    return {"seconds": seconds, "shifts": table.to_dict("records")}


def summarise(name: str, lines: list[dict[str, Any]]) -> str:
    """A row of the table: means over seeds, with the seeds' standard deviation."""
    tables = [pd.DataFrame(line["shifts"]).set_index("shift") for line in lines]
    clean = pd.DataFrame([table.loc["none"] for table in tables])
    shifted = [table.drop(index=["none", "inverted"]) for table in tables]
    columns = {
        "AUC": clean["auc"],
        "accuracy": clean["accuracy"],
        "ECE": clean["ece"],
        "shifted AUC": pd.Series([table["auc"].mean() for table in shifted]),
        "shifted accuracy": pd.Series([table["accuracy"].mean() for table in shifted]),
        "shifted ECE": pd.Series([table["ece"].mean() for table in shifted]),
        "worst AUC": pd.Series([table["auc"].min() for table in shifted]),
        "worst accuracy": pd.Series([table["accuracy"].min() for table in shifted]),
        "inverted AUC": pd.Series([table.loc["inverted", "auc"] for table in tables]),
    }
    cells = [f"{values.mean():.3f} ± {values.std(ddof=0):.3f}" for values in columns.values()]
    seconds = np.mean([line["seconds"] for line in lines])
    head = " | ".join(["recipe", *columns, "seconds"])
    return f"| {head} |\n| {name} | {' | '.join(cells)} | {seconds:.0f} |"


def main(
    data: Annotated[Path, typer.Option(help="What the split stage made.")] = Path("data/split"),
    params: Path = Path("params.yaml"),
    change: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, may be repeated.")
    ] = None,
    name: Annotated[str, typer.Option(help="What to call the recipe in the table.")] = "default",
    leave_out: Annotated[str, typer.Option(help="Regular expression on paths.")] = "",
    seeds: Annotated[int, typer.Option(help="Trainings, with the seeds 1, 2, and so on.")] = 3,
    results: Path = Path(".cache/shift.jsonl"),
) -> None:
    """Print one row of a table: the recipe on held-out patients, clean and under shift."""
    settings = override_params(params, change or [])
    sections = settings.model_dump(include={"data", "augment", "model", "train", "evaluate"})
    key = hashlib.sha256(
        json.dumps([sections, leave_out, hash_file(data / "manifest.csv")]).encode()
    ).hexdigest()[:16]
    results.parent.mkdir(parents=True, exist_ok=True)
    known = (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )
    lines = {line["seed"]: line for line in known if line["key"] == key}
    for seed in range(1, seeds + 1):
        if seed not in lines:
            announce(f"{name}: seed {seed}")
            lines[seed] = {"key": key, "name": name, "seed": seed} | measure_seed(
                settings, data, leave_out, seed
            )
            with results.open("a") as file:
                file.write(json.dumps(lines[seed]) + "\n")
    print(summarise(name, [lines[seed] for seed in range(1, seeds + 1)]))


if __name__ == "__main__":
    run(main)
