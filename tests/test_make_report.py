"""The report of a change, as `make report` and a pull request's workflow make it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from pipeline import Project, clone_project
from ruamel.yaml import YAML

WORKFLOWS = sorted(Path(".github/workflows").glob("*.yml"))


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project on a branch that changes a figure, a parameter and a picture, and adds another."""
    project = clone_project(tmp_path_factory.mktemp("report"))
    for folder in ("metrics", "plots"):
        shutil.copytree(folder, project.root / folder)
    project.run("git", "add", "-A")
    project.run("git", "commit", "-q", "-m", "Result")
    project.run("git", "checkout", "-q", "-b", "better")
    metrics = project.root / "metrics/evaluate.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"auc": 0.125}))
    params = project.root / "params.yaml"
    params.write_text(params.read_text().replace("batch_size: 32", "batch_size: 16"))
    shutil.copyfile(project.root / "plots/data.png", project.root / "plots/roc.png")
    shutil.copyfile(project.root / "plots/data.png", project.root / "plots/new.png")
    return project


def test_a_report_shows_figures_parameters_and_pictures(changed: Project) -> None:
    folder = changed.root / ".cache/report"
    said = changed.run("python", "docs/make_report.py")
    assert ".cache/report/report.md" in said
    text = (folder / "report.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert any(
        row[:2] == ["metrics/evaluate.json", "auc"] and "0.125" in row for row in rows if row
    )
    assert any(row[1:] == ["train.batch_size", "32", "16"] for row in rows if row)
    assert "| ![plots/roc.png](before/roc.png) | ![plots/roc.png](after/roc.png) |" in text
    assert "![plots/data.png]" not in text
    assert (folder / "after/roc.png").read_bytes() == (folder / "after/new.png").read_bytes()
    assert (folder / "before/roc.png").read_bytes() != (folder / "after/roc.png").read_bytes()
    assert "| none | ![plots/new.png](after/new.png) |" in text
    assert not (folder / "before/new.png").exists()
    assert "ROC, test part" in (folder / "plots/index.html").read_text()
    status = changed.run("git", "status", "--porcelain")
    assert "report" not in status


def test_a_pull_request_links_the_pictures_of_both_commits(changed: Project) -> None:
    changed.run("git", "add", "-A")
    changed.run("git", "commit", "-q", "-m", "Better")
    changed.run("python", "docs/make_report.py", "--pictures", "https://host/team/project/raw")
    before, after = changed.run("git", "rev-parse", "main", "better").split()
    text = changed.read(".cache/report/report.md")
    for commit in (before, after):
        assert f"(https://host/team/project/raw/{commit}/plots/roc.png)" in text


def test_a_report_against_nothing_is_refused(changed: Project) -> None:
    said = changed.run("python", "docs/make_report.py", "--base", "nowhere", code=2)
    assert "nowhere" in said
    assert "Traceback" not in said


def test_workflows_are_valid() -> None:
    assert [path.stem for path in WORKFLOWS] == ["report", "test"]
    command = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_may_do_little_and_know_no_secret(path: Path) -> None:
    workflow = YAML(typ="safe").load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in path.read_text()
    assert "pull_request_target" not in path.read_text()
    for job in workflow["jobs"].values():
        writes = "write" in job.get("permissions", {}).values()
        runs_our_code = any("checkout" in step.get("uses", "") for step in job["steps"])
        assert not (writes and runs_our_code)
        assert job["timeout-minutes"] <= 60


def test_workflows_run_the_commands_that_people_run() -> None:
    steps = [
        step["run"]
        for path in WORKFLOWS
        for job in YAML(typ="safe").load(path)["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    targets = {run.removeprefix("make ") for run in steps if run.startswith("make ")}
    assert targets == {"test", "report"}
    makefile = Path("Makefile").read_text()
    assert all(f"\n{target}: .venv/ready" in makefile for target in targets)
