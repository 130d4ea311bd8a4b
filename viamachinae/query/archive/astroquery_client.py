"""ESA's archive through astroquery, which knows its dialect of TAP and its login.

Its requests have no time-out and its errors lose what the server said, so the connections
underneath are ours. `TapPlus` is what astroquery's `GaiaClass` is made of; that itself is not
used because importing it sends a request to ESA.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from astroquery.utils.tap import TapPlus
from astroquery.utils.tap.conn.tapconn import TapConn

from viamachinae.query.archive.errors import (
    LostJobError,
    RefusedError,
    check_status,
    network_errors,
)
from viamachinae.query.archive.login import Credentials

_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5


class AstroqueryClient:
    """A `viamachinae.query.archive.tap.TapClient` on astroquery's `TapPlus`.

    Parameters
    ----------
    url : str
        Root of a service that runs ESA's software, ending in ``/tap``.
    timeout_s : float
        Longest silence within one request.
    credentials : Credentials, optional
        Account to log in with.
    """

    def __init__(self, url: str, timeout_s: float, credentials: Credentials | None = None) -> None:
        logging.getLogger("astroquery").setLevel(logging.WARNING)
        self.url = url
        parts = urlsplit(url)
        context, _, tap = parts.path.strip("/").rpartition("/")
        kind = _SafeConnection if parts.scheme == "https" else _PlainConnection
        self._connections = _Connections(kind, parts.hostname or "", parts.port, timeout_s)
        self._connection: Any = TapConn(
            ishttps=parts.scheme == "https",
            host=parts.hostname,
            server_context=context or None,
            tap_context=tap,
            connhandler=self._connections,
        )
        self._tap: Any = TapPlus(url=url, connhandler=self._connection)
        if credentials is not None:
            with self._request():
                self._tap.login(user=credentials.user, password=credentials.password)

    def create(self, query: str, most_rows: int) -> str:
        """Make a job that does not run yet; returns its number. `most_rows` is its MAXREC."""
        try:
            with self._request():
                job = self._tap.launch_job_async(
                    query,
                    output_format="votable_gzip",
                    maxrec=most_rows,
                    autorun=False,
                    background=True,
                )
        except LostJobError as error:
            raise RefusedError(f"{self.url} is no TAP service: {error}") from error
        return str(job.jobid)

    def start(self, job: str) -> None:
        """Let a job run."""
        with self._request():
            self._connection.execute_tappost(f"async/{job}/phase", "PHASE=RUN").read()

    def phase(self, job: str) -> str:
        """How far a job is."""
        return self._get(f"async/{job}/phase").decode().strip().upper()

    def complaint(self, job: str) -> str:
        """Why a job failed, in the archive's words."""
        try:
            found = ElementTree.fromstring(self._get(f"async/{job}")).iterfind(".//{*}message")
        except ElementTree.ParseError:
            return "no reason given"
        return " ".join("".join(next(found, ElementTree.Element("none")).itertext()).split())

    def result(self, job: str) -> bytes:
        """The VOTable of a completed job."""
        return self._get(f"async/{job}/results/result")

    def remove(self, job: str) -> None:
        """Let the archive forget a job and its result."""
        with self._request():
            self._tap.remove_jobs(job)

    @contextmanager
    def _request(self) -> Iterator[None]:
        """One request; afterwards its connection is closed, whatever became of it."""
        try:
            with network_errors():
                yield
        finally:
            self._connections.close()

    def _get(self, path: str) -> bytes:
        with self._request():
            for _ in range(_MOST_REDIRECTS):
                response = self._connection.execute_tapget(path)
                content = bytes(response.read())
                if response.status not in _REDIRECTS:
                    return content
                path = response.getheader("Location", path)
        raise LostJobError("its answer is nowhere (too many redirections)")


class _PlainConnection(HTTPConnection):
    """One request and its answer, which is not an error."""

    answer: HTTPResponse | None = None

    def getresponse(self) -> HTTPResponse:
        """The answer; an HTTP error raises with the words of the archive."""
        self.answer = super().getresponse()
        if self.answer.status >= 400:
            words = self.answer.read(2000).decode(errors="replace")
            check_status(self.answer.status, words)
        return self.answer

    def close(self) -> None:
        """Close it; what is not read of the answer is lost."""
        super().close()
        # Called by getresponse too, while there is no answer yet.
        if self.answer is not None:
            self.answer.close()


class _SafeConnection(_PlainConnection, HTTPSConnection):
    """The same, encrypted."""


class _Connections:
    """Makes the connections of a `TapConn`, in place of astroquery's own maker of them."""

    def __init__(
        self, kind: type[_PlainConnection], host: str, port: int | None, timeout_s: float
    ) -> None:
        self._make = partial(kind, host, port, timeout=timeout_s)
        self._of_thread = threading.local()

    def get_connection(self, *, ishttps: bool, cookie: str | None, verbose: bool) -> HTTPConnection:  # noqa: ARG002
        """A connection for a request; the cookie travels in its header."""
        self.close()
        self._of_thread.connection = made = self._make()
        return made

    def get_connection_secure(self, verbose: bool) -> HTTPConnection:
        """A connection for a password; `credentials_for` saw to it that nobody listens."""
        return self.get_connection(ishttps=True, cookie=None, verbose=verbose)

    def close(self) -> None:
        """Close the last connection that this thread asked for."""
        connection: _PlainConnection | None = getattr(self._of_thread, "connection", None)
        if connection is not None:
            connection.close()
