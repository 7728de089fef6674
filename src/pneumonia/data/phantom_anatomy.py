"""Shapes of a simulated frontal chest radiograph, as attenuation that adds up.

All work on a `View`: coordinates of every pixel in the patient's own frame, u from -1 (patient's
right) to 1 and v from -1 (neck) to 1 (abdomen), float64 (H, W). 1 is about the whole grey scale.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

RIGHT, LEFT = -1, 1


@dataclass(frozen=True)
class View:
    """Where a patient's frame lies in a picture: `to_pixels` is a matrix float64 (2, 3)."""

    u: np.ndarray
    v: np.ndarray
    to_pixels: np.ndarray


@dataclass(frozen=True)
class Anatomy:
    """What differs from patient to patient; lengths in the patient's frame."""

    body_width: float
    neck_width: float
    lung_width: float
    lung_apex: float
    lung_base: float
    dome_height: float
    medial_gap: float
    heart_centre: tuple[float, float]
    heart_radii: tuple[float, float]
    heart_tilt: float
    rib_spacing: float
    rib_slope: float
    rib_strength: float
    clavicle_slope: float
    breast: float
    vessel_strength: float
    vessels: list[np.ndarray]  # polylines float64 (points, 2) from hilum to periphery
    texture: np.ndarray  # float64 (24, 24), the patient's own unevenness


def rise(distance: np.ndarray, softness: float) -> np.ndarray:
    """0 outside to 1 inside a border that lies where `distance` is 0."""
    return 0.5 + 0.5 * np.tanh(distance / (2 * softness))


def ellipse(
    view: View, centre: tuple[float, float], radii: tuple[float, float], tilt: float = 0.0
) -> np.ndarray:
    """1 minus the distance from the centre in radii: positive inside."""
    x, y = view.u - centre[0], view.v - centre[1]
    cos, sin = math.cos(tilt), math.sin(tilt)
    along, across = (cos * x + sin * y) / radii[0], (cos * y - sin * x) / radii[1]
    return 1 - np.sqrt(along * along + across * across)


def sample_texture(view: View, texture: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """A small noise field float64 (n, n) stretched smoothly over the patient's frame."""
    side = texture.shape[0] / 2
    places = [(axis * scale + 1) * side for axis in (view.v, view.u)]
    return map_coordinates(texture, places, mode="mirror")


def shade_body(view: View, anatomy: Anatomy) -> np.ndarray:
    """Soft tissue: neck, shoulders and trunk, thinner towards the skin."""
    shoulders = rise(view.v + 0.82 - 0.12 * np.abs(view.u), 0.035)
    width = anatomy.neck_width + (anatomy.body_width - anatomy.neck_width) * shoulders
    depth = np.clip(width - 0.05 * view.v - np.abs(view.u), 0, None)
    return 0.66 * np.sqrt(np.minimum(depth / 0.35, 1)) + 0.06 * rise(depth - 0.02, 0.01)


def shape_lung(view: View, anatomy: Anatomy, side: int) -> np.ndarray:
    """How much of the way through the chest is lung, 0 to 1: apex, lateral wall, dome."""
    across = side * view.u - anatomy.medial_gap
    climb = np.clip((0.15 - view.v) / (0.15 - anatomy.lung_apex), 0, 1)
    width = anatomy.lung_width * np.sqrt(1 - climb**2.2) * (1 + 0.06 * view.v)
    dome_middle = 0.42 * anatomy.lung_width
    dome = anatomy.dome_height * (1 - ((across - dome_middle) / (0.62 * anatomy.lung_width)) ** 2)
    base = anatomy.lung_base + (0.03 if side == LEFT else 0.0) - dome
    inside = np.minimum(np.minimum(across + 0.01, width - across), base - view.v)
    return rise(inside, 0.014)


def shape_heart(view: View, anatomy: Anatomy) -> np.ndarray:
    """How much of the lung in front and behind is displaced by heart and aorta, 0 to 1."""
    heart = rise(ellipse(view, anatomy.heart_centre, anatomy.heart_radii, anatomy.heart_tilt), 0.04)
    knob = rise(ellipse(view, (anatomy.medial_gap, -0.32), (0.08, 0.1)), 0.1)
    trunk = rise(ellipse(view, (0.0, -0.1), (0.17, 0.45)), 0.06)
    return 1 - (1 - 0.9 * heart) * (1 - 0.6 * knob) * (1 - 0.5 * trunk)


def shade_hila(view: View) -> np.ndarray:
    """The roots of the lungs, a soft grey."""
    sides = (
        np.exp(-(((view.u - side * 0.22) / 0.09) ** 2) - ((view.v + 0.03) / 0.16) ** 2)
        for side in (RIGHT, LEFT)
    )
    return np.asarray(0.09 * sum(sides))


def shade_middle(view: View) -> np.ndarray:
    """Spine with its discs, and the windpipe (darker) down to its fork."""
    spine = np.exp(-np.square(np.square(view.u / 0.09))) * (1 + 0.15 * np.sin(24 * view.v))
    windpipe = np.exp(-((view.u / 0.045) ** 2)) * rise(-0.18 - view.v, 0.03)
    return 0.1 * spine - 0.13 * windpipe


def shade_ribs(view: View, anatomy: Anatomy) -> np.ndarray:
    """Posterior ribs that arch outwards and, fainter, anterior ribs that sink to the middle."""
    out = np.abs(view.u)
    arch = anatomy.rib_slope * (1.6 * (out - 0.42) ** 2 + 0.25 * out)
    back = _repeat(view.v - arch, anatomy.rib_spacing, 0.27)
    front = _repeat(view.v + 0.75 * out - 0.5 * out**2, 1.15 * anatomy.rib_spacing, 0.3)
    cage = rise(anatomy.medial_gap + anatomy.lung_width + 0.05 - out, 0.015)
    cage *= rise(view.v - anatomy.lung_apex - 0.02, 0.04) * rise(0.75 - view.v, 0.1)
    anterior = 0.55 * front * rise(out - 0.2, 0.04)
    return anatomy.rib_strength * cage * (back * rise(out - 0.05, 0.02) + anterior)


def _repeat(height: np.ndarray, spacing: float, share: float) -> np.ndarray:
    """Bands of width `share` of the spacing, brighter at their edges like hollow bone."""
    phase = np.abs((height / spacing) % 1 - 0.5)
    band = rise(share - phase, 0.035)
    return band * (0.65 + 0.35 * np.exp(-(((phase - share + 0.06) / 0.05) ** 2)))


def shade_clavicles(view: View, anatomy: Anatomy) -> np.ndarray:
    """Two collar bones, a little S-shaped."""
    out = np.abs(view.u)
    line = -0.6 - anatomy.clavicle_slope * (out - 0.1) + 0.03 * np.sin(7 * out)
    ends = rise(out - 0.1, 0.02) * rise(0.8 - out, 0.03)
    return 0.15 * ends * rise(0.035 - np.abs(view.v - line), 0.008)


def shade_breasts(view: View, anatomy: Anatomy) -> np.ndarray:
    """Soft shadows over the lower fields that end in a curved lower edge."""
    sides = (ellipse(view, (side * 0.48, 0.28), (0.34, 0.3)) for side in (RIGHT, LEFT))
    return np.asarray(anatomy.breast * sum(rise(inside, 0.06) for inside in sides))


def shade_vessels(view: View, anatomy: Anatomy) -> np.ndarray:
    """Vessels that branch from the hila and thin out."""
    canvas = np.zeros(view.u.shape, np.uint8)
    for line in anatomy.vessels:
        points = np.rint(16 * (line @ view.to_pixels[:, :2].T + view.to_pixels[:, 2])).astype(int)
        for step, ends in enumerate(pairwise(points.tolist())):
            grey, thickness = 230 - 22 * step, 1 + (step < 2)
            cv2.line(canvas, *ends, grey, thickness, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(canvas, (0, 0), 0.8) / 255
    return anatomy.vessel_strength * soft


def shade_stomach(view: View, size: float) -> np.ndarray:
    """The gas bubble (darker) under the left dome."""
    return -0.3 * rise(ellipse(view, (0.4, 0.78), (size, 0.6 * size)), 0.15)
