"""params.yaml: what is wrong is named, with section, key, value and allowed range."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pneumonia.errors import InputError
from pneumonia.params import load_params

DEFAULT = Path("params.yaml").read_text()
SEARCHED = "dropout: {min: 0.0, max: 0.5, log: false}"


def load_changed(folder: Path, old: str, new: str) -> str:
    assert old in DEFAULT
    path = folder / "params.yaml"
    path.write_text(DEFAULT.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_params(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("max_trials:", "max_trails:", ["unknown key tune.max_trails", "max_trials"]),
        ("max_trials: 5", "max_trials: 0", ["tune.max_trials is 0", "from 1 to 1000"]),
        ("epochs: 28", "epochs: twelve", ["train.epochs is 'twelve'", "whole number"]),
        ("seed: 1 ", "seed: -1 ", ["seed is -1", "from 0 to 4294967295"]),
        ("strategy: random", "strategy: evolve", ["tune.strategy is 'evolve'", "hyperband"]),
        ("keep_aspect: false", "keep_aspect: 3", ["data.keep_aspect is 3", "true or false"]),
        ("ct_window: null", "ct_window: [40]", ["data.ct_window is [40]", "[centre, width]"]),
        ("ct_window: null", "ct_window: [40, 0]", ["data has a ct_window without a width"]),
        ("frames: first", "frames: last", ["data.frames is 'last'", "first, middle, all"]),
        ("name: phantom", "name: ../x", ["data.name is '../x'"]),
        ("NORMAL: 0", "NORMAL: 2", ["data.classes.NORMAL is 2", "from 0 to 1"]),
        (SEARCHED, "widht: [16]", ["tune has the unknown key space.widht"]),
        (SEARCHED, "members: [3]", ["tune has the unknown key space.members"]),
        (SEARCHED, "width: [512]", ["tune has 512 in space.width", "from 4 to 256"]),
        (SEARCHED, "width: {min: 16, max: 24}", ["min and max in space.width", "a list"]),
        (SEARCHED, "depth: [3.9]", ["tune has 3.9 in space.depth", "whole number"]),
        ("{min: 0.0, max: 0.5,", "{min: -1.0, max: 0.5,", ["tune has -1.0 in space.dropout"]),
        (SEARCHED, "backbone: [vgg]", ["tune has 'vgg' in space.backbone", "one of cnn"]),
        (SEARCHED, "backbone: [cnn, densenet121]", ["model.members is 3", "set it to 1"]),
        ("weights: none", "weights: imagenet", ["model.weights is imagenet", "cnn has none"]),
        ("listen: null", "listen: h:65536", ["tune has listen: h:65536", "below 65536"]),
        ("NORMAL: 0", "0: 0", ["a key of data.classes is 0", "in quotes"]),
        ("backbone: cnn ", "backbone: densenet121 ", ["model has members: 3", "allows only 1"]),
        ("{min: 0.0, max: 0.5,", "{min: 0.6, max: 0.5,", ["tune.space.dropout", "min below max"]),
        ("seed: 1 ", "sead: 1 ", ["unknown key sead"]),
        ("[0.01, 0.05, 0.2]", "[5]", ["evaluate.prevalences.0 is 5", "from 0.0001 to 0.9999"]),
        ("[0.01, 0.05, 0.2]", "5", ["evaluate.prevalences is 5", "a list, each a number"]),
        ("subgroups: auto", "subgroups: sex", ["evaluate.subgroups is 'sex'", "auto", "a list"]),
        ("bacteria: bacteria", "bacteria: '('", ["subgroup_patterns.bacteria '('", "mend it"]),
        ("calibration: platt", "calibration: Platt", ["'Platt'", "temperature, platt"]),
        ("min_size: 16", "min_size: 0", ["data.min_size is 0", "from 1 to 4096"]),
        ("max_pixels: 25000000", "max_pixels: 0", ["data.max_pixels is 0", "to 67108864"]),
        ("on_bad_image: skip", "on_bad_image: ask", ["data.on_bad_image is 'ask'", "skip, fail"]),
        ("max_skipped_share: 0.1", "max_skipped_share: 1.1", ["data.max_skipped_share is 1.1"]),
        ("group_by: patient", "group_by: age", ["split.group_by is 'age'", "patient, name"]),
        ("strategy: stratified", "strategy: x", ["split.strategy is 'x'", "stratified, hashed"]),
        ("near_duplicates: true", "near_duplicates: 8", ["split.near_duplicates is 8"]),
        ("near_distance: 8", "near_distance: 17", ["split.near_distance is 17", "from 0 to 16"]),
        ("repair_published: true", "repair_published: 1", ["split.repair_published is 1"]),
        ("folds: 0", "folds: 1", ["split has folds: 1", "0, or 2 to 20"]),
        ("  fold: 0", "  fold: 3", ["split has fold: 3", "with folds: 0 it is 0 to 0"]),
    ],
)
def test_error_names_key_value_and_range(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    message = load_changed(tmp_path, old, new)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_missing_broken_and_empty_files(tmp_path: Path) -> None:
    for content in (None, "a: [", "- 1", "a: 1\nb: :\n- 3"):
        path = tmp_path / "params.yaml"
        if content:
            path.write_text(content)
        with pytest.raises(InputError, match=r"params\.yaml"):
            load_params(path)


@given(st.integers(1, 1000))
def test_values_in_range_are_kept(tmp_path_factory: pytest.TempPathFactory, trials: int) -> None:
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(DEFAULT.replace("max_trials: 5", f"max_trials: {trials}"))
    assert load_params(path).tune.max_trials == trials


def test_every_key_is_commented() -> None:
    for line in DEFAULT.splitlines()[1:]:
        key = line.split("#")[0].strip()
        inside_classes = key.split(":")[0] in {"NORMAL", "PNEUMONIA", "NonCOVID", "COVID"}
        inside_space = line.startswith("    ")
        section = not line.startswith(" ")
        if key and not (inside_classes or inside_space) and (not section or key[-1] != ":"):
            assert "#" in line or key.startswith("group_pattern"), line
