"""Changed copies of the training images, paid once for all trials and epochs."""

from pathlib import Path

from pneumonia.errors import run


def main(
    train: Path = Path("data/split/train"),
    output: Path = Path("data/augmented"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write `copies` versions of each training image, the first unchanged, and a preview."""
    from pneumonia.augment import Ranges, augment_images
    from pneumonia.data.store import load_part
    from pneumonia.params import load_params

    settings = load_params(params)
    part = load_part(train)
    augment_images(
        part.images,
        part.labels,
        output,
        copies=settings.augment.copies,
        ranges=Ranges(**settings.augment.model_dump(exclude={"copies"})),
        seed=settings.seed,
    )


if __name__ == "__main__":
    run(main)
