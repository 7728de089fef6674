"""Changed copies of the training images, paid once for all trials and epochs."""

from pathlib import Path

from pneumonia.errors import run


def main(
    train: Path = Path("data/split/train"),
    output: Path = Path("data/augmented"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write some versions of each training image, the first unchanged, and a preview."""
    from pneumonia.augment import Ranges, augment_images, count_copies
    from pneumonia.data.store import load_part
    from pneumonia.params import load_params

    settings = load_params(params)
    part, changes = load_part(train), settings.augment
    augment_images(
        part.images,
        part.labels,
        output,
        copies=count_copies(len(part.labels), changes.copies, changes.min_images),
        ranges=Ranges(**changes.model_dump(exclude={"copies", "min_images"})),
        seed=settings.seed,
    )


if __name__ == "__main__":
    run(main)
