"""Pictures of where the model looks, for image files of one's own."""

from pathlib import Path
from typing import Any

import numpy as np

from pneumonia.data.decode import decode_file
from pneumonia.errors import InputError
from pneumonia.files import read_json
from pneumonia.plots.heat import draw_pair
from pneumonia.plots.style import open_figure
from pneumonia.prediction import predict_files

SIZE = (8.0, 4.4)  # inches


def explain_files(paths: list[Path], models: Path, output: Path) -> list[dict[str, Any]]:
    """Write one picture a file to the folder `output`; rows as of predict_files, with `picture`.

    Raises InputError where the model or an image is missing or unreadable, naming it, and where
    two files would give pictures of one name; nothing is written then.
    """
    targets = [output / f"{path.stem}.heat.png" for path in paths]
    if doubled := sorted({str(target) for target in targets if targets.count(target) > 1}):
        raise InputError(f"two of the files would both become {doubled[0]}: name them differently")
    rows = predict_files(paths, models)
    from pneumonia.model import load_model
    from pneumonia.saliency import map_heat

    how = read_json(models / "decision.json")
    images = np.stack(
        [decode_file(path, how["image_size"], keep_aspect=how["keep_aspect"]) for path in paths]
    )
    heat = map_heat(load_model(models / "model.keras"), images)
    for image, hot, row, target in zip(images, heat, rows, targets, strict=True):
        title = f"{Path(row['file']).name}: P(pneumonia) = {row['probability']:.3f}, {row['name']}"
        with open_figure(target, SIZE, colours=None) as figure:
            draw_pair(figure, image, hot, title)
    return [row | {"picture": str(target)} for row, target in zip(rows, targets, strict=True)]
