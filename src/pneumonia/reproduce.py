"""Making a logged result once more, in a clone of its own, and comparing it with what was logged.

The clone has the run's commit (a DVC experiment's own, where it is here) and the run's parameters;
it shares DVC's cache, from which imported data come, but takes no result from it and puts none in.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pneumonia.errors import InputError
from pneumonia.files import read_json, write_text
from pneumonia.git import run_git
from pneumonia.provenance import Hashes, describe_machine, read_lock
from pneumonia.tracking.result import list_numbers

OWN_VARIABLES = ("DVC_EXP_", "DVC_ROOT", "DVC_STAGE", "MLFLOW_", "PYTHONPATH")


@dataclass(frozen=True)
class Logged:
    """What a run tells of its result: tags, parameters as in params.yaml, hashes, test figures."""

    run_id: str
    tags: dict[str, str]
    parameters: dict[str, Any]
    results: dict[str, Hashes]
    figures: dict[str, float]

    @property
    def machine(self) -> dict[str, str]:
        start = "machine."
        return {k.removeprefix(start): v for k, v in self.tags.items() if k.startswith(start)}


@dataclass(frozen=True)
class Comparison:
    """A result made once more: `outputs` says same, differs, missing or not logged of each path.

    `figures` are those of the test part that differ (logged, now), `machine` what is another one
    than it was (logged, now); `notes` say what the comparison cannot promise.
    """

    run_id: str
    commit: str
    outputs: dict[str, str]
    figures: dict[str, tuple[float | None, float]]
    machine: dict[str, tuple[str, str]]
    made_on: dict[str, str]
    notes: list[str]

    @property
    def same(self) -> bool:
        return set(self.outputs.values()) <= {"same", "not logged"}


def read_run(run_id: str) -> Logged:
    """Read back a run that `tracking_results.find_run` found.

    Raises InputError where it carries no whole result.
    """
    import mlflow
    from mlflow import artifacts

    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    if parent := run.data.tags.get("mlflow.parentRunId"):
        raise InputError(f"run {run_id} is a trial of run {parent}: give that id")
    found = {item.path for item in client.list_artifacts(run_id)}
    if missing := {"params.json", "results.json"} - found:
        raise InputError(
            f"run {run_id} carries no {min(missing)}: it was not evaluated, or logged by an "
            "earlier version of this project; take another run"
        )
    parameters, results = (
        artifacts.load_dict(f"runs:/{run_id}/{name}") for name in ("params.json", "results.json")
    )
    return Logged(run_id, dict(run.data.tags), parameters, results, dict(run.data.metrics))


def reproduce(logged: Logged, root: Path, folder: Path, environ: Mapping[str, str]) -> Comparison:
    """Run the pipeline of a run again in `folder`, which is made; progress on standard error.

    `root` is the repository that has the commit and DVC's cache. Raises InputError where commit or
    data are not here, or the pipeline fails.
    """
    commit, notes = find_commit(logged.tags, root)
    clone(root, commit, folder)
    take_parameters(folder / "params.yaml", logged.parameters)
    environ = clean_environment(environ, folder)
    fetch_data(folder, logged.parameters["data"]["name"], root, environ)
    if run_pipeline(folder, environ):
        raise InputError(f"the pipeline of run {logged.run_id} failed: see its messages above")
    return compare(logged, folder, commit, notes)


def compare(logged: Logged, folder: Path, commit: str, notes: list[str]) -> Comparison:
    """Hold what `folder` has, a project whose pipeline has just run, against what was logged."""
    now, here, made_on = read_lock(folder / "dvc.lock"), describe_machine(), logged.machine
    return Comparison(
        logged.run_id,
        commit,
        compare_outputs(logged.results["outputs"], now["outputs"]),
        compare_figures(logged.figures, read_json(folder / "metrics/evaluate.json")),
        {k: (made_on.get(k, "?"), here[k]) for k in here if made_on.get(k, "?") != here[k]},
        made_on,
        notes + note_code(logged.results["code"], now["code"]) + note_source(logged.tags),
    )


def find_commit(tags: dict[str, str], root: Path) -> tuple[str, list[str]]:
    """The commit to check out, and what is to be said of it. Raises InputError if it is not here.

    What an experiment ran on is a commit of its own (under refs/exps), not the one it began at.
    """
    notes, name, baseline = [], tags.get("dvc_experiment"), tags.get("dvc_baseline", "")
    if name:
        ref = f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}"
        if commit := ask_git(root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"):
            return commit, notes
        notes.append(
            f"experiment {name} is not in this repository (`dvc exp pull REMOTE {name}` brings "
            "it): the commit that it began at is taken instead"
        )
    commit = tags.get("git_commit", "")
    if not re.fullmatch("[0-9a-f]{40,64}", commit):
        raise InputError(f"the run names no Git commit ({commit or 'no tag'}): take another run")
    if not ask_git(root, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}"):
        raise InputError(f"commit {commit} of the run is not in this repository: `git fetch` it")
    return commit, notes


def ask_git(folder: Path, *arguments: str) -> str:
    """What Git answers in a folder, stripped; empty where it fails."""
    return (run_git(*arguments, folder=folder) or b"").decode().strip()


def clone(root: Path, commit: str, folder: Path) -> None:
    """Check a commit out into `folder`; objects stay in `root`, DVC's cache is that of `root`."""
    quiet = ["git", "clone", "--quiet", "--shared", "--no-checkout", "--", str(root), str(folder)]
    cache = subprocess.run(
        ["dvc", "cache", "dir"], cwd=root, capture_output=True, text=True, check=False
    )
    commands = [
        (quiet, root),
        (["git", "checkout", "--quiet", "--detach", commit], folder),
    ]
    for command, cwd in commands:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise InputError(f"cannot clone {root} at {commit}: {reason}; mend that and try again")
    # `dvc config` takes no path with umlauts; without quotes, a comma or # would end it
    place = f'[cache]\n    dir = "{cache.stdout.strip()}"\n'
    write_text(folder / ".dvc/config.local", place)


def take_parameters(path: Path, parameters: dict[str, Any]) -> None:
    """Give params.yaml the run's values; a file that has them already stays as it is."""
    if not path.exists() or YAML(typ="safe").load(path) != parameters:
        write_text(path, json.dumps(parameters, indent=2) + "\n")  # JSON is YAML


def clean_environment(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The environment without what belongs to another run: the clone's code and database count."""
    kept = {key: value for key, value in environ.items() if not key.startswith(OWN_VARIABLES)}
    return kept | {"PYTHONPATH": str(folder / "src"), "PYTHONUNBUFFERED": "1"}


def fetch_data(folder: Path, name: str, root: Path, environ: Mapping[str, str]) -> None:
    """Take an imported data set from DVC's cache; built-in data are made by the pipeline.

    Raises InputError where the commit does not know the set, or the cache does not hold it.
    """
    tracked = f"data/raw/{name}.dvc"
    if (folder / "data" / name / "dvc.yaml").exists():
        return
    if not (folder / tracked).exists():
        raise InputError(f"the run's commit has no {tracked}: its data were never committed")
    command = ["dvc", "checkout", "--quiet", tracked]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=False)
    if done.returncode:
        raise InputError(f"the data of {tracked} are not in DVC's cache of {root}: `dvc pull` them")


def run_pipeline(folder: Path, environ: Mapping[str, str]) -> int:
    """Run all stages by force; gives the exit code. What runs is ended if we are."""
    command = ["dvc", "repro", "--force", "--no-commit"]
    process = subprocess.Popen(
        command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=sys.stderr,
        process_group=0,
    )  # fmt: skip
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def compare_outputs(logged: Hashes, now: Hashes) -> dict[str, str]:
    """What became of each output: same, differs, missing (now) or not logged."""

    def judge(name: str) -> str:
        if name not in logged:
            return "not logged"
        if name not in now:
            return "missing"
        return "same" if logged[name] == now[name] else "differs"

    return {name: judge(name) for name in sorted(logged | now)}


def compare_figures(
    logged: dict[str, float], evaluation: dict[str, Any]
) -> dict[str, tuple[float | None, float]]:
    """Figures of the test part that are not the same to the last digit: (logged, now)."""
    now = list_numbers(evaluation)
    pairs = {name: (logged.get(f"test_{name}"), value) for name, value in now.items()}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def note_code(logged: Hashes, now: Hashes) -> list[str]:
    """A warning where the run's code was not that of its commit: it cannot be checked out."""
    changed = sorted(name for name in logged | now if logged.get(name) != now.get(name))
    if not changed:
        return []
    return [
        f"the run was made with uncommitted changes in {', '.join(changed)}, which are lost: the "
        "commit's code ran instead, so that a difference says nothing, and sameness only that the "
        "changes did not matter"
    ]


def note_source(tags: dict[str, str]) -> list[str]:
    """A warning where the machine is only that which logged the result."""
    if tags.get("source") != "restored":
        return []
    return ["the run was logged from restored files: the machine is the one that logged them"]
