from __future__ import annotations

import itertools
import threading
import time

import pytest

from viamachinae.query.archive.errors import LostJobError, TransientError
from viamachinae.query.archive.retry import LONGEST_PAUSE_S, Patience, StoppedError, looks


class Flaky:
    """Fails so many times, then answers."""

    def __init__(self, n_failures: int) -> None:
        self.left, self.n_calls = n_failures, 0

    def __call__(self) -> str:
        self.n_calls += 1
        self.left -= 1
        if self.left >= 0:
            raise TransientError("busy")
        return "answer"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(Patience, "wait", lambda _, seconds: found.append(seconds))
    return found


def test_it_asks_until_there_is_an_answer(pauses: list[float]) -> None:
    flaky = Flaky(3)
    assert Patience(tries=4, pause_s=1.0).persist(flaky, TransientError) == "answer"
    assert flaky.n_calls == 4
    assert len(pauses) == 3


def test_it_gives_up_after_the_last_try(pauses: list[float]) -> None:
    flaky = Flaky(99)
    with pytest.raises(TransientError, match="busy"):
        Patience(tries=5, pause_s=1.0).persist(flaky, TransientError)
    assert flaky.n_calls == 5
    assert len(pauses) == 4


def test_other_failures_are_not_tried_again(pauses: list[float]) -> None:
    flaky = Flaky(1)
    with pytest.raises(TransientError):
        Patience(tries=5, pause_s=1.0).persist(flaky, LostJobError)
    assert (flaky.n_calls, pauses) == (1, [])


def test_pauses_double_up_to_a_limit_and_no_two_clients_keep_step(pauses: list[float]) -> None:
    for _ in range(2):
        with pytest.raises(TransientError):
            Patience(tries=13, pause_s=2.0).persist(Flaky(99), TransientError)
    one, other = pauses[:12], pauses[12:]
    assert one != other
    for pause_s, middle in zip(one, (2.0 * 2**n for n in range(12)), strict=True):
        due = min(middle, LONGEST_PAUSE_S)
        assert 0.5 * due <= pause_s <= 1.5 * due


def test_stopping_ends_all_waiting() -> None:
    patience = Patience(tries=2, pause_s=600.0)
    threading.Timer(0.05, patience.stop).start()
    begin = time.monotonic()
    with pytest.raises(StoppedError):
        patience.persist(Flaky(9), TransientError)
    assert time.monotonic() - begin < 60.0
    with pytest.raises(StoppedError):
        patience.wait(0.0)


def test_a_job_is_looked_at_ever_less_often() -> None:
    found = list(itertools.islice(looks(), 30))
    assert found == sorted(found)
    assert (found[0], found[-1]) == (0.25, 30.0)
