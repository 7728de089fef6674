"""Processes and their memory."""

import platform
import subprocess
import sys

import pytest

PROBE = """
import resource
import numpy as np
from pneumonia.processes import keep_freed_memory

def count_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**26, "u1")
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

loose = [count_faults() for _ in range(2)][-1]
keep_freed_memory()
kept = [count_faults() for _ in range(2)][-1]
print(loose, kept)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="elsewhere nothing is done")
def test_freed_memory_is_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    loose, kept = map(int, done.stdout.split())
    assert kept < loose / 10
