from __future__ import annotations

import functools
import logging
import os
import signal
import time
from pathlib import Path

import pytest

from viamachinae.errors import BadInputError
from viamachinae.pipeline.events import Event, Watcher
from viamachinae.pipeline.workers import work_through
from viamachinae.store.records import Outcome, Record


def record(patch: str, outcome: Outcome = "done", reason: str = "") -> Record:
    return Record("lines", patch, None, outcome, reason, 0.0, "", {}, {})


def job(folder: Path, patch: str, watch: Watcher) -> list[Record]:
    """A patch whose name says what becomes of it."""
    watch(Event("start", "train", patch, "pm_phi"))
    logging.getLogger("viamachinae").warning("at work on %s", patch)
    (folder / patch).touch()
    if patch.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if patch.startswith("bad"):
        raise BadInputError(f"{patch}.parquet: has no column pmra")
    if patch.startswith("slow"):
        time.sleep(60)
    if patch.startswith("failed"):
        return [record(patch, "failed", "broken")]
    return [record(patch)]


def mourn(patch: str, last: Event | None, cause: str) -> list[Record]:
    assert last is not None
    return [record(patch, "failed", f"{last.stage}: {cause}")]


def work(
    folder: Path, patches: list[str], workers: int, fail_fast: bool = False
) -> dict[str, list[Record]]:
    events: list[Event] = []
    return work_through(
        functools.partial(job, folder), patches, workers, events.append, mourn, fail_fast
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_all_patches_in_their_order(tmp_path: Path, workers: int) -> None:
    found = work(tmp_path, ["c", "a", "b"], workers)
    assert list(found) == ["c", "a", "b"]
    assert all(records[0].outcome == "done" for records in found.values())


def test_a_killed_process_costs_one_patch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = work(tmp_path, ["a", "killed", "b", "c"], 2)
    assert [found[p][0].outcome for p in ("a", "killed", "b", "c")] == [
        "done",
        "failed",
        "done",
        "done",
    ]
    assert found["killed"][0].reason.startswith("train: its process was ended by SIGKILL")
    assert "at work on b" in caplog.text


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_input_stops_all(tmp_path: Path, workers: int) -> None:
    start = time.monotonic()
    with pytest.raises(BadInputError, match="no column pmra"):
        work(tmp_path, ["bad", *["slow"] * (workers - 1), "never1", "never2"], workers)
    assert time.monotonic() - start < 50, "the slow patch was waited for"
    assert not (tmp_path / "never2").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_fail_fast_starts_nothing_more(tmp_path: Path, workers: int) -> None:
    patches = ["failed", *[f"p{i}" for i in range(6)]]
    assert set(work(tmp_path, patches, workers)) == set(patches)
    assert len(work(tmp_path, patches, workers, fail_fast=True)) <= workers + 1
