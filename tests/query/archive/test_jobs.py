"""What is remembered of jobs and chunks, against a client that only keeps count."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tests.tap.front import to_votable
from viamachinae.query.archive.chunks import Chunk
from viamachinae.query.archive.errors import LostJobError, TransientError
from viamachinae.query.archive.jobs import Jobs
from viamachinae.query.archive.ledger import Ledger
from viamachinae.query.archive.retry import Patience

ROWS = pa.table({"n": [1, 2]})


class Client:
    """Jobs that do what a list of phases says, one a look."""

    url = "http://archive.example/tap"

    def __init__(self, *phases: str) -> None:
        self.phases = list(phases)
        self.calls: list[str] = []

    def create(self, *_: object) -> str:
        self.calls.append("create")
        return f"job {self.calls.count('create')}"

    def start(self, _: str) -> None:
        self.calls.append("start")

    def phase(self, _: str) -> str:
        return self.phases.pop(0)

    def complaint(self, _: str) -> str:
        return "the disk is full"

    def result(self, _: str) -> bytes:
        self.calls.append("result")
        return to_votable(ROWS)

    def remove(self, job: str) -> None:
        self.calls.append(f"remove {job}")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patience, "wait", lambda *_: None)


def jobs_of(client: Client, folder: Path, tries: int = 2, timeout_s: float = 60.0) -> Jobs:
    return Jobs(client, folder, Patience(tries, 1.0), timeout_s)


def test_a_job_is_started_once_and_then_removed(tmp_path: Path) -> None:
    client = Client("PENDING", "QUEUED", "EXECUTING", "COMPLETED")
    jobs = jobs_of(client, tmp_path)
    assert jobs.answer("query", 9).table.equals(ROWS)
    assert len(list(tmp_path.iterdir())) == 1
    jobs.forget("query")
    assert client.calls == ["create", "start", "result", "remove job 1"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("phases", "calls"),
    [
        (["PENDING", "COMPLETED"], ["start", "result"]),  # killed before it was started
        (["EXECUTING", "COMPLETED"], ["result"]),
        (["COMPLETED", "COMPLETED"], ["result"]),
    ],
)
def test_an_open_job_is_taken_up(tmp_path: Path, phases: list[str], calls: list[str]) -> None:
    class Killed(BaseException):
        pass

    class Dying(Client):
        def phase(self, _: str) -> str:
            raise Killed

    with pytest.raises(Killed):
        jobs_of(Dying(), tmp_path).answer("query", 9)
    later = Client(*phases)
    jobs_of(later, tmp_path).answer("query", 9)
    assert later.calls == calls
    jobs_of(other := Client("COMPLETED", "COMPLETED"), tmp_path).answer("another query", 9)
    assert other.calls[0] == "create"


def test_a_job_of_another_archive_is_not_taken_up(tmp_path: Path) -> None:
    jobs_of(Client("COMPLETED", "COMPLETED"), tmp_path).answer("query", 9)
    elsewhere = Client("COMPLETED", "COMPLETED")
    elsewhere.url = "http://mirror.example/tap"
    jobs_of(elsewhere, tmp_path).answer("query", 9)
    assert elsewhere.calls[0] == "create"


def test_a_job_that_failed_is_asked_anew(tmp_path: Path) -> None:
    client = Client("PENDING", "ERROR", "PENDING", "COMPLETED")
    assert jobs_of(client, tmp_path).answer("query", 9).table.equals(ROWS)
    assert client.calls == ["create", "start", "remove job 1", "create", "start", "result"]


def test_jobs_that_keep_failing_are_told_in_the_words_of_the_archive(tmp_path: Path) -> None:
    client = Client(*["PENDING", "ABORTED"] * 3)
    with pytest.raises(LostJobError, match="ended as ABORTED: the disk is full"):
        jobs_of(client, tmp_path, tries=3).answer("query", 9)
    assert client.calls.count("create") == 3


def test_a_job_that_does_not_end_is_left_and_found_again(tmp_path: Path) -> None:
    client = Client(*["EXECUTING"] * 3)
    with pytest.raises(TransientError, match="did not end within"):
        jobs_of(client, tmp_path, timeout_s=0.0).answer("query", 9)
    later = Client("EXECUTING", "COMPLETED")
    jobs_of(later, tmp_path).answer("query", 9)
    assert "create" not in later.calls


def test_chunks_that_were_begun_stay_as_they_were(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    counts = dict.fromkeys(range(6), 10)
    assert ledger.due(range(4), counts, 20) == ([], [Chunk(0, 1, 20), Chunk(2, 3, 20)])
    ledger.keep_chunks([Chunk(2, 3, 20), Chunk(0, 1, 20)])
    # Pixel 1 arrived before the end came: the chunk is asked for as before, not a part of it.
    assert ledger.due([0, 2, 3, 4], counts, 20) == (
        [Chunk(0, 1, 20), Chunk(2, 3, 20)],
        [Chunk(4, 4, 10)],
    )
    # A limit that is lower now breaks them up.
    assert ledger.due([0, 1], counts, 15) == ([], [Chunk(0, 0, 10), Chunk(1, 1, 10)])


def test_a_wrong_count_is_struck_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.keep_counts({0: 5, 1: 6, 7: 8})
    ledger.keep_chunks([Chunk(0, 1, 11), Chunk(7, 7, 8)])
    ledger.strike([7])
    assert ledger.counts() == {0: 5, 1: 6}
    assert ledger.chunks() == [Chunk(0, 1, 11)]
