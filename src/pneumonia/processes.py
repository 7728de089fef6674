"""Which process did it, and whether it still runs."""

import os
import socket

import psutil


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
