"""A data set told by a table: manifest.csv with a line for each image."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pneumonia.errors import InputError

MANIFEST = "manifest.csv"
KNOWN = ("path", "label", "patient", "split")


@dataclass(frozen=True)
class Entry:
    """A line: path below the table's folder, the words given, and the columns of the user's own."""

    line: int
    path: str
    label: str
    patient: str
    split: str
    extra: tuple[tuple[str, str], ...]


def read_listing(table: Path) -> list[Entry]:
    """The lines of a UTF-8 CSV file with the columns path, label[, patient, split, others].

    Raises InputError with the line number for a missing column or value, an absolute path or one
    with `..`, a path given twice, a file that is not there, and for a table without lines.
    """
    entries: dict[str, Entry] = {}
    for line, row in _read_rows(table):
        entry = _make_entry(table, line, row)
        if first := entries.get(entry.path):
            raise InputError(
                f"{table}, line {line}: {entry.path} stands in line {first.line} already; "
                "remove one of the two"
            )
        entries[entry.path] = entry
    if not entries:
        raise InputError(f"{table} lists no images: write a line path,label for each of them")
    return list(entries.values())


def _read_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and values by column name, stripped; empty lines are passed over."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = _check_header(table, [name.strip() for name in next(reader, [])])
            for values in reader:
                if any(values):
                    if len(values) != len(header):
                        raise InputError(
                            f"{table}, line {reader.line_num}: {len(values)} values for "
                            f"{len(header)} columns; quote values that hold a comma"
                        )
                    stripped = (value.strip() for value in values)
                    yield reader.line_num, dict(zip(header, stripped, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{table} is no CSV file in UTF-8 ({error}): save it as one") from None


def _check_header(table: Path, header: list[str]) -> list[str]:
    if not header:
        raise InputError(f"{table} is empty: its first line must be path,label[,patient,split,…]")
    for name in ("path", "label"):
        if name not in header:
            raise InputError(
                f"{table}, line 1: the column {name} is missing among {', '.join(header)[:200]}; "
                "the first line must be path,label[,patient,split,…], separated by commas"
            )
    if doubled := [name for name in header if not name or header.count(name) > 1]:
        raise InputError(f"{table}, line 1: {doubled[0]!r} names two columns or none; rename it")
    return header


def _make_entry(table: Path, line: int, row: dict[str, str]) -> Entry:
    path = PurePosixPath(row["path"])
    if not row["path"] or not row["label"]:
        raise InputError(f"{table}, line {line}: path or label is empty; fill it in")
    if path.is_absolute() or ".." in path.parts:
        raise InputError(
            f"{table}, line {line}: {path} leads out of {table.parent}; "
            "give paths relative to the table's folder"
        )
    if "\0" in row["path"] or not (table.parent / path).is_file():
        raise InputError(f"{table}, line {line}: {str(path)!r} is no file in {table.parent}")
    extra = tuple((name, value) for name, value in row.items() if name not in KNOWN)
    patient, split = row.get("patient", ""), row.get("split", "")
    return Entry(line, path.as_posix(), row["label"], patient, split, extra)
