"""Train the model with the best hyperparameters; its MLflow run is open meanwhile."""

import os
from pathlib import Path

from pneumonia.errors import run
from pneumonia.files import find_root, hash_work, own_work, read_json, write_csv, write_json
from pneumonia.params import ModelParams, load_params


def main(
    augmented: Path = Path("data/augmented"),
    val: Path = Path("data/split/val"),
    manifest: Path = Path("data/split/manifest.csv"),
    models: Path = Path("models"),
    metrics: Path = Path("metrics/train.json"),
    plots: Path = Path("plots"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write model.keras, the weights and curves of every epoch, and what was reached."""
    settings = load_params(params)
    best = ModelParams(**read_json(models / "hyperparameters.json"))
    from pneumonia.crossfit import load_crossed
    from pneumonia.data.store import load_copies, load_manifest, load_part
    from pneumonia.model import save_model
    from pneumonia.tracking.result import ResultFiles, describe_source, read_head, track_training
    from pneumonia.training import keep_epochs, summarise, train_model

    key = hash_work([augmented, val, manifest, best.start], settings.seed, settings.train, best)
    work = find_root(os.environ) / ".cache/train" / key
    source = describe_source(os.environ, manifest, settings.data.name, read_head())
    files = ResultFiles(plots=plots)
    with own_work(work), track_training(settings.tracking, os.environ, source) as tracked:
        tracked.log_start(settings.model_dump(), files)
        model, history = train_model(
            best,
            settings.data.image_size,
            load_copies(augmented),
            load_part(val),
            settings.train,
            seed=settings.seed,
            work=work,
            keep_aspect=settings.data.keep_aspect,
            crossed=load_crossed(augmented, load_manifest(manifest), best.members, settings.train),
            report=tracked.log_history,
        )
        save_model(model, models / "model.keras")
        keep_epochs(work, models / "epochs")
        write_csv(plots / "history.csv", history)
        write_json(metrics, summarise(history, model.count_params()))
        tracked.log_end(model, settings.data.image_size, files)


if __name__ == "__main__":
    run(main)
