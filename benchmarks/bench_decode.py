"""Images a second and core of decoding and resizing, beside bare OpenCV in the same run."""

import tempfile
from pathlib import Path

import cv2
import numpy as np
from timing import measure_rates

from pneumonia.data.decode import decode_file
from pneumonia.data.phantom import simulate_samples

COUNT, ROUNDS, SIZE = 6, 7, 224
GOAL = 0.90
KINDS = {
    "JPEG gray": (".jpg", 1, [cv2.IMWRITE_JPEG_QUALITY, 92]),
    "JPEG colour": (".jpg", 3, [cv2.IMWRITE_JPEG_QUALITY, 92]),
    "PNG 8 bits": (".png", 1, []),
}


def write_radiographs(folder: Path, suffix: str, channels: int, options: list[int]) -> list[Path]:
    """Simulated radiographs of 1000 to 2000 pixels a side, with grain."""
    rng = np.random.default_rng(1)
    paths = []
    for number, sample in enumerate(simulate_samples(COUNT, 1)):
        width = int(rng.integers(1000, 2000))
        height = int(width * rng.uniform(0.7, 1.0))
        large = cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 3, large.shape)
        image = np.clip(large + grain, 0, 255).astype("uint8")
        paths.append(folder / f"{number}{suffix}")
        cv2.imwrite(str(paths[-1]), np.dstack([image] * channels), options)
    return paths


def read_bare(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return cv2.resize(np.asarray(image), (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def compare(kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = write_radiographs(Path(folder), *KINDS[kind])
        rates = measure_rates(
            {
                "bare": lambda: [read_bare(path) for path in paths],
                "ours": lambda: [decode_file(path, SIZE, keep_aspect=False) for path in paths],
            },
            COUNT,
            ROUNDS,
        )
        differences = [
            np.abs(read_bare(path).astype(int) - decode_file(path, SIZE, keep_aspect=False)).max()
            for path in paths
        ]
    print(
        f"{kind:12} bare cv2.imread and resize {rates['bare']:6.1f} images/s  ours "
        f"{rates['ours']:6.1f}  ratio {rates['ours'] / rates['bare']:.2f} (goal {GOAL:.2f})  "
        f"greatest difference {max(differences)} of 255"
    )


if __name__ == "__main__":
    cv2.setNumThreads(1)
    for kind in KINDS:
        compare(kind)
