"""Jobs at an archive, each remembered on disk so that a run that was killed takes it up again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from viamachinae.disk import atomic
from viamachinae.query.archive.errors import LostJobError, RefusedError, TransientError
from viamachinae.query.archive.retry import Patience, looks
from viamachinae.query.archive.tap import TapClient
from viamachinae.query.archive.votable import Answer, read_votable

Result = TypeVar("Result")

_AT_WORK = {"PENDING", "QUEUED", "EXECUTING", "RUN", "HELD", "SUSPENDED", "UNKNOWN"}


class Jobs:
    """The jobs of one archive.

    A job is made first, then written down, and only then started: killed at whatever moment,
    a later run finds it and asks nothing twice.

    Parameters
    ----------
    client : TapClient
        Speaks to the archive.
    folder : Path
        Where open jobs are written down.
    patience : Patience
        How often a request, and a job, is tried.
    timeout_s : float
        Longest time that a job may take.
    """

    def __init__(
        self, client: TapClient, folder: Path, patience: Patience, timeout_s: float
    ) -> None:
        self._client = client
        self._folder = folder
        self._patience = patience
        self._timeout_s = timeout_s

    def answer(self, query: str, most_rows: int) -> Answer:
        """The answer to a query, from a job that is open already, or from a new one.

        The job stays open until `forget`.

        Raises
        ------
        TransientError
            If the archive does not answer, however often it is asked.
        LostJobError
            If every job ends without an answer.
        RefusedError
            If the archive refuses the query.
        StoppedError
            If the patience was stopped.
        """
        return self._patience.persist(lambda: self._attempt(query, most_rows), LostJobError)

    def forget(self, query: str) -> None:
        """Remove the job of a query: its answer is kept, or of no use."""
        job = self._remembered(query)
        if job is None:
            return
        self._record(query).unlink(missing_ok=True)
        # Archives remove old jobs by themselves, should this fail.
        with suppress(TransientError, LostJobError, RefusedError):
            self._client.remove(job)

    def _attempt(self, query: str, most_rows: int) -> Answer:
        job = self._remembered(query)
        if job is None:
            job = self._ask(lambda: self._client.create(query, most_rows))
            text = json.dumps({"archive": self._client.url, "query": query, "job": job}, indent=1)
            with atomic(self._record(query)) as temporary:
                temporary.write_text(text + "\n", encoding="utf-8")
        try:
            self._see_through(job)
            return read_votable(self._ask(lambda: self._client.result(job)))
        except LostJobError:
            self.forget(query)
            raise

    def _see_through(self, job: str) -> None:
        """Start a job where need be, and wait until it is completed."""
        deadline = time.monotonic() + self._timeout_s
        phase = self._ask(lambda: self._client.phase(job))
        if phase == "PENDING":
            self._ask(lambda: self._client.start(job))
        for pause_s in looks():
            phase = self._ask(lambda: self._client.phase(job))
            if phase == "COMPLETED":
                return
            if phase not in _AT_WORK:
                words = self._ask(lambda: self._client.complaint(job))
                raise LostJobError(f"a job ended as {phase or 'nothing'}: {words}")
            if time.monotonic() > deadline:
                raise TransientError(f"a job did not end within {self._timeout_s:g} s")
            self._patience.wait(pause_s)

    def _ask(self, request: Callable[[], Result]) -> Result:
        return self._patience.persist(request, TransientError)

    def _record(self, query: str) -> Path:
        digest = hashlib.blake2b(query.encode(), digest_size=12).hexdigest()
        return self._folder / f"{digest}.json"

    def _remembered(self, query: str) -> str | None:
        """The job that is open for a query at this archive, if any."""
        try:
            record = json.loads(self._record(query).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return str(record["job"]) if record["archive"] == self._client.url else None
