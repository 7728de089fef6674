"""Search the hyperparameters on the augmented training images, judged on validation images."""

from pathlib import Path

from pneumonia.errors import run
from pneumonia.files import hash_work, write_csv, write_json
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
    from pneumonia.data.store import load_part
    from pneumonia.shift import add_shifted
    from pneumonia.tuning import summarise, tune

    judged = load_part(val)
    if settings.tune.judge_on == "shifted":
        judged = add_shifted(judged, settings.seed)
    search = tune(
        load_part(augmented),
        judged,
        settings.tune,
        settings.model,
        settings.train,
        image_size=settings.data.image_size,
        copies=settings.augment.copies,
        seed=settings.seed,
        work=Path(".cache/tune") / hash_work([augmented, val], settings.model_dump()),
    )
    write_json(hyperparameters, search.best.model_dump())
    write_json(metrics, summarise(search))
    write_csv(trials, search.trials)
    write_csv(curves, search.curves)


if __name__ == "__main__":
    run(main)
