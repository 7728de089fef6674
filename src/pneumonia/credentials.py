"""A tracking server's user and password: used to log in, never shown, never stored."""

from collections.abc import MutableMapping
from urllib.parse import unquote, urlsplit, urlunsplit

USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"


def take_credentials(uri: str, environ: MutableMapping[str, str]) -> str:
    """Move user and password of an HTTP address into the environment; gives the bare address.

    MLflow prints and stores the address as it is; the variables it only logs in with.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.username:
        return uri
    environ[USER] = unquote(parts.username)
    environ[PASSWORD] = unquote(parts.password or "")
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
