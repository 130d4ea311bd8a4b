"""Any TAP service through pyvo, which follows the standards and tells of overflows."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import requests
from pyvo.dal import AsyncTAPJob, DALServiceError
from pyvo.dal.exceptions import DALQueryError

import viamachinae
from viamachinae.query.archive.errors import (
    LostJobError,
    RefusedError,
    TransientError,
    check_status,
    network_errors,
    no_answer,
)
from viamachinae.query.archive.login import Credentials


class PyvoClient:
    """A `viamachinae.query.archive.tap.TapClient` on pyvo.

    Parameters
    ----------
    url : str
        Root of the service.
    timeout_s : float
        Longest silence within one request.
    credentials : Credentials, optional
        Account for HTTP basic authentication.
    """

    def __init__(self, url: str, timeout_s: float, credentials: Credentials | None = None) -> None:
        self.url = url
        self._session: Any = requests.Session()
        self._session.headers["User-Agent"] = f"viamachinae/{viamachinae.__version__}"
        self._session.auth = credentials
        self._session.hooks["response"].append(_read_at_once)
        # The only way to give every request of a session a time-out.
        self._session.request = functools.partial(self._session.request, timeout=timeout_s)

    def create(self, query: str, most_rows: int) -> str:
        """Make a job that does not run yet; returns its URL.

        `most_rows` goes along as MAXREC: without it many services send fewer than they can.
        """
        try:
            with _service_errors():
                job = AsyncTAPJob.create(
                    self.url, query, maxrec=most_rows, session=self._session
                ).url
        except LostJobError as error:
            raise RefusedError(f"{self.url} is no TAP service: {error}") from error
        if not str(job).partition("/async/")[2]:
            raise TransientError("no job was made")
        return str(job)

    def start(self, job: str) -> None:
        """Let a job run."""
        with _service_errors():
            self._known(job).run()

    def phase(self, job: str) -> str:
        """How far a job is."""
        with _service_errors():
            response = self._session.get(f"{job}/phase")
            response.raise_for_status()
            return str(response.text).strip().upper()

    def complaint(self, job: str) -> str:
        """Why a job failed, in the archive's words."""
        with _service_errors():
            try:
                self._known(job).raise_if_error()
            except DALQueryError as error:
                return " ".join(str(error.reason).removeprefix("Query Error:").split())
        return "no reason given"

    def result(self, job: str) -> bytes:
        """The VOTable of a completed job."""
        with _service_errors():
            response = self._session.get(f"{job}/results/result")
            response.raise_for_status()
            return bytes(response.content)

    def remove(self, job: str) -> None:
        """Let the archive forget a job and its result."""
        with _service_errors():
            self._known(job).delete()

    def _known(self, job: str) -> Any:
        return AsyncTAPJob(job, session=self._session)


class _Read:
    """An answer that is read already, for pyvo to read."""

    def __init__(self, content: bytes) -> None:
        self._content = BytesIO(content)

    def read(self, amount: int = -1, decode_content: bool = True) -> bytes:  # noqa: ARG002
        """The next bytes."""
        return self._content.read(amount)


def _read_at_once(response: Any, **_: Any) -> None:
    """Read an answer whole: pyvo leaves off where its parser does, and the connection open."""
    response.raw = _Read(response.content)


@contextmanager
def _service_errors() -> Iterator[None]:
    """The errors of pyvo and requests, by what is to be done about them."""
    try:
        with network_errors():
            try:
                yield
            except requests.HTTPError as error:
                check_status(error.response.status_code, error.response.text)
                raise
    except DALServiceError as error:
        code = int(error.code) if str(error.code or "").isdigit() else 0
        check_status(code, str(error.reason))
        raise no_answer(error) from error
    except (ValueError, IndexError, SyntaxError) as error:
        # An answer that is empty or no XML: so say the parsers below pyvo.
        raise TransientError(f"an answer that means nothing ({error})") from error
