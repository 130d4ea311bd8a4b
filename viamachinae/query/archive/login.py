"""Who asks: the optional account at an archive, from a file or the environment, never logged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from viamachinae.errors import BadInputError

USER_VARIABLE, PASSWORD_VARIABLE = "VIAMACHINAE_ARCHIVE_USER", "VIAMACHINAE_ARCHIVE_PASSWORD"
_THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}


class Credentials(NamedTuple):
    """An account."""

    user: str
    password: str

    def __repr__(self) -> str:
        return "Credentials(...)"


def credentials_for(path: Path | None, url: str) -> Credentials | None:
    """The account to use at a URL; None where neither the file nor the environment names one.

    Raises
    ------
    BadInputError
        If the file does not hold two lines, or the password would travel in the clear.
    """
    if path is not None:
        found = _from_file(path)
    elif os.environ.get(USER_VARIABLE):
        found = Credentials(os.environ[USER_VARIABLE], os.environ.get(PASSWORD_VARIABLE, ""))
    else:
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _THIS_MACHINE:
        raise BadInputError(
            f"query.endpoint: {url} would send the password in the clear; give its https:// URL, "
            "or no credentials"
        )
    return found


def _from_file(path: Path) -> Credentials:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(
            f"query.credentials: {path} cannot be read ({type(error).__name__}); give a file of "
            "two lines, user and password"
        ) from None
    user, password = (line.strip() for line in [*lines, "", ""][:2])
    if not user or not password:
        raise BadInputError(
            f"query.credentials: {path} must hold two lines, the user and the password"
        )
    return Credentials(user, password)
