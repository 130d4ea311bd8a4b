"""Patience with an archive: the same request again, after pauses that grow and differ."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

Result = TypeVar("Result")

logger = logging.getLogger("viamachinae.query")

LONGEST_PAUSE_S = 300.0
# A job is looked at often when it is young, and ever less often.
FIRST_LOOK_S, LONGEST_LOOK_S, LOOK_GROWTH = 0.25, 30.0, 1.5


class StoppedError(Exception):
    """Another request failed for good, or the user has had enough."""


@dataclass(frozen=True)
class Patience:
    """How often and how fast to ask again.

    Attributes
    ----------
    tries : int
        Requests made before giving up.
    pause_s : float
        Pause after the first failure; it doubles with each, up to five minutes.
    """

    tries: int
    pause_s: float
    _stopped: threading.Event = field(default_factory=threading.Event)
    # Clients that failed together must not come back together, so this is not seeded; it
    # decides nothing but when.
    _jitter: random.Random = field(default_factory=random.Random)

    def persist(self, request: Callable[[], Result], over: type[Exception]) -> Result:
        """The result of `request`, which may fail with `over` up to ``tries - 1`` times.

        Raises
        ------
        Exception
            The last failure, and any failure of another kind.
        """
        for failures in range(1, self.tries):
            try:
                return request()
            except over as error:
                pause_s = min(self.pause_s * 2 ** (failures - 1), LONGEST_PAUSE_S)
                logger.info("%s; try %d of %d follows", error, failures + 1, self.tries)
                self.wait(pause_s * self._jitter.uniform(0.5, 1.5))
        return request()

    def wait(self, seconds: float) -> None:
        """Sleep, unless `stop` is called.

        Raises
        ------
        StoppedError
            If it is or was.
        """
        if self._stopped.wait(seconds):
            raise StoppedError

    def stop(self) -> None:
        """End all waiting, now and later."""
        self._stopped.set()


def looks() -> Iterator[float]:
    """Pauses between looks at a running job, s."""
    pause_s = FIRST_LOOK_S
    while True:
        yield pause_s
        pause_s = min(pause_s * LOOK_GROWTH, LONGEST_LOOK_S)
