"""Which modules of the package a script imports, directly or not, read from its source."""

import ast
from pathlib import Path

SOURCE = Path("src")


def find_modules(script: Path) -> set[str]:
    """Paths (posix, from the project's folder) of all modules of the package that it imports."""
    found: set[str] = set()
    waiting = [script]
    while waiting:
        for name in imported_names(waiting.pop()):
            path = module_path(name)
            if path and path.as_posix() not in found:
                found.add(path.as_posix())
                waiting.append(path)
    first = SOURCE / "pneumonia/__init__.py"  # run before each of them; the others are empty
    return {path for path in found if not path.endswith("__init__.py")} | {first.as_posix()}


def imported_names(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "pneumonia"}


def module_path(name: str) -> Path | None:
    base = SOURCE.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
