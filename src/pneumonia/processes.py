"""Processes: which one did it, whether it still runs, and how it keeps its memory."""

import ctypes
import os
import socket

import psutil

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def name_process() -> str:
    """This process as HOST:PID:START, START in whole seconds: a PID alone is used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.0f}"


def find_host(process: str) -> str:
    """The machine of a process as `name_process` names it; empty where it has no such name."""
    return process.rsplit(":", 2)[0]


def is_gone(process: str) -> bool:
    """Whether a process as `name_process` names it ran on this machine and runs no more."""
    host, pid, start = (process.rsplit(":", 2) + ["", ""])[:3]
    if host != socket.gethostname() or not (pid + start).isdigit():
        return False
    try:
        found = psutil.Process(int(pid))
        ended = found.status() == psutil.STATUS_ZOMBIE
        return ended or abs(found.create_time() - int(start or 0)) > 1
    except psutil.NoSuchProcess:
        return True


def keep_freed_memory() -> None:
    """Let glibc keep memory that is freed for the next one who asks, rather than give it back.

    TensorFlow takes and frees each batch's buffers anew. Given back to the system every time, they
    cost more than the arithmetic on a machine where page faults are dear (`bench_training.py`).
    Other C libraries are left as they are.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
