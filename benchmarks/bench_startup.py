"""Seconds until each command has shown its help: nobody waits for TensorFlow to read a manual."""

import subprocess
import sys
from pathlib import Path
from time import perf_counter

ROUNDS, BUDGET = 5, 0.7  # seconds
BIN = Path(sys.executable).parent


def measure(command: list[str]) -> float:
    """The quickest of some runs, in seconds."""
    seconds = []
    for _ in range(ROUNDS):
        start = perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    bare = measure([sys.executable, "-c", "pass"])
    print(f"{'bare python':32} {bare:5.2f} s  ratio {1:4.1f}")
    commands = {
        f"{path} --help": [sys.executable, str(path)]
        for path in sorted(Path("stages").glob("*.py"))
    }
    commands["pneumonia --help"] = [str(BIN / "pneumonia")]
    commands["pneumonia.data.phantom --help"] = [sys.executable, "-m", "pneumonia.data.phantom"]
    for name, command in commands.items():
        seconds = measure([*command, "--help"])
        verdict = "" if seconds < BUDGET else f"  above the budget of {BUDGET} s"
        print(f"{name:32} {seconds:5.2f} s  ratio {seconds / bare:4.1f}{verdict}")
