"""Another data set is found, decoded for the model, and rid of what the model has seen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pneumonia.data.decode import decode_file
from pneumonia.data.store import Part
from pneumonia.errors import InputError
from pneumonia.evaluation.external import (
    SEEN,
    check_name,
    find_drift,
    find_root,
    keep_known_subgroups,
    leave_out_seen,
    open_model,
    read_images,
)
from pneumonia.files import hash_file
from pneumonia.params import Params

DECISION = {"name": "trained_on", "image_size": 24, "keep_aspect": False}


def test_a_name_below_raw_comes_before_a_path(tmp_path: Path) -> None:
    raw, elsewhere = tmp_path / "raw", tmp_path / "elsewhere"
    (raw / "set").mkdir(parents=True)
    elsewhere.mkdir()
    assert find_root("set", raw) == raw / "set"
    assert find_root(str(elsewhere), raw) == elsewhere
    with pytest.raises(InputError, match=r"none \(none\) and no folder"):
        find_root("nowhere", tmp_path / "none")
    with pytest.raises(InputError, match=r"nowhere is no data set in .*raw \(set\)"):
        find_root("nowhere", raw)
    assert check_name("covid_ct") == "covid_ct"
    with pytest.raises(InputError, match=r"'\.\./x' cannot name"):
        check_name("../x")


def test_images_are_decoded_as_the_model_wants_them(
    make_images, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = make_images("other", patients=3)
    (root / "NORMAL" / "broken.png").write_text("no image")
    images, table = read_images(root, DECISION, params)
    assert images.shape == (13, 24, 24)
    assert len(table) == 13
    for number in (1, 12):
        path = root / table["path"].iloc[number]
        np.testing.assert_array_equal(images[number], decode_file(path, 24, keep_aspect=False))
        assert table["sha256"].iloc[number] == hash_file(path)
    broken = table.set_index("path").loc["NORMAL/broken.png"]
    assert broken["reason"] == "not an image"
    assert table.loc[table["label"] == 1, "group"].nunique() == 3


def test_what_the_model_has_seen_is_left_out(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    known = {"sha256": ["a", "b", "c", "d"], "split": ["train", "val", "test", ""]}
    pd.DataFrame(known | {"label": 0, "row": 0}).to_csv(manifest, index=False)
    table = pd.DataFrame({"sha256": list("abcde"), "reason": ["", "", "", "", "not an image"]})
    found = leave_out_seen(table, manifest)["reason"]
    assert list(found) == [SEEN, SEEN, "", "", "not an image"]
    assert leave_out_seen(table, tmp_path / "none.csv") is table


def test_subgroups_that_the_set_does_not_have_are_not_asked_for(params: Params) -> None:
    rows = pd.DataFrame({"sex": ["F"], "group": ["1"]})
    asked = params.evaluate.model_copy(update={"subgroups": ["age", "sex"]})
    assert keep_known_subgroups(asked, rows).subgroups == ["sex"]
    assert keep_known_subgroups(params.evaluate, rows).subgroups == "auto"


def test_a_model_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    missing = pytest.raises(InputError, match=r"workspace has no models/model\.keras")
    with missing, open_model("workspace"):
        pass
    Path("models").mkdir()
    names = ["decision.json", "model.keras", "typicality.npy"]
    for name in names:
        Path("models", name).write_text("{}")
    with open_model("workspace") as folder:
        assert sorted(path.name for path in folder.iterdir()) == names


def test_drift_without_a_reference_is_unknown(tmp_path: Path) -> None:
    part = Part(np.zeros((2, 4, 4), "uint8"), np.array([0, 1]))
    drift = find_drift(tmp_path / "none.csv", part, pd.DataFrame(), np.zeros(2), tmp_path, 1)
    assert drift["domain_auc"] is None
    assert "unknown" in drift["sentence"]
