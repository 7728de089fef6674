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
    """Write the parts, a manifest of all files, samples, and figures as JSON and data sheet."""
    settings = load_params(params)
    from pneumonia.data.datasheet import draw_datasheet
    from pneumonia.data.splitting import split_dataset
    from pneumonia.progress import warn

    figures, table = split_dataset(source, output, settings.data, settings.split, settings.seed)
    write_json(metrics, figures)
    draw_datasheet(figures, table, picture)
    for text in figures["warnings"]:
        warn(text)


if __name__ == "__main__":
    run(main)
