"""How a request to an archive can fail, by what is to be done about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

_GONE = {404, 410}
_BUSY = {408, 429}
_ERROR = 400
_SERVER_ERROR = 500
_TAGS = re.compile(r"<[^>]*>")


class TransientError(Exception):
    """The archive did not answer, or said that it cannot now: the same request may work later."""


class LostJobError(Exception):
    """The job is gone, ended without an answer, or its answer is damaged: it is asked anew."""


class RefusedError(Exception):
    """The archive understood and refuses; asking again would not help."""


@contextmanager
def network_errors() -> Iterator[None]:
    """What breaks between us and the archive, as `TransientError`."""
    try:
        yield
    except (OSError, HTTPException) as error:
        raise no_answer(error) from error


def no_answer(error: BaseException) -> TransientError:
    """Say what broke at the bottom: packages wrap a refused connection in layers of words."""
    while error.__context__ is not None:
        error = error.__context__
    words = " ".join(str(error).split())[:200] or type(error).__name__
    return TransientError(f"no answer ({words})")


def check_status(status: int, words: str) -> None:
    """Raise what an HTTP status means for a job; `words` are those of the archive."""
    said = " ".join(_TAGS.sub(" ", words).split())[:200]
    if status in _GONE:
        raise LostJobError(f"it is gone (HTTP {status} {said})")
    if status >= _SERVER_ERROR or status in _BUSY:
        raise TransientError(f"the archive is busy or broken (HTTP {status} {said})")
    if status >= _ERROR:
        raise RefusedError(f"HTTP {status} {said}")
