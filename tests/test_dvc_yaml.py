"""dvc.yaml is true: every stage names each module that it imports, and none that it doesn't."""

from pathlib import Path

import pytest
from import_graph import find_modules
from ruamel.yaml import YAML

from pneumonia.params import TrainParams
from pneumonia.tuning import FINAL

STAGES = YAML(typ="safe").load(Path("dvc.yaml"))["stages"]


def test_five_stages_in_order() -> None:
    assert list(STAGES) == ["split", "augment", "tune", "train", "evaluate"]


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_every_imported_module(stage: str) -> None:
    script = Path(f"stages/{stage}.py")
    code = {dep for dep in STAGES[stage]["deps"] if dep.endswith(".py")}
    assert code == {script.as_posix()} | find_modules(script)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_fits_on_a_screen(stage: str) -> None:
    assert len(Path(f"stages/{stage}.py").read_text().splitlines()) <= 60


def test_only_evaluate_reads_the_test_part() -> None:
    readers = [name for name, stage in STAGES.items() if "data/split/test" in stage["deps"]]
    assert readers == ["evaluate"]


def test_tune_depends_on_what_trials_take_over_from_train() -> None:
    """Other epochs of the final training are no reason to search again."""
    named = {name for name in STAGES["tune"]["params"] if name.startswith("train.")}
    assert named == {f"train.{name}" for name in TrainParams.model_fields if name not in FINAL}


def test_evaluate_depends_on_the_templates_of_its_pages() -> None:
    (folder,) = (dep for dep in STAGES["evaluate"]["deps"] if dep.endswith("/templates"))
    assert list(Path(folder).glob("*.j2"))
