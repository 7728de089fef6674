"""docs/compose.yaml without Docker: valid, and as the guide and the tests say."""

import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

COMPOSE, GUIDE = Path("docs/compose.yaml"), Path("docs/team.md")
TEXT = COMPOSE.read_text()
SERVICES = YAML(typ="safe").load(TEXT)["services"]
DATABASE, MLFLOW = SERVICES["database"], SERVICES["mlflow"]


def validate(path: Path) -> int:
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode


def test_it_follows_the_compose_specification(tmp_path: Path) -> None:
    typo = tmp_path / "compose.yaml"
    typo.write_text(TEXT.replace("healthcheck:", "health:"))
    assert (validate(COMPOSE), validate(typo)) == (0, 1)


def test_packages_are_those_of_the_lock_that_the_tests_run_with() -> None:
    pinned = re.findall(r'"([\w-]+)(?:\[\w+\])?==([\d.]+)"', MLFLOW["build"]["dockerfile_inline"])
    assert {name for name, _ in pinned} == {"mlflow", "psycopg2-binary", "boto3"}
    lock = Path("requirements.lock").read_text()
    for name, version in pinned:
        assert re.search(rf"^{name}=={re.escape(version)} ", lock, re.MULTILINE), name


def test_postgres_is_the_version_that_the_tests_start() -> None:
    programs = re.findall(r"pginstall(\d+)", Path("tests/servers.py").read_text())
    assert DATABASE["image"] == f"postgres:{programs[0]}"


@pytest.mark.parametrize("part", ["environment", "configs"])
def test_the_database_is_asked_for_as_it_is_made(part: str) -> None:
    """In MLflow's environment and in the configuration of its users alike."""
    made = {key.removeprefix("POSTGRES_").lower(): v for key, v in DATABASE["environment"].items()}
    where = {
        "environment": MLFLOW["environment"],
        "configs": YAML(typ="safe").load(TEXT)["configs"],
    }
    address = r"postgresql\+psycopg2://(\w+):(\$\{\w+\})@(\w+):5432/(\w+)"
    ((user, password, host, name),) = re.findall(address, str(where[part]))
    assert (user, name) == (made["user"], made["db"])
    assert made["password"].startswith(password[:-1])
    assert host in SERVICES
    assert host in MLFLOW["depends_on"]


def test_mlflow_listens_where_the_port_leads_and_reads_the_file_it_is_given() -> None:
    command = MLFLOW["command"]
    (port,) = MLFLOW["ports"]
    assert port.startswith("127.0.0.1:")
    assert port.endswith(f":{command[command.index('--port') + 1]}")
    (config,) = MLFLOW["configs"]
    assert config["target"] == MLFLOW["environment"]["MLFLOW_AUTH_CONFIG_PATH"]
    assert f"({port.split(':')[0]}:5000)" in GUIDE.read_text()


def test_the_guide_names_every_variable_that_must_be_set_and_no_other() -> None:
    used = dict(re.findall(r"\$\{(\w+)(:[-?])?", TEXT))
    needed = {name for name in used if f"${{{name}:?" in TEXT}
    told = set(re.findall(r"^([A-Z_0-9]+)=", GUIDE.read_text(), re.MULTILINE))
    assert needed <= told <= set(used)
    assert all(f"${{{name}:" in TEXT for name in used)  # each has a default, or a reason to stop
    ignored = subprocess.run(["git", "check-ignore", "-q", "docs/.env"], check=False)
    assert ignored.returncode == 0
