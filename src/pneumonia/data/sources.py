"""What lies in a data set's folder: CLASS/FILE, SPLIT/CLASS/FILE, or what manifest.csv lists."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pneumonia.data.decode import is_image, looks_like_dicom, quiet
from pneumonia.data.listing import MANIFEST, Entry, read_listing
from pneumonia.data.pixels import DecodeError
from pneumonia.errors import InputError

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True, order=True)
class Source:
    """An image: its path below the data set's folder, its label, its published part.

    `patient` is '' where nothing tells it; `extra` holds the manifest's other columns and what
    DICOM headers tell. The path of one of several frames ends in #1, #2 ...; `frame` is from 0.
    """

    path: str
    label: int
    published: str = ""
    patient: str = ""
    extra: tuple[tuple[str, str], ...] = ()
    frame: int = 0
    framed: bool = False

    @property
    def file(self) -> str:
        """The file below the data set's folder: the path without the frame's number."""
        return self.path.rpartition("#")[0] if self.framed else self.path


def find_sources(root: Path, classes: dict[str, int], frames: str = "first") -> list[Source]:
    """All images of the folder `root`, sorted by path: what manifest.csv lists, or the files below.

    Of DICOM files with several frames `frames` picks the first, the middle one or all. Raises
    InputError for a missing or empty folder, a bad manifest.csv (naming the line), an unknown
    class, or images of one label only.
    """
    table = root / MANIFEST
    if table.is_file():
        sources = [_from_entry(table, entry, classes) for entry in read_listing(table)]
    else:
        sources = _find_in_folders(root, classes)
    if len({source.label for source in sources}) < 2:
        only = sources[0].label
        raise InputError(f"{root} has images of one label only ({only}): both 0 and 1 are needed")
    with quiet():
        return sorted(_add_headers(root, sources, frames))


def _add_headers(root: Path, sources: list[Source], frames: str) -> list[Source]:
    """What DICOM headers tell: frames, the patient unless it is known, columns for subgroups."""
    from pneumonia.data.dicom import NO_HEADER, name_frames, read_header

    headers = {}
    for source in sources:
        with suppress(DecodeError, OSError):  # it is decoded later: then the reason is listed
            if looks_like_dicom(root / source.path):
                headers[source.path] = read_header(root / source.path)
    if not headers:
        return sources
    result = []
    for source in sources:
        header = headers.get(source.path, NO_HEADER)
        extra = tuple((header.columns | dict(source.extra)).items())
        patient = source.patient or header.patient
        for path, frame in name_frames(source.path, header.frames, frames):
            framed = path != source.path
            result.append(
                Source(path, source.label, source.published, patient, extra, frame, framed)
            )
    return result


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
            for path in find_images(folder)
        ]
    if not sources:
        raise InputError(f"{root} holds no images: put them into CLASS/FILE or SPLIT/CLASS/FILE")
    return sources


def find_images(folder: Path) -> list[Path]:
    """The image files below a folder, sorted. Raises InputError for a name that is not UTF-8."""
    walked = os.walk(folder, onerror=_refuse)
    paths = sorted(Path(place, name) for place, _, names in walked for name in names)
    found = [path for path in paths if is_image(path)]
    for path in found:
        if re.search("[\ud800-\udfff]", str(path)):  # how Python reads bytes that are not UTF-8
            raise InputError(f"the name of {str(path)!a} is not UTF-8: rename the file")
    return found


def _refuse(error: OSError) -> None:
    """A folder that cannot be read is not an empty one."""
    raise error


def find_class_folders(root: Path) -> list[tuple[Path, str]]:
    """The folders of the classes, each with its published part ('' where there is none)."""
    if not root.is_dir():
        raise InputError(
            f"{root} does not exist: name a folder of images; a data set comes into the project "
            "with `pneumonia data import NAME PATH`"
        )
    folders = sorted(
        path
        for path in root.iterdir()
        if path.is_dir() and path.name[0] != "." and path.name != "__MACOSX"  # macOS's, in archives
    )
    if not folders:
        raise InputError(f"{root} holds no class folders: put images into CLASS/FILE, or list them")
    parts = [folder for folder in folders if folder.name.lower() in SPLITS]
    others = [folder for folder in folders if folder not in parts]
    if not parts:
        return [(folder, "") for folder in folders]
    if others:
        raise InputError(f"{others[0]} lies beside {parts[0].name}: move one of them away")
    return [
        (path, SPLITS[folder.name.lower()])
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name[0] != "."
    ]
