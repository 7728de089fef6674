"""The rim of an image, where hardly any lung is: a label that comes from there is a shortcut.

Source of the concern: Maguolo and Nanni, A Critic Evaluation of Methods for COVID-19 Automatic
Detection from X-Ray Images, arXiv 2004.12823: chest images are told apart with the lungs blacked
out as well.
"""

import numpy as np

from pneumonia.data.store import Part

SHARE = 0.1  # of the side, on all four of them


def mark_rim(height: int, width: int) -> np.ndarray:
    """Whether a pixel is of the rim: bool (H, W)."""
    rim = np.ones((height, width), bool)
    top, left = round(SHARE * height), round(SHARE * width)
    rim[top : height - top, left : width - left] = False
    return rim


def swap_rims(part: Part, seed: int) -> np.ndarray:
    """Images uint8 (N, H, W), each within the rim of one of the other class, drawn evenly.

    With one class alone they stay as they are.
    """
    images = np.array(part.images)
    rim = mark_rim(*images.shape[1:])
    rng = np.random.default_rng(seed)
    sources = np.arange(len(images))
    sides = [np.flatnonzero(part.labels == label) for label in (0, 1)]
    if all(map(len, sides)):
        for own, other in (sides, sides[::-1]):
            sources[own] = rng.choice(other, len(own))
    images[:, rim] = images[:, rim][sources]
    return images
