"""How a recipe holds elsewhere: trained on some patients, measured on others under the shift suite.

Only the training and validation parts of data/split are read: the test part stays unseen. A fifth
of the training patients (papers, in covid_ct) is held out, the same for every seed and recipe; with
--folds 5 each fifth in turn; with --leave-out the images whose path matches are held out instead
(their kind is never trained on, nor validated on), beside the fifth's images of the other label.
Threshold and calibration come from the validation part, as in evaluate. With --hide middle images
keep their outer tenth alone, where hardly any lung is: do they tell the label all the same?

    python benchmarks/shift.py --seeds 3 --set model.normalisation=image --name image
    python benchmarks/shift.py --leave-out virus --name 'without virus'
    python benchmarks/shift.py --set evaluate.threshold_rule=cost --name cost --against default
    python benchmarks/shift.py --hide middle --name 'without lungs' --against default

Models and scores are kept in --results, so that an interrupted study of the same code goes on where
it was and other thresholds and calibrations of trained models cost no training.
"""

import hashlib
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import typer
from ruamel.yaml import YAML

from pneumonia.augment import augment_parts
from pneumonia.crossfit import find_unseen, load_crossed
from pneumonia.data.store import Part, load_copies, load_manifest, load_part, part_rows
from pneumonia.errors import run
from pneumonia.evaluation import metrics
from pneumonia.evaluation.calibration import apply_calibration
from pneumonia.evaluation.decision import fix_decision
from pneumonia.evaluation.intervals import draw_weights
from pneumonia.evaluation.predictor import open_members, predict_images, predict_unseen
from pneumonia.evaluation.rim import mark_rim
from pneumonia.files import atomic, hash_work, read_json, write_json
from pneumonia.model import load_model, save_model
from pneumonia.params import Params, load_params
from pneumonia.progress import announce
from pneumonia.shift import SHIFTS, add_shifted, shift_images
from pneumonia.training import train_model

FIFTHS = 5
DRAWS = 500
Hidden = Literal["nothing", "middle", "rim"]
Scores = tuple[np.ndarray, np.ndarray]  # of validation images and shifted ones, of each shift


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
    paths: pd.Series, groups: pd.Series, labels: np.ndarray, left: str, fold: int
) -> tuple[np.ndarray, np.ndarray]:
    """What to train on and what to measure on: two masks, bool (N,)."""
    digests = [hashlib.sha256(f"held out:{group}".encode()).hexdigest() for group in groups]
    fifth = np.array([int(digest[:8], 16) * FIFTHS // 16**8 == fold for digest in digests])
    if not left:
        return ~fifth, fifth
    matched = paths.str.contains(left, regex=True).to_numpy()
    others = fifth & (labels != labels[matched][0])
    touched = groups.isin(set(groups[matched]) | set(groups[others])).to_numpy()
    return ~touched, matched | others


def hide_part(images: np.ndarray, part: Hidden) -> np.ndarray:
    """Images uint8 (N, H, W) whose middle or rim is one grey."""
    rim = mark_rim(*images.shape[1:])
    masks = {"nothing": np.zeros_like(rim), "middle": ~rim, "rim": rim}
    return np.where(masks[part], np.uint8(128), images)


@dataclass(frozen=True)
class Study:
    """What is trained and on what it is measured."""

    settings: Params
    data: Path
    left: str
    hidden: Hidden
    fold: int = 0

    @property
    def key(self) -> str:
        sections = self.settings.model_dump(include={"seed", "data", "augment", "model", "train"})
        return hash_work([self.data / "manifest.csv"], sections, self.left, self.hidden, self.fold)

    @property
    def known(self) -> pd.DataFrame:
        """The manifest without what is left out."""
        rows = load_manifest(self.data / "manifest.csv")
        return rows[~rows["path"].str.contains(self.left)] if self.left else rows

    @cached_property
    def parts(self) -> tuple[Part, Part, Part, np.ndarray]:
        """Training, validation and held-out images, and the patients of the last, str (N,)."""
        loaded = (load_part(self.data / name) for name in ("train", "val"))
        part, val = (Part(hide_part(np.asarray(p.images), self.hidden), p.labels) for p in loaded)
        rows = load_manifest(self.data / "manifest.csv")
        if self.left:
            known = ~part_rows(rows, "val")["path"].str.contains(self.left).to_numpy()
            val = Part(val.images[known], val.labels[known])
        manifest = part_rows(rows, "train")
        train, held = hold_out(
            manifest["path"], manifest["group"], part.labels, self.left, self.fold
        )
        taught, shown = (Part(part.images[mask], part.labels[mask]) for mask in (train, held))
        return taught, val, shown, manifest["group"].to_numpy(dtype=str)[held]


def train_seed(study: Study, seed: int, folder: Path) -> None:
    """Train with one seed; the model and the time that it took are left in `folder`."""
    settings, (train, val, _, _) = study.settings, study.parts
    with tempfile.TemporaryDirectory() as scratch:
        augmented = Path(scratch) / "augmented"
        augment_parts(train, val, augmented, settings.augment, seed)
        copied = load_copies(augmented)
        crossed = load_crossed(augmented, study.known, settings.model.members, settings.train)
        start = perf_counter()
        model, _ = train_model(
            settings.model, settings.data.image_size, copied, val, settings.train,
            seed=seed, work=Path(scratch) / "work", crossed=crossed,
        )  # fmt: skip
        seconds = perf_counter() - start
    save_model(model, folder / "model.keras")
    write_json(folder / "training.json", {"seconds": seconds})


def score_seed(study: Study, seed: int, folder: Path) -> Scores:
    """Scores of the validation images (and shifted) (2V,), and of each shift (S, N)."""
    path = folder / "scores.npz"
    _, val, held, _ = study.parts
    if not path.exists():
        model = load_model(folder / "model.keras")
        shown = add_shifted(val, study.settings.seed).images
        members, enabled = study.settings.model.members, study.settings.train.cross_fit
        unseen = find_unseen(study.known, members, enabled=enabled)
        judged = predict_unseen(open_members(model), shown, unseen)
        shifted = [predict_images(model, shift_images(held.images, name, seed)) for name in SHIFTS]
        with atomic(path) as partial, partial.open("wb") as file:
            np.savez(file, val=judged, held=np.stack(shifted))
    with np.load(path) as scores:
        return scores["val"], scores["held"]


@dataclass(frozen=True)
class Judged:
    """Calibrated probabilities and decisions of one seed (S, N), labels and patients (N,)."""

    p: np.ndarray
    positive: np.ndarray
    labels: np.ndarray
    groups: np.ndarray


def judge(study: Study, val: np.ndarray, held: np.ndarray) -> Judged:
    """Calibrate scores and decide, as fixed on the validation images' scores."""
    _, part, images, groups = study.parts
    settings = study.settings.evaluate
    labels = np.tile(part.labels, 2)
    fixed_on = len(labels) if settings.fit_on == "shifted" else len(part.labels)
    decision = fix_decision(labels[:fixed_on], val[:fixed_on], settings)
    p = np.stack([apply_calibration(scores, decision["calibration"]) for scores in held])
    return Judged(p, p >= decision["threshold"], images.labels, groups)


def join(folds: list[Judged]) -> Judged:
    """The images of several folds as one set."""
    return Judged(
        np.concatenate([fold.p for fold in folds], axis=1),
        np.concatenate([fold.positive for fold in folds], axis=1),
        np.concatenate([fold.labels for fold in folds]),
        np.concatenate([fold.groups for fold in folds]),
    )


def measure(judged: Judged, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Figures (D,) of a seed for weights (D, N)."""
    columns: dict[str, list[np.ndarray]] = {"auc": [], "accuracy": [], "balanced": [], "ece": []}
    for p, positive in zip(judged.p, judged.positive, strict=True):
        rates = metrics.rates(judged.labels, positive.astype(int), weights)
        columns["auc"].append(metrics.auc(judged.labels, p, weights))
        columns["accuracy"].append(rates["accuracy"])
        columns["balanced"].append(rates["balanced_accuracy"])
        columns["ece"].append(metrics.calibration_error(judged.labels, p, weights))
    names = list(SHIFTS)
    shifted = [i for i, name in enumerate(names) if name not in ("none", "inverted")]
    auc, accuracy, balanced, ece = (np.stack(values) for values in columns.values())
    return {
        "AUC": auc[0],
        "accuracy": accuracy[0],
        "balanced accuracy": balanced[0],
        "ECE": ece[0],
        "shifted AUC": auc[shifted].mean(0),
        "shifted accuracy": accuracy[shifted].mean(0),
        "shifted balanced accuracy": balanced[shifted].mean(0),
        "shifted ECE": ece[shifted].mean(0),
        "worst AUC": auc[shifted].min(0),
        "worst accuracy": accuracy[shifted].min(0),
        "inverted AUC": auc[names.index("inverted")],
    }


def collect(
    studies: list[Study], seeds: int, results: Path
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], float]:
    """Each seed's figures (K,), draws of patients and seeds (D,) of their mean, mean seconds."""
    seconds: list[float] = []
    by_seed: list[list[Scores]] = []
    for seed in range(1, seeds + 1):
        scores = []
        for study in studies:
            folder = results / f"{study.key}-{seed}"
            if not (folder / "training.json").exists():
                announce(f"seed {seed}, fold {study.fold + 1} of {len(studies)}")
                train_seed(study, seed, folder)
            scores.append(score_seed(study, seed, folder))
            seconds.append(read_json(folder / "training.json")["seconds"])
        by_seed.append(scores)
    judged = [
        join([judge(study, *fold) for study, fold in zip(studies, scores, strict=True)])
        for scores in by_seed
    ]
    groups = judged[0].groups
    drawn = np.concatenate(list(draw_weights(groups, DRAWS, seed=0)))
    weights = np.concatenate([np.ones((1, len(groups))), drawn])
    figures = [measure(each, weights) for each in judged]
    rng = np.random.default_rng(int(studies[0].key, 16) % 2**32)
    turns = rng.integers(0, len(figures), (DRAWS, len(figures)))
    points, draws = {}, {}
    for name in figures[0]:
        table = np.stack([each[name] for each in figures])
        points[name] = table[:, 0]
        draws[name] = table[turns, np.arange(1, DRAWS + 1)[:, None]].mean(1)
    return points, draws, float(np.mean(seconds))


def main(
    data: Annotated[Path, typer.Option(help="What the split stage made.")] = Path("data/split"),
    params: Path = Path("params.yaml"),
    change: Annotated[
        list[str] | None, typer.Option("--set", help="section.key=value, may be repeated.")
    ] = None,
    name: Annotated[str, typer.Option(help="What to call the recipe in the table.")] = "default",
    leave_out: Annotated[str, typer.Option(help="Regular expression on paths.")] = "",
    hide: Annotated[Hidden, typer.Option(help="What no image shows.")] = "nothing",
    folds: Annotated[int, typer.Option(help="How many fifths are held out in turn.")] = 1,
    seeds: Annotated[int, typer.Option(help="Trainings, with the seeds 1, 2, and so on.")] = 3,
    results: Path = Path(".cache/shift"),
    against: Annotated[str, typer.Option(help="A recipe printed before: show differences.")] = "",
) -> None:
    """Print one row of a table: the recipe on held-out patients, clean and under shift."""
    settings = override_params(params, change or [])
    studies = [Study(settings, data, leave_out, hide, fold) for fold in range(folds)]
    points, draws, seconds = collect(studies, seeds, results)
    row = {"recipe": name} | {
        key: f"{values.mean():.4f} ± {values.std(ddof=0):.4f}" for key, values in points.items()
    }
    row["seconds"] = f"{seconds:.0f}"
    store = results / "rows" / (name.replace("/", "_") + ".json")
    write_json(store, {key: [float(points[key].mean()), *draws[key].tolist()] for key in points})
    if against:
        base = read_json(results / "rows" / f"{against}.json")
        for key in ("AUC", "accuracy", "shifted AUC", "shifted accuracy", "worst AUC"):
            gap = draws[key] - np.array(base[key][1:])
            low, high = np.quantile(gap, [0.025, 0.975])
            row[f"Δ {key}"] = (
                f"{points[key].mean() - base[key][0]:+.4f} ({low:+.4f} to {high:+.4f})"
            )
    print("| " + " | ".join(row) + " |\n| " + " | ".join(row.values()) + " |")


if __name__ == "__main__":
    run(main)
