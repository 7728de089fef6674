"""Changed copies of the training images, paid once for all trials and epochs."""

from pathlib import Path

from pneumonia.errors import run


def main(
    train: Path = Path("data/split/train"),
    output: Path = Path("data/augmented"),
    params: Path = Path("params.yaml"),
) -> None:
    """Write some versions of each training image, the first unchanged, and a preview."""
    from pneumonia.augment import augment_part
    from pneumonia.data.store import load_part
    from pneumonia.params import load_params

    settings = load_params(params)
    augment_part(load_part(train), output, settings.augment, settings.seed)


if __name__ == "__main__":
    run(main)
