"""Pictures of where the model looks, for image files of one's own."""

from pathlib import Path
from typing import Any

from pneumonia.errors import InputError
from pneumonia.plots.heat import draw_pair
from pneumonia.plots.style import open_figure
from pneumonia.prediction import decode_images, predict_files

SIZE = (8.0, 4.4)  # inches


def explain_files(paths: list[Path], models: Path, output: Path) -> list[dict[str, Any]]:
    """Write one picture an image to the folder `output`; rows of predict_files, with `picture`.

    Raises InputError where the model or an image is missing or unreadable, naming it, and where
    two images would give pictures of one name; nothing is written then.
    """
    rows = predict_files(paths, models)
    targets = [output / name_picture(row["file"]) for row in rows]
    if doubled := sorted({str(target) for target in targets if targets.count(target) > 1}):
        raise InputError(f"two of the files would both become {doubled[0]}: name them differently")
    from pneumonia.evaluation.decision import read_decision
    from pneumonia.model import load_model
    from pneumonia.saliency import map_heat

    _, images = decode_images(paths, read_decision(models / "decision.json"))
    heat = map_heat(load_model(models / "model.keras"), images)
    for image, hot, row, target in zip(images, heat, rows, targets, strict=True):
        with open_figure(target, SIZE, colours=None) as figure:
            draw_pair(figure, image, hot, describe_row(row))
    return [row | {"picture": str(target)} for row, target in zip(rows, targets, strict=True)]


def name_picture(file: str) -> str:
    """scan.png becomes scan.heat.png, frame scan.dcm#2 becomes scan-2.heat.png."""
    path, _, frame = file.rpartition("#") if "#" in Path(file).suffix else (file, "", "")
    return f"{Path(path).stem}{'-' if frame else ''}{frame}.heat.png"


def describe_row(row: dict[str, Any]) -> str:
    """Name, probability and label of an image; a warning where the model should not be relied on.

    `row` is one of predict_files.
    """
    text = f"{Path(row['file']).name}: P(pneumonia) = {row['probability']:.3f}, {row['name']}"
    return text + ("\nunlike the training images: do not rely on it" if row["atypical"] else "")
