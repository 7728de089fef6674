"""What lies in a data set's folder: CLASS/FILE or SPLIT/CLASS/FILE."""

from dataclasses import dataclass
from pathlib import Path

from pneumonia.data.decode import SUFFIXES
from pneumonia.errors import InputError

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Source:
    """An image file: its path below the data set's folder, its label, its published part."""

    path: str
    label: int
    published: str = ""


def find_sources(root: Path, classes: dict[str, int]) -> list[Source]:
    """All image files below `root`, sorted by path.

    Raises InputError for a missing or empty folder, an unknown class or a class without images.
    """
    class_folders = find_class_folders(root)
    sources = []
    for folder, published in class_folders:
        if folder.name not in classes:
            raise InputError(
                f"{folder} is a class that data.classes does not name: add "
                f"'{folder.name}: 0' or '{folder.name}: 1' to it in params.yaml"
            )
        sources += [
            Source(path.relative_to(root).as_posix(), classes[folder.name], published)
            for path in folder.rglob("*")
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ]
    if not sources:
        raise InputError(f"{root} holds no images: put them into CLASS/FILE or SPLIT/CLASS/FILE")
    if len({source.label for source in sources}) < 2:
        names = ", ".join(sorted({folder.name for folder, _ in class_folders}))
        raise InputError(f"{root} has images of one label only ({names}): both 0 and 1 are needed")
    return sorted(sources)


def find_class_folders(root: Path) -> list[tuple[Path, str]]:
    """The folders of the classes, each with its published part ('' where there is none)."""
    if not root.is_dir():
        raise InputError(
            f"{root} does not exist: name a folder of images; a data set comes into the project "
            "with `pneumonia data import NAME PATH`"
        )
    folders = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if not folders:
        raise InputError(f"{root} holds no class folders: put images into CLASS/FILE")
    if not all(folder.name.lower() in SPLITS for folder in folders):
        return [(folder, "") for folder in folders]
    return [
        (path, SPLITS[folder.name.lower()])
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name[0] != "."
    ]
