"""Changed copies of training and validation images, paid once for all trials and epochs."""

from pathlib import Path

from pneumonia.errors import run


def main(
    train: Path = Path("data/split/train"),
    val: Path = Path("data/split/val"),
    output: Path = Path("data/augmented"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write some versions of each image, the first unchanged, and previews; val's in `val`."""
    from pneumonia.augment import augment_parts
    from pneumonia.data.store import load_part
    from pneumonia.params import load_params

    settings = load_params(params)
    augment_parts(load_part(train), load_part(val), output, settings.augment, settings.seed)


if __name__ == "__main__":
    run(main)
