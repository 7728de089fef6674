"""Bad input: one clear sentence on standard error and exit code 2, never a traceback."""

import errno
import signal
import sys
from collections.abc import Callable
from typing import Any

import typer

FILE_ERRNOS = {
    errno.EACCES, errno.EDQUOT, errno.EEXIST, errno.EFBIG, errno.EISDIR, errno.ELOOP,
    errno.ENAMETOOLONG, errno.ENOSPC, errno.ENOTDIR, errno.ENOTEMPTY, errno.EPERM, errno.EROFS,
    errno.EXDEV,
}  # fmt: skip


class InputError(Exception):
    """What the user gave cannot be used; the message names it and says what to do."""


def explain_error(error: InputError | OSError) -> str:
    """One sentence for a user's mistake or a file that cannot be read or written."""
    if isinstance(error, OSError) and not isinstance(error, InputError):
        target = error.filename2 or error.filename or "an output"
        return f"cannot read or write {target}: {error.strerror}; free the disk or name another"
    return str(error)


def run(command: Callable[..., Any]) -> None:
    """Run a typer app or a function as a command; see `explain_error` for what ends with code 2."""
    app = command
    if not isinstance(app, typer.Typer):
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(command)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except InputError as error:
        _stop(error)
    except OSError as error:
        if error.errno not in FILE_ERRNOS:
            raise
        _stop(error)


def _stop(error: InputError | OSError) -> None:
    sys.stderr.write(f"error: {explain_error(error)}\n")
    sys.exit(2)


def _terminate(signum: int, _frame: object) -> None:
    """Let `with` blocks and temporary files be cleaned up when the process is asked to end."""
    sys.exit(128 + signum)
