"""What lies in a data set's folder: CLASS/FILE, SPLIT/CLASS/FILE, or what manifest.csv lists."""

from dataclasses import dataclass
from pathlib import Path

from pneumonia.data.decode import SUFFIXES
from pneumonia.data.listing import MANIFEST, Entry, read_listing
from pneumonia.errors import InputError

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Source:
    """An image file: its path below the data set's folder, its label, its published part.

    `patient` is '' where nothing tells it; `extra` holds the manifest's other columns.
    """

    path: str
    label: int
    published: str = ""
    patient: str = ""
    extra: tuple[tuple[str, str], ...] = ()


def find_sources(root: Path, classes: dict[str, int]) -> list[Source]:
    """All images of the folder `root`, sorted by path: what manifest.csv lists, or the files below.

    Raises InputError for a missing or empty folder, a bad manifest.csv (naming the line), an
    unknown class, or images of one label only.
    """
    table = root / MANIFEST
    if table.is_file():
        sources = [_from_entry(table, entry, classes) for entry in read_listing(table)]
    else:
        sources = _find_in_folders(root, classes)
    if len({source.label for source in sources}) < 2:
        only = sources[0].label
        raise InputError(f"{root} has images of one label only ({only}): both 0 and 1 are needed")
    return sorted(sources)


def _from_entry(table: Path, entry: Entry, classes: dict[str, int]) -> Source:
    label = {"0": 0, "1": 1, **classes}.get(entry.label)
    if label is None:
        raise InputError(
            f"{table}, line {entry.line}: data.classes does not name the label {entry.label!r}; "
            f"write 0 or 1, or add '{entry.label}: 0' (or 1) to data.classes in params.yaml"
        )
    if entry.split and entry.split.lower() not in SPLITS:
        raise InputError(
            f"{table}, line {entry.line}: the split {entry.split!r} is not train, val or test"
        )
    published = SPLITS[entry.split.lower()] if entry.split else ""
    return Source(entry.path, label, published, entry.patient, entry.extra)


def _find_in_folders(root: Path, classes: dict[str, int]) -> list[Source]:
    sources = []
    for folder, published in find_class_folders(root):
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
    return sources


def find_class_folders(root: Path) -> list[tuple[Path, str]]:
    """The folders of the classes, each with its published part ('' where there is none)."""
    if not root.is_dir():
        raise InputError(
            f"{root} does not exist: name a folder of images; a data set comes into the project "
            "with `pneumonia data import NAME PATH`"
        )
    folders = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if not folders:
        raise InputError(f"{root} holds no class folders: put images into CLASS/FILE, or list them")
    if not all(folder.name.lower() in SPLITS for folder in folders):
        return [(folder, "") for folder in folders]
    return [
        (path, SPLITS[folder.name.lower()])
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name[0] != "."
    ]
