"""Decode the images of a folder and deal its patients out to train, val and test."""

from pathlib import Path

from pneumonia.errors import run
from pneumonia.files import write_json
from pneumonia.params import load_params


def main(
    source: Path,
    output: Path = Path("data/split"),
    metrics: Path = Path("metrics/data.json"),
    picture: Path = Path("plots/data.png"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write the three parts, the manifest of every file, and the counts as JSON and picture."""
    settings = load_params(params)
    from pneumonia.data.datasheet import draw_counts
    from pneumonia.data.splitting import split_dataset

    figures = split_dataset(source, output, settings.data, settings.split, settings.seed)
    write_json(metrics, figures)
    draw_counts(figures, picture)


if __name__ == "__main__":
    run(main)
