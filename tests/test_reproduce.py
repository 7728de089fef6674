"""What `pneumonia reproduce` says of commits, code, parameters and hashes, without a training."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import mlflow
import pytest
from pipeline import Project
from ruamel.yaml import YAML

from pneumonia import reproduce
from pneumonia.cli_reproduce import describe_comparison, show_comparison
from pneumonia.errors import InputError
from pneumonia.params import Params
from pneumonia.provenance import describe_machine, hash_path, hash_results, read_lock


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "Röntgen, #1"  # `dvc config` takes no such path
    root.mkdir()
    project = Project(root)
    project.run("git", "init", "-q", "-b", "main")
    project.name_author()
    project.run("git", "commit", "-q", "--allow-empty", "-m", "Begin")
    return root


def test_an_experiment_is_found_under_its_own_ref(repository: Path) -> None:
    base = reproduce.ask_git(repository, "rev-parse", "HEAD")
    tree = reproduce.ask_git(repository, "rev-parse", "HEAD^{tree}")
    commit = reproduce.ask_git(repository, "commit-tree", tree, "-p", base, "-m", "experiment")
    tags = {"git_commit": base, "dvc_experiment": "try", "dvc_baseline": base}
    found, notes = reproduce.find_commit(tags, repository)
    assert found == base
    assert "dvc exp pull" in notes[0]
    reproduce.ask_git(repository, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/try", commit)
    assert reproduce.find_commit(tags, repository) == (commit, [])


@pytest.mark.parametrize(
    ("commit", "words"),
    [("none", "names no Git commit"), ("--upload-pack=x", "names no Git"), ("1" * 40, "git fetch")],
)
def test_a_commit_that_is_not_here_is_refused(repository: Path, commit: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        reproduce.find_commit({"git_commit": commit}, repository)


def test_outputs_are_judged_one_by_one() -> None:
    logged = {"a": "1", "b": "2", "c": "3"}
    found = reproduce.compare_outputs(logged, {"a": "1", "b": "9", "d": "4"})
    assert found == {"a": "same", "b": "differs", "c": "missing", "d": "not logged"}


def test_lost_changes_of_code_are_named() -> None:
    assert reproduce.note_code({"src/a.py": "1"}, {"src/a.py": "1"}) == []
    (note,) = reproduce.note_code({"src/a.py": "1", "src/b.py": "1"}, {"src/a.py": "2"})
    assert "src/a.py, src/b.py" in note
    assert "a difference says nothing" in note


def test_parameters_are_the_runs_and_valid(tmp_path: Path, params: Params) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(Path("params.yaml").read_text())
    changed = params.model_copy(update={"seed": 7}).model_dump()
    reproduce.take_parameters(path, changed)
    assert Params.model_validate(YAML(typ="safe").load(path)).model_dump() == changed
    written = path.read_bytes()
    reproduce.take_parameters(path, changed)
    assert path.read_bytes() == written


def test_data_that_were_never_committed_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no data/raw/own\.dvc"):
        reproduce.fetch_data(tmp_path, "own", tmp_path, {})


def test_the_environment_of_another_run_is_left_behind(tmp_path: Path) -> None:
    environ = {"PATH": "p", "DVC_ROOT": "r", "MLFLOW_TRACKING_URI": "u", "DVC_EXP_NAME": "e"}
    found = reproduce.clean_environment(environ | {"PYTHONPATH": "other"}, tmp_path)
    assert found == {"PATH": "p", "PYTHONPATH": f"{tmp_path}/src", "PYTHONUNBUFFERED": "1"}


def test_a_folder_is_hashed_by_content_and_names(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep/file").write_text("same")
    first = hash_path(tmp_path / "one")
    assert first == hash_path(tmp_path / "two")
    assert first.endswith(".dir")
    (tmp_path / "two/deep/file").rename(tmp_path / "two/file")
    assert hash_path(tmp_path / "two") != first


def test_hashes_of_code_are_those_of_the_lock_format(tmp_path: Path) -> None:
    """As dvc.lock has them: a copy with the lock alone gives what the lock says."""
    code = hash_results(Path())["code"]
    assert "stages/train.py" in code
    assert not [name for name in code if name.startswith(("data/", "models/"))]
    (tmp_path / "dvc.lock").write_text(Path("dvc.lock").read_text())
    assert hash_results(tmp_path) == read_lock(Path("dvc.lock"))
    assert set(hash_results(tmp_path)["outputs"]) >= {"data/augmented", "metrics/evaluate.json"}


def test_the_machine_is_told_from_others() -> None:
    machine = describe_machine()
    assert int(machine["cores"]) >= 1
    assert "family" in machine["cpu"]
    assert machine["tensorflow"].startswith("2.")


def test_the_exit_code_tells_a_difference(repository: Path, params: Params) -> None:
    """By a pipeline of one stage: what was logged is what it gives, then it is bettered."""
    project = Project(repository)
    evaluation = "metrics/evaluate.json"
    echo = f"mkdir -p metrics && echo '{{\"auc\": 0.9}}' > {evaluation}"
    files = {
        "dvc.yaml": {"stages": {"evaluate": {"cmd": echo, "outs": [evaluation]}}},
        "data/phantom/dvc.yaml": {"stages": {}},
        "params.yaml": params.model_dump(),
    }
    for name, content in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(json.dumps(content))
    for command in ("dvc init -q", "dvc repro -q", "git add -A", "git commit -q -m Result"):
        project.run(*command.split())
    mlflow.set_tracking_uri(project.database)
    artifacts = (repository / "mlartifacts").as_uri()
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("logged", artifacts))
    outputs = read_lock(repository / "dvc.lock")["outputs"]
    for code, logged in ((0, outputs), (1, {evaluation: "0" * 32})):
        with mlflow.start_run() as run:
            mlflow.log_metric("test_auc", 0.9 + 0.05 * code)
            mlflow.log_dict(params.model_dump(), "params.json")
            mlflow.log_dict({"outputs": logged, "code": {}}, "results.json")
            mlflow.set_tag("git_commit", reproduce.ask_git(repository, "rev-parse", "HEAD"))
        said = project.call("reproduce", run.info.run_id, code=code).out
        assert (f"  differs: {evaluation}\n  auc: logged 0.95, now 0.9\n" in said) == bool(code)


@pytest.fixture
def found() -> reproduce.Comparison:
    return reproduce.Comparison(
        run_id="r" * 32,
        commit="c" * 40,
        outputs={"models/model.keras": "differs", "plots/roc.csv": "same", "new": "not logged"},
        figures={f"figure{number:02d}": (0.5, 0.25) for number in range(20)}
        | {"last": (None, 1.0)},
        machine={"cpu": ("fast", "slow")},
        made_on={"cpu": "fast", "cores": "8"},
        notes=["the data are old"],
    )


def test_a_difference_is_told_with_both_machines(found: reproduce.Comparison) -> None:
    lines = describe_comparison(found)
    assert "  differs: models/model.keras" in lines
    assert "  figure00: logged 0.5, now 0.25" in lines
    assert "  and 9 more figures (--json has them all)" in lines
    assert "made on: cpu fast, cores 8" in lines
    assert "made again on: cpu slow instead of fast" in lines
    assert "note: the data are old" in lines
    assert lines[-1] == "another result: 1 of 3 outputs are the same"


def test_json_holds_everything(found: reproduce.Comparison, capsys) -> None:
    show_comparison(found, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["same"] is False
    assert shown["outputs"]["models/model.keras"] == "differs"
    assert shown["figures"]["last"] == [None, 1.0]
    assert shown["machine"] == {"cpu": ["fast", "slow"]}


def test_a_clone_takes_imported_data_from_the_cache(repository: Path, tmp_path: Path) -> None:
    image = repository / "data/raw/own/image"
    image.parent.mkdir(parents=True)
    image.write_text("grey")
    for command in (
        ["dvc", "init", "-q"],
        ["dvc", "add", "-q", "data/raw/own"],
        ["git", "add", "-A"],
        ["git", "commit", "-q", "-m", "Data"],
    ):
        subprocess.run(command, cwd=repository, check=True)
    commit = reproduce.ask_git(repository, "rev-parse", "HEAD")
    environ = {"PATH": os.environ["PATH"]}
    reproduce.clone(repository, commit, tmp_path / "clone")
    reproduce.fetch_data(tmp_path / "clone", "own", repository, environ)
    assert (tmp_path / "clone/data/raw/own/image").read_text() == "grey"
    shutil.rmtree(repository / ".dvc/cache")
    reproduce.clone(repository, commit, tmp_path / "other")
    with pytest.raises(InputError, match="are not in DVC's cache"):
        reproduce.fetch_data(tmp_path / "other", "own", repository, environ)
