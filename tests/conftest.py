"""What several tests need: small folders of generated images and the project's own parameters."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings

from pneumonia.params import Params, load_params

settings.register_profile("patient", deadline=None)  # timing never decides a test
settings.load_profile("patient")

MakeImages = Callable[..., Path]


@pytest.fixture
def params() -> Params:
    return load_params(Path("params.yaml"))


@pytest.fixture
def make_images(tmp_path: Path) -> MakeImages:
    """Write `patients` patients of each class with `images` noise images each; gives the folder."""

    def make(
        folder: str = "set", patients: int = 8, images: int = 2, classes: str = "NORMAL PNEUMONIA"
    ) -> Path:
        root = tmp_path / folder
        for number, name in enumerate(classes.split()):
            (root / name).mkdir(parents=True)
            for patient in range(patients):
                rng = np.random.default_rng([number, patient])
                for image in range(images):
                    pixels = rng.integers(0, 256, (40, 32), dtype=np.uint8)
                    file = f"patient{number}{patient:03d}_{image}.png"
                    cv2.imwrite(str(root / name / file), pixels)
        return root

    return make
