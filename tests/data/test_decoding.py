"""Files that are no use are left out with the reason; too many of them stop the split."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pneumonia.data.decoding import check_skipped, decode_sources
from pneumonia.data.sources import find_sources
from pneumonia.data.store import Scratch, open_scratch
from pneumonia.errors import InputError
from pneumonia.params import DataParams, Params

BAD = {
    "empty.png": "the file is empty",
    "text.png": "not an image",
    "cut.jpg": "cannot be decoded",
    "black.png": "constant: all pixels are equal",
    "plain.jpg": "constant: all pixels are equal",
    "thin.png": "too small: 200 x 10 pixels",
    "huge.png": "too large: 300 x 200 pixels are more than 50,000",
}


@pytest.fixture
def folder(make_images) -> Path:
    """16 good files and one of each bad kind."""
    root = make_images(patients=4)
    noise = np.random.default_rng(0).integers(0, 256, (200, 300), dtype=np.uint8)
    bad = root / "NORMAL"
    (bad / "empty.png").touch()
    (bad / "text.png").write_text("no image")
    cv2.imwrite(str(bad / "cut.jpg"), noise[:100, :100])
    (bad / "cut.jpg").write_bytes((bad / "cut.jpg").read_bytes()[:2000])
    cv2.imwrite(str(bad / "black.png"), np.zeros((50, 50), "uint8"))
    cv2.imwrite(str(bad / "plain.jpg"), np.full((50, 50), 93, "uint8"))
    cv2.imwrite(str(bad / "thin.png"), noise[:10, :200])
    cv2.imwrite(str(bad / "huge.png"), noise)
    return root


def decode(
    root: Path, data: DataParams, workers: int = 2, missing: str = ""
) -> tuple[pd.DataFrame, np.ndarray]:
    sources = find_sources(root, data.classes)
    if missing:
        (root / missing).unlink()
    count = len(sources)
    with open_scratch(root, count, 24) as images, open_scratch(root, count, 64) as thumbnails:
        table = decode_sources(root, sources, images, thumbnails, data, workers)
        return table, read_all(images, thumbnails, count)


def read_all(images: Scratch, thumbnails: Scratch, count: int) -> np.ndarray:
    rows = np.arange(count)
    return np.hstack([scratch.read(rows).reshape(count, -1) for scratch in (images, thumbnails)])


def change(params: Params, **values: object) -> DataParams:
    return params.data.model_copy(update={"max_skipped_share": 0.5, **values})


def test_each_bad_file_has_its_reason(params: Params, folder: Path) -> None:
    table, _ = decode(folder, change(params, max_pixels=50_000))
    bad = table[table["reason"] != ""].set_index("path")["reason"]
    assert set(bad.index) == {f"NORMAL/{name}" for name in BAD}
    for name, reason in BAD.items():
        assert bad[f"NORMAL/{name}"].startswith(reason)
    assert table["width"].isna().equals(table["reason"] != "")


def test_a_file_that_went_away_is_listed(params: Params, folder: Path) -> None:
    path = "PNEUMONIA/patient1000_0.png"
    table, _ = decode(folder, change(params), missing=path)
    reason = table.set_index("path").loc[path, "reason"]
    assert reason == "cannot be read: No such file or directory"


def test_bounds_are_parameters(params: Params, folder: Path) -> None:
    table, _ = decode(folder, change(params, min_size=10))
    left = set(table.loc[table["reason"] != "", "path"])
    assert left == {f"NORMAL/{name}" for name in list(BAD)[:5]}
    with pytest.raises(InputError, match="no image can be read; the first is NORMAL/black"):
        decode(folder, change(params, max_pixels=100, max_skipped_share=1.0))


def test_fail_names_the_first_bad_file(params: Params, folder: Path) -> None:
    words = r"NORMAL/black\.png cannot be used \(constant.*\) and data\.on_bad_image is fail"
    with pytest.raises(InputError, match=words):
        decode(folder, change(params, on_bad_image="fail"))


def test_too_many_bad_files_name_figure_key_and_first_file(params: Params, folder: Path) -> None:
    words = r"6 of 23 files \(26\.1%\) .* data\.max_skipped_share \(0\.2\).* NORMAL/black\.png"
    with pytest.raises(InputError, match=words):
        decode(folder, change(params, max_skipped_share=0.2))


def test_the_bound_itself_is_allowed() -> None:
    table = pd.DataFrame({"path": list("abcd"), "reason": ["", "", "", "empty"]})
    check_skipped(table, 0.25)
    with pytest.raises(InputError, match="25"):
        check_skipped(table, 0.24)


def test_the_number_of_workers_changes_nothing(params: Params, folder: Path) -> None:
    one, pixels = decode(folder, change(params), workers=1)
    many, same = decode(folder, change(params), workers=5)
    pd.testing.assert_frame_equal(one, many)
    np.testing.assert_array_equal(pixels, same)


def test_grey_values_are_measured(params: Params, tmp_path: Path) -> None:
    image = np.full((100, 50), 100, "uint8")
    image[:2], image[-2:], image[:, :2], image[:, -2:] = 10, 10, 10, 10
    for name in ("NORMAL", "PNEUMONIA"):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "a.png"), image)
    row = decode(tmp_path, params.data)[0].iloc[0]
    assert (row["width"], row["height"], row["border"]) == (50, 100, 10)
    assert row["brightness"] == pytest.approx(image.mean(), abs=1e-3)
    assert row["contrast"] == pytest.approx(image.std(), abs=1e-3)
    assert row["bytes"] == (tmp_path / "NORMAL" / "a.png").stat().st_size
