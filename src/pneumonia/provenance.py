"""What a result was made of and on: hashes of code and outputs as in dvc.lock, and the machine."""

import hashlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CODE = ("src/", "stages/")
PACKAGES = (
    "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "opencv-python-headless", "matplotlib",
)  # fmt: skip
Hashes = dict[str, str]


def describe_machine() -> dict[str, str]:
    """The type of this machine and the versions on it: what a result's bytes depend on."""
    return {
        "cpu": _read_cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "gpu": _read_gpus(),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def _read_cpu() -> str:
    """Model name with family and model number: clouds give many processors one name."""
    known = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        known.setdefault(name.strip(), value.strip())
    names = [known.get(key, "?") for key in ("model name", "cpu family", "model")]
    return "{} (family {}, model {})".format(*names)


def _read_gpus() -> str:
    models = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = [line.partition(":") for line in path.read_text().splitlines()]
        models += [value.strip() for name, _, value in lines if name.strip() == "Model"]
    return ", ".join(models) or "none"


def hash_results(root: Path) -> dict[str, Hashes]:
    """MD5 of every output and of every module of a project's stages: {outputs, code: {path: hash}}.

    They are taken from the files that dvc.yaml names; of a folder without dvc.yaml, which holds the
    files of a DVC experiment, from its dvc.lock.
    """
    if not (root / "dvc.yaml").exists():
        return read_lock(root / "dvc.lock")
    stages = YAML(typ="safe").load(root / "dvc.yaml")["stages"].values()
    outputs = [name for stage in stages for name in _list_outputs(stage)]
    code = [name for stage in stages for name in stage["deps"] if name.startswith(CODE)]
    paths = {"outputs": sorted(outputs), "code": sorted(set(code))}
    return {
        kind: {name: hash_path(root / name) for name in names if (root / name).exists()}
        for kind, names in paths.items()
    }


def _list_outputs(stage: dict[str, Any]) -> list[str]:
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def read_lock(path: Path) -> dict[str, Hashes]:
    """The same as `hash_results`, as a dvc.lock tells it."""
    stages = YAML(typ="safe").load(path)["stages"].values()
    outputs = {out["path"]: out["md5"] for stage in stages for out in stage.get("outs", [])}
    deps = {dep["path"]: dep["md5"] for stage in stages for dep in stage.get("deps", [])}
    return {
        "outputs": outputs,
        "code": {name: md5 for name, md5 in deps.items() if name.startswith(CODE)},
    }


def hash_path(path: Path) -> str:
    """MD5 of a file's bytes, or of a folder's list of files as DVC makes it (ends in `.dir`)."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, _new_md5).hexdigest()
    names = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    listed = [{"md5": hash_path(names[name]), "relpath": name} for name in sorted(names)]
    digest = _new_md5(json.dumps(listed, sort_keys=True).encode())
    return f"{digest.hexdigest()}.dir"


def _new_md5(content: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(content, usedforsecurity=False)
