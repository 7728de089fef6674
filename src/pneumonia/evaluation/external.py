"""A model on another data set: same figures, threshold and calibration as they were fixed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from pneumonia import revisions
from pneumonia.data.decoding import decode_sources
from pneumonia.data.duplicates import SIDE
from pneumonia.data.sources import find_sources
from pneumonia.data.splitting import name_patients, tabulate_extras
from pneumonia.data.store import Part, load_manifest, open_scratch
from pneumonia.errors import InputError
from pneumonia.evaluation.calibration import apply_calibration
from pneumonia.evaluation.decision import read_decision
from pneumonia.evaluation.drift import describe_images, measure_drift
from pneumonia.evaluation.report import Folders, report
from pneumonia.evaluation.typicality import load_typicality
from pneumonia.files import hash_file, write_csv
from pneumonia.params import DataParams, EvaluateParams, Params

NEEDED = [
    Path("models/model.keras"), Path("models/decision.json"), Path("models/typicality.npy"),
]  # fmt: skip
USEFUL = [Path("models/reference.csv"), Path("data/split/manifest.csv")]
SCRATCH = Path(".cache/external")
COLUMNS = ["path", "sha256", "label", "group", "width", "height", "reason"]
SEEN = "the model was trained or tuned on this file"


def evaluate_external(
    data: str, revision: str, name: str | None, params: Params, raw: Path = Path("data/raw")
) -> tuple[dict[str, Any], Folders]:
    """Measure a model on all images of a data set below `raw`, or of a folder.

    `revision` is workspace, a Git revision or a DVC experiment. Writes metrics/external/NAME.json
    and plots/external/NAME/; returns the figures and where they are. Raises InputError where data
    or model cannot be used.
    """
    root = find_root(data, raw)
    name = check_name(name or root.resolve().name)
    with open_model(revision) as model:
        decision = read_decision(model / "decision.json")
        images, table = read_images(root, decision, params)
        table = leave_out_seen(table, model / "manifest.csv")
        used = table[table["reason"] == ""].reset_index(drop=True)
        if used.empty:
            reason = table["reason"].mode()[0]
            raise InputError(f"no image of {root} can be tested on ({reason}): bring others")
        part = Part(images[table["reason"] == ""], used["label"].to_numpy(int))
        typicality = load_typicality(model / "typicality.npy")
        from pneumonia.evaluation.predictor import add_features, predict_with_features
        from pneumonia.model import load_model

        network = add_features(load_model(model / "model.keras"))
        scores, features = predict_with_features(network, part.images)
        atypical = typicality.is_atypical(features)
        folders = Folders(
            root, model, Path(f"metrics/external/{name}.json"), Path(f"plots/external/{name}")
        )
        p = apply_calibration(scores, decision["calibration"])
        kinds = table.loc[table["reason"] != "", "reason"].str.split(":").str[0]
        facts = {
            "data": name,
            "model": revision,
            "model_sha256": hash_file(model / "model.keras"),
            "trained_on": decision["name"],
            "atypical_share": float(atypical.mean()),
            "left_out": kinds.value_counts().to_dict(),
            "drift": find_drift(model / "reference.csv", part, used, p, folders.plots, params.seed),
        }
        settings = keep_known_subgroups(params.evaluate, used)
        figures = report(part, scores, used, decision, settings, params.seed, folders, facts)
    return figures, folders


def keep_known_subgroups(settings: EvaluateParams, rows: pd.DataFrame) -> EvaluateParams:
    """Without the columns that this data set does not have."""
    if settings.subgroups == "auto":
        return settings
    known = [name for name in settings.subgroups if name in rows]
    return settings.model_copy(update={"subgroups": known})


def find_root(data: str, raw: Path) -> Path:
    """The folder of a data set by its name below `raw`, or by its path."""
    for path in (raw / data, Path(data)):
        if path.is_dir():
            return path
    known = ", ".join(sorted(path.name for path in raw.glob("*/"))) or "none"
    raise InputError(f"{data} is no data set in {raw} ({known}) and no folder: mend --data")


def check_name(name: str) -> str:
    """The name under which results are kept; InputError where it can be no file's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"{name!r} cannot name results: give --name of letters, digits, . _ -")
    return name


@contextmanager
def open_model(revision: str) -> Iterator[Path]:
    """A folder with model.keras, decision.json and, where there are any, those of USEFUL."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if revision == revisions.WORKSPACE:
            for path in NEEDED + USEFUL:
                if path.is_file():
                    (folder / path.name).symlink_to(path.resolve())
        else:
            revisions.fetch_outputs(revisions.require_commit(revision), NEEDED + USEFUL, folder)
        for path in NEEDED:
            if not (folder / path.name).is_file():
                raise InputError(f"{revision} has no {path}: run `dvc repro` or `dvc pull` first")
        yield folder


def read_images(
    root: Path, decision: dict[str, Any], params: Params
) -> tuple[np.ndarray, pd.DataFrame]:
    """Images uint8 (N, S, S), decoded as decision.json says, and their rows, in one order.

    Columns path, sha256, label, group, width, height, reason (why an image cannot be used), and the
    data set's own.
    """
    decoding = {key: decision[key] for key in DataParams.model_fields if key in decision}
    data = params.data.model_copy(update=decoding)
    sources = find_sources(root, data.classes, data.frames)
    extras = tabulate_extras(sources)
    with (
        open_scratch(SCRATCH, len(sources), data.image_size) as images,
        open_scratch(SCRATCH, len(sources), SIDE) as thumbnails,
    ):
        table = decode_sources(root, sources, images, thumbnails, data)
        pixels = images.read(range(len(sources)))
    table["group"] = name_patients(sources, params.split)
    return pixels, table[COLUMNS].join(extras)


def leave_out_seen(table: pd.DataFrame, manifest: Path) -> pd.DataFrame:
    """Give a reason to images whose very file was in the model's training or validation part."""
    if not manifest.is_file():
        return table
    known = load_manifest(manifest)
    seen = set(known.loc[known["split"].isin(["train", "val"]), "sha256"])
    return table.assign(reason=table["reason"].mask(table["sha256"].isin(seen), SEEN))


def find_drift(
    reference: Path, part: Part, rows: pd.DataFrame, p: np.ndarray, plots: Path, seed: int
) -> dict[str, Any]:
    """How unlike the training images these are: see `drift`; also plots/external/NAME/drift.csv."""
    if not reference.is_file():
        told = "this model has no models/reference.csv, so its drift is unknown: run `dvc repro`"
        return {"domain_auc": None, "sentence": told}
    described = describe_images(part.images, rows)
    described["p"] = p[described["row"]]
    drift, table = measure_drift(pd.read_csv(reference), described, seed)
    write_csv(plots / "drift.csv", table)
    return drift
