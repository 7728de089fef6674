"""Neighbouring slices of one scan: files numbered one after the other whose pictures resemble.

Sets cut out of scans often number their files and name no patient: 1060.png is the slice beside
1061.png. Too unlike for near copies, such pictures still tell the same person.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from pneumonia.data.duplicates import Unions, correlate, sharpen
from pneumonia.data.store import Scratch

RESEMBLE = 0.3  # correlation; how it was chosen: docs/data-checks.md


def join_slices(table: pd.DataFrame, thumbnails: Scratch, unnamed: list[bool]) -> list[str]:
    """Patients (N,): those of the table, but one for each run of neighbouring slices.

    Columns read: path, label, patient, reason; rows of `thumbnails` are the table's positions.
    Only files that are `unnamed` (N,), whose patient the file name alone tells, are joined.
    """
    joined = Unions(len(table))
    for row, following in find_successors(table[unnamed]):
        pictures = sharpen(thumbnails.read([row, following]))
        if correlate(pictures[:1], pictures[1:])[0] >= RESEMBLE:
            joined.join(row, following)
    patients = table["patient"].tolist()
    return [patients[joined.find(row)] for row in range(len(table))]


def find_successors(table: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Index of usable files of one class, numbered one after the other, each its own patient."""
    numbered: dict[tuple[int, str, int], int] = {}
    columns = table[["path", "label", "patient", "reason"]].itertuples(name=None)
    for row, path, label, patient, reason in columns:
        number = re.fullmatch(r"(.*?)(\d+)", patient)
        if number and patient == Path(path).stem and not reason:
            numbered[label, number[1], int(number[2])] = row
    for (label, prefix, number), row in numbered.items():
        following = numbered.get((label, prefix, number + 1))
        if following is not None:
            yield row, following
