"""Pictures for image files: their names and words; the command itself is in test_pipeline.py."""

import pytest

from pneumonia.explaining import describe_row, name_picture


@pytest.mark.parametrize(
    ("file", "picture"),
    [
        ("a/scan.png", "scan.heat.png"),
        ("a/scan.dcm#12", "scan-12.heat.png"),
        ("slice#3.png", "slice#3.heat.png"),
        ("noend", "noend.heat.png"),
    ],
)
def test_pictures_are_named_after_image_and_frame(file: str, picture: str) -> None:
    assert name_picture(file) == picture


def test_words_say_where_the_model_should_not_be_relied_on() -> None:
    row = {"file": "a/b.png", "probability": 0.25, "name": "no pneumonia", "atypical": False}
    assert describe_row(row) == "b.png: P(pneumonia) = 0.250, no pneumonia"
    assert "do not rely on it" in describe_row(row | {"atypical": True})
