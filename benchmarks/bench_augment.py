"""Images a second and core of the augmentation, beside bare cv2.warpAffine in the same run."""

import cv2
import numpy as np
from timing import measure_rates

from pneumonia.augment import DRAWS, Ranges, change_images, compose_matrices, warp

ALL = Ranges(
    horizontal_flip=True, shear_range=0.2, zoom_range=0.2, translation_range=0.05, aspect_range=0.3,
    rotation_range=5.0, brightness_range=0.1, contrast_range=0.2, gamma_range=0.3,
)  # fmt: skip
COUNT, ROUNDS = 2000, 7
BARE = "bare cv2.warpAffine"


def compare(size: int) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (COUNT, size, size), dtype=np.uint8)
    draws = rng.uniform(-1, 1, (COUNT, DRAWS))
    matrices = compose_matrices(draws, ALL, height=size, width=size)
    pairs = list(zip(images, matrices, strict=True))
    rates = measure_rates(
        {
            BARE: lambda: [cv2.warpAffine(image, m, (size, size)) for image, m in pairs],
            "our warp": lambda: [warp(image, matrix) for image, matrix in pairs],
            "draw, warp and table": lambda: change_images(images, rng, ALL),
        },
        COUNT,
        ROUNDS,
    )
    for name, rate in rates.items():
        print(f"{size:4} px  {name:22} {rate:9,.0f} images/s  ratio {rate / rates[BARE]:.2f}")


if __name__ == "__main__":
    cv2.setNumThreads(1)
    for size in (64, 96, 128):
        compare(size)
