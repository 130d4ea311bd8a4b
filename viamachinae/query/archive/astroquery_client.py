"""ESA's archive through astroquery, which knows its dialect of TAP and its login.

Its requests have no time-out and its errors lose what the server said, so the connections
underneath are ours. `TapPlus` is what astroquery's `GaiaClass` is made of; that itself is not
used because importing it sends a request to ESA.
"""

from __future__ import annotations

import logging
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
        self._connection: Any = TapConn(
            ishttps=parts.scheme == "https",
            host=parts.hostname,
            server_context=context or None,
            tap_context=tap,
            connhandler=_Connections(parts.scheme, parts.hostname or "", parts.port, timeout_s),
        )
        self._tap: Any = TapPlus(url=url, connhandler=self._connection)
        if credentials is not None:
            with network_errors():
                self._tap.login(user=credentials.user, password=credentials.password)

    def create(self, query: str, most_rows: int) -> str:  # noqa: ARG002 (ESA has one limit for all)
        """Make a job that does not run yet; returns its number."""
        try:
            with network_errors():
                job = self._tap.launch_job_async(
                    query, output_format="votable_gzip", autorun=False, background=True
                )
        except LostJobError as error:
            raise RefusedError(f"{self.url} is no TAP service: {error}") from error
        return str(job.jobid)

    def start(self, job: str) -> None:
        """Let a job run."""
        with network_errors():
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
        with network_errors():
            self._tap.remove_jobs(job)

    def _get(self, path: str) -> bytes:
        with network_errors():
            for _ in range(_MOST_REDIRECTS):
                response = self._connection.execute_tapget(path)
                content = bytes(response.read())
                if response.status not in _REDIRECTS:
                    return content
                path = response.getheader("Location", path)
        raise LostJobError("its answer is nowhere (too many redirections)")


class _Connections:
    """Makes the connections of a `TapConn`, in place of astroquery's own maker of them."""

    def __init__(self, scheme: str, host: str, port: int | None, timeout_s: float) -> None:
        self._kind = _SafeConnection if scheme == "https" else _PlainConnection
        self._where = (host, port)
        self._timeout_s = timeout_s

    def get_connection(self, *, ishttps: bool, cookie: str | None, verbose: bool) -> HTTPConnection:  # noqa: ARG002
        """A connection; the cookie travels in a header, and http is used on this machine alone."""
        return self._kind(*self._where, timeout=self._timeout_s)

    def get_connection_secure(self, verbose: bool) -> HTTPConnection:  # noqa: ARG002
        """A connection for a password; `credentials_for` saw to it that nobody listens."""
        return self._kind(*self._where, timeout=self._timeout_s)


class _PlainConnection(HTTPConnection):
    """One request and its answer, which is not an error."""

    def request(
        self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any
    ) -> None:
        """Send a request, the only one of this connection."""
        closing = {**(headers or {}), "Connection": "close"}
        super().request(method, url, body, closing, **options)

    def getresponse(self) -> HTTPResponse:
        """The answer; an HTTP error raises with the words of the archive."""
        response = super().getresponse()
        if response.status >= 400:
            check_status(response.status, response.read(2000).decode(errors="replace"))
        return response


class _SafeConnection(_PlainConnection, HTTPSConnection):
    """The same, encrypted."""
