"""What is asked of a client of a TAP service, and which one speaks to which archive."""

from __future__ import annotations

from typing import Protocol

from viamachinae.config import ArchiveQuery
from viamachinae.errors import BadInputError, install_extra
from viamachinae.query.archive.login import credentials_for

ESA_URL = "https://gea.esac.esa.int/tap-server/tap"


class TapClient(Protocol):
    """Asynchronous jobs of one TAP service (IVOA TAP 1.1 and UWS 1.1), one request a call.

    Every call may raise `TransientError`, `RefusedError` and, but for `create`, `LostJobError`.
    """

    url: str

    def create(self, query: str, most_rows: int) -> str:
        """Make a job that does not run yet; returns its name for the other calls."""

    def start(self, job: str) -> None:
        """Let a job run."""

    def phase(self, job: str) -> str:
        """How far a job is: PENDING, QUEUED, EXECUTING, COMPLETED, ERROR, ABORTED or other."""

    def complaint(self, job: str) -> str:
        """Why a job failed, in the archive's words."""

    def result(self, job: str) -> bytes:
        """The VOTable of a completed job, compressed or not."""

    def remove(self, job: str) -> None:
        """Let the archive forget a job and its result."""


def service_url(config: ArchiveQuery) -> str:
    """Root of the TAP service that a configuration names."""
    return ESA_URL if config.endpoint == "esa" else config.endpoint.rstrip("/")


def open_client(config: ArchiveQuery) -> TapClient:
    """The client that a configuration asks for; nothing is sent but a login.

    Raises
    ------
    BadInputError
        If its package is not installed, or the credentials cannot be used.
    """
    url = service_url(config)
    credentials = credentials_for(config.credentials, url)
    try:
        if config.client == "pyvo" or (config.client is None and config.endpoint != "esa"):
            from viamachinae.query.archive.pyvo_client import PyvoClient

            return PyvoClient(url, config.timeout_s, credentials)
        from viamachinae.query.archive.astroquery_client import AstroqueryClient

        return AstroqueryClient(url, config.timeout_s, credentials)
    except ImportError as error:
        raise BadInputError(
            f"query.source: archive needs the package {error.name}; "
            f"install it with {install_extra('archive')}"
        ) from error
