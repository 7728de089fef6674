"""Simulated chest radiographs with and without pneumonia, with known lesions.

Simple anatomy, not clinical data: they show that the pipeline runs, offline and in seconds. Some
opacities are too faint to see and some normals carry shadows that resemble one, so that no model
is perfect. A folder's content depends on seed and count alone, and a patient on seed and number:
all is float64 until it is rounded to grey values, which hides how processors differ.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from pneumonia.data import phantom_anatomy as anatomy_of
from pneumonia.data.phantom_anatomy import LEFT, RIGHT, Anatomy, View, rise
from pneumonia.errors import InputError, run
from pneumonia.progress import track

SICK_SHARE = 0.55
IMAGES_PER_PATIENT = (0.30, 0.28, 0.22, 0.12, 0.08)  # shares of patients with 1, 2, … images
VISIBLE = 0.35  # of a lesion's own peak: what its mask takes in


@dataclass(frozen=True)
class Lesion:
    """An opacity: ellipse with a ragged, soft border; lengths in the patient's frame."""

    side: int
    centre: tuple[float, float]
    radii: tuple[float, float]
    density: float  # at its middle, as a share of the grey scale
    softness: float
    grain: float
    texture: np.ndarray  # float64 (24, 24)


@dataclass(frozen=True)
class Patient:
    """One simulated person: label 1 with lesions, 0 without."""

    label: int
    anatomy: Anatomy
    lesions: list[Lesion]


@dataclass(frozen=True)
class Sample:
    """One radiograph: `path` relative to the set, image uint8 (H, W), lesion mask bool (H, W)."""

    path: str
    image: np.ndarray
    mask: np.ndarray


def simulate_samples(images: int, seed: int) -> Iterator[Sample]:
    """All radiographs of a set, patient by patient; both classes from the second patient on."""
    made = number = 0
    while made < images:
        number += 1
        rng = np.random.default_rng([seed, number])
        sick = int(number * SICK_SHARE) > int((number - 1) * SICK_SHARE)
        patient = simulate_patient(rng, sick)
        count = min(1 + rng.choice(5, p=IMAGES_PER_PATIENT), images - made)
        for view in range(1, count + 1):
            name = f"{'PNEUMONIA' if sick else 'NORMAL'}/patient{number:04d}_{view}.png"
            yield Sample(name, *simulate_image(rng, patient))
        made += count


def simulate_patient(rng: np.random.Generator, sick: bool) -> Patient:
    """Draw a person's anatomy and, if `sick`, one to four opacities."""
    anatomy = draw_anatomy(rng)
    severity = rng.beta(1.7, 1.1)  # the opacities of a person resemble each other in density
    count = 1 + rng.binomial(3, 0.25 + 0.4 * severity)
    lesions = [draw_lesion(rng, anatomy, severity) for _ in range(count)] if sick else []
    return Patient(int(sick), anatomy, lesions)


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    base = rng.uniform(0.5, 0.68)
    heart_width = rng.uniform(0.28, 0.4)
    return Anatomy(
        body_width=rng.uniform(0.88, 1.1),
        neck_width=rng.uniform(0.2, 0.3),
        lung_width=rng.uniform(0.52, 0.66),
        lung_apex=rng.uniform(-0.82, -0.7),
        lung_base=base,
        dome_height=rng.uniform(0.16, 0.28),
        medial_gap=rng.uniform(0.09, 0.14),
        heart_centre=(rng.uniform(0.08, 0.16), base - rng.uniform(0.22, 0.32)),
        heart_radii=(heart_width, heart_width * rng.uniform(0.8, 1.05)),
        heart_tilt=rng.uniform(0.2, 0.8),
        rib_spacing=rng.uniform(0.145, 0.185),
        rib_slope=rng.uniform(0.3, 0.9),
        rib_strength=rng.uniform(0.035, 0.1),
        clavicle_slope=rng.uniform(0.0, 0.25),
        breast=rng.choice([0.0, 1.0], p=[0.65, 0.35]) * rng.uniform(0.03, 0.11),
        vessel_strength=rng.uniform(0.08, 0.2),
        vessels=[draw_vessel(rng, side) for side in (RIGHT, LEFT) for _ in range(11)],
        texture=draw_texture(rng),
    )


def draw_vessel(rng: np.random.Generator, side: int) -> np.ndarray:
    """A wandering line from the hilum outwards, float64 (9, 2)."""
    angle = rng.uniform(-1.3, 1.3) + np.cumsum(rng.normal(0, 0.16, 8))
    steps = rng.uniform(0.04, 0.075) * np.stack([side * np.cos(angle), np.sin(angle)], axis=1)
    start = np.array([side * 0.17, rng.uniform(-0.1, 0.08)])
    return start + np.vstack([np.zeros(2), np.cumsum(steps, axis=0)])


def draw_texture(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(0, 1, (24, 24))


def draw_lesion(rng: np.random.Generator, anatomy: Anatomy, severity: float) -> Lesion:
    """An opacity in a random zone, from hardly there to dense, from nodule to lobe."""
    side = int(rng.choice([RIGHT, LEFT], p=[0.57, 0.43]))
    size = rng.uniform(0.2, 0.36)
    across = anatomy.medial_gap + anatomy.lung_width * rng.uniform(0.3, 0.8)
    top = anatomy.lung_apex + 0.2
    return Lesion(
        side=side,
        centre=(side * across, top + (anatomy.lung_base - 0.12 - top) * rng.beta(2.2, 1.2)),
        radii=(size, size * rng.uniform(0.7, 1.4)),
        density=(0.06 + 0.34 * severity) * rng.uniform(0.85, 1.15),
        softness=rng.uniform(0.08, 0.22),
        grain=rng.uniform(0.15, 0.6),
        texture=draw_texture(rng),
    )


def simulate_image(rng: np.random.Generator, patient: Patient) -> tuple[np.ndarray, np.ndarray]:
    """A radiograph uint8 (H, W) of a patient and where its opacities are, bool (H, W)."""
    view = draw_view(rng)
    anatomy = patient.anatomy
    lungs = np.maximum(*(anatomy_of.shape_lung(view, anatomy, side) for side in (RIGHT, LEFT)))
    opacity = shade_lesions(rng, view, patient.lesions)
    shadows = draw_shadows(rng, view)
    tissue = anatomy_of.shade_body(view, anatomy)
    air = 0.38 + 0.035 * anatomy_of.sample_texture(view, anatomy.texture, 0.35)
    inside = shade_lungs(view, anatomy) + opacity + shadows
    bones = anatomy_of.shade_ribs(view, anatomy) + anatomy_of.shade_clavicles(view, anatomy)
    heart = anatomy_of.shape_heart(view, anatomy)
    open_lung = lungs * (1 - heart)
    total = tissue - open_lung * air + lungs * (1 - 0.5 * heart) * inside + 0.1 * heart
    total += (bones + anatomy_of.shade_middle(view)) * (tissue > 0.2)
    total += anatomy_of.shade_breasts(view, anatomy) + draw_stomach(rng, view) * (1 - lungs)
    lesion = lungs * opacity
    mask = lesion > max(VISIBLE * lesion.max(), 1e-6)
    return expose(rng, total + draw_electrodes(rng, view)), mask


def draw_view(rng: np.random.Generator) -> View:
    """Size, framing and a slight turn of one exposure."""
    width = int(rng.integers(120, 161))
    height = int(width * rng.uniform(0.82, 1.12))
    zoom = rng.uniform(0.98, 1.2) * width / 2
    angle, squeeze = np.deg2rad(rng.normal(0, 2.5)), rng.uniform(0.88, 1.05)
    cos, sin = np.cos(angle), np.sin(angle)
    linear = zoom * np.array([[cos, -sin * squeeze], [sin, cos * squeeze]])
    middle = np.array([width / 2, 0.5 * height]) + rng.normal(0, 0.025, 2) * width
    back = np.linalg.inv(linear)
    x, y = np.meshgrid(np.arange(width) - middle[0], np.arange(height) - middle[1])
    u = back[0, 0] * x + back[0, 1] * y
    v = back[1, 0] * x + back[1, 1] * y
    return View(u, v, np.column_stack([linear, middle]))


def shade_lesions(rng: np.random.Generator, view: View, lesions: list[Lesion]) -> np.ndarray:
    """Opacity added in the lungs; from day to day a lesion spreads or clears."""
    total = np.zeros_like(view.u)
    for lesion in lesions:
        growth, clearing = rng.uniform(0.85, 1.15), rng.uniform(0.75, 1.25)
        radii = (lesion.radii[0] * growth, lesion.radii[1] * growth)
        inside = anatomy_of.ellipse(view, lesion.centre, radii)
        inside += 0.22 * anatomy_of.sample_texture(view, lesion.texture, 0.5)
        grain = 1 + lesion.grain * anatomy_of.sample_texture(view, lesion.texture[::-1], 1.5)
        shade = rise(inside, lesion.softness) * np.clip(grain, 0.2, 1.8)
        total += clearing * lesion.density * shade * (lesion.side * view.u > 0)
    return 0.4 * np.tanh(total / 0.4)


def shade_lungs(view: View, anatomy: Anatomy) -> np.ndarray:
    """Markings of healthy lungs: vessels, and crowding towards the bases."""
    crowding = 0.05 * rise(view.v - 0.3, 0.12)
    return anatomy_of.shade_vessels(view, anatomy) + anatomy_of.shade_hila(view) + crowding


def draw_shadows(rng: np.random.Generator, view: View) -> np.ndarray:
    """What resembles an opacity and is none: overlap, folds of skin, a nipple."""
    side = int(rng.choice([RIGHT, LEFT]))
    haze = 0.012 * anatomy_of.sample_texture(view, draw_texture(rng), 0.16)
    centre = (side * rng.uniform(0.2, 0.65), rng.uniform(-0.4, 0.5))
    radii = (rng.uniform(0.1, 0.28), rng.uniform(0.1, 0.28))
    blob = rise(anatomy_of.ellipse(view, centre, radii), 0.2)
    nipple = rise(anatomy_of.ellipse(view, (side * 0.5, 0.33), (0.035, 0.035)), 0.2)
    overlap = rng.uniform(0.02, 0.07) * (rng.random() < 0.3)
    return haze + overlap * blob + rng.uniform(0.02, 0.07) * (rng.random() < 0.2) * nipple


def draw_stomach(rng: np.random.Generator, view: View) -> np.ndarray:
    return anatomy_of.shade_stomach(view, rng.uniform(0.08, 0.22)) * (rng.random() < 0.4)


def draw_electrodes(rng: np.random.Generator, view: View) -> np.ndarray:
    """Up to three electrodes with their leads, in a quarter of the images."""
    canvas = np.zeros(view.u.shape, np.uint8)
    height, width = view.u.shape
    for _ in range(rng.integers(1, 4) if rng.random() < 0.25 else 0):
        x, y = int(rng.uniform(0.15, 0.85) * width), int(rng.uniform(0.2, 0.75) * height)
        end = (int(rng.uniform(0, width)), height)
        cv2.line(canvas, (x, y), end, 90, 1, cv2.LINE_AA)
        cv2.circle(canvas, (x, y), 3, 255, -1, cv2.LINE_AA)
    return 0.35 * canvas / 255


def expose(rng: np.random.Generator, attenuation: np.ndarray) -> np.ndarray:
    """The picture uint8 (H, W) that an exposure makes: tone, scatter, fall-off, grain."""
    height, width = attenuation.shape
    blurred = cv2.GaussianBlur(attenuation, (0, 0), rng.uniform(0.5, 1.1))
    scatter = cv2.GaussianBlur(blurred, (0, 0), 0.15 * width)
    tone = np.clip(blurred + rng.uniform(0.05, 0.25) * (scatter - blurred), 0, None)
    tone = (tone / rng.uniform(0.85, 1.1)) ** rng.uniform(0.7, 1.25)
    tilt = np.linspace(-1, 1, width) * rng.normal(0, 0.02)
    tone = rng.uniform(0.0, 0.08) + tone * rng.uniform(0.8, 1.0) + tilt
    grain = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 0.6)
    picture = tone + rng.uniform(0.015, 0.05) * grain
    return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)


def make_phantom(output: Path, images: int, seed: int, masks: bool = False) -> None:
    """Write `images` radiographs as PNG into the new folder `output`, whole or not at all.

    With `masks`, the lesions go to `output`-masks under the same names, 255 inside and 0 outside.
    Raises InputError where one of the folders exists and is not empty.
    """
    folders = [output, output.with_name(f"{output.name}-masks")] if masks else [output]
    for folder in folders:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder} exists already: remove it or choose another --output")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".phantom-") as temporary:
        new = [Path(temporary, folder.name) for folder in folders]
        for sample in track(simulate_samples(images, seed), "phantom", total=images):
            pictures = (sample.image, np.uint8(255) * sample.mask)
            for folder, picture in zip(new, pictures, strict=False):
                write_png(folder / sample.path, picture)
        for source, target in zip(new, folders, strict=True):
            source.replace(target)


def write_png(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def main(
    output: Path = Path("data/raw/phantom"),
    images: Annotated[int, typer.Option(min=4, max=100_000)] = 600,
    seed: Annotated[int, typer.Option(min=0, help="Not params.yaml's: data stay the same.")] = 1,
    masks: Annotated[bool, typer.Option(help="Write the lesions to OUTPUT-masks too.")] = False,
) -> None:
    """Simulate chest radiographs into OUTPUT/NORMAL and OUTPUT/PNEUMONIA."""
    make_phantom(output, images, seed, masks)


if __name__ == "__main__":
    run(main)
