from __future__ import annotations

import errno
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

SLOW = 300.0


def record(patch: str, outcome: Outcome = "done", reason: str = "") -> Record:
    return Record("lines", patch, None, outcome, reason, 0.0, "", {}, {})


def job(folder: Path, patch: str, watch: Watcher) -> list[Record]:
    """A patch whose name says what becomes of it."""
    watch(Event("start", "train", patch, "pm_phi"))
    logging.getLogger("viamachinae").warning("at work on %s", patch)
    (folder / patch).touch()
    if patch.startswith("killed"):
        os.kill(os.getpid(), signal.SIGKILL)
    if patch.startswith("terminated"):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SLOW)
    if patch.startswith("bad"):
        raise BadInputError(f"{patch}.parquet: has no column pmra")
    if patch.startswith("full"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "records/train.json")
    if patch.startswith("slow"):
        time.sleep(SLOW)
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
    own, apart = functools.partial(job, folder), workers > 1
    return work_through(own, patches, workers, events.append, mourn, fail_fast, apart)


def test_one_worker_takes_the_patches_in_their_order(tmp_path: Path) -> None:
    found = work(tmp_path, ["c", "a", "b"], 1)
    assert list(found) == ["c", "a", "b"]
    assert all(records[0].outcome == "done" for records in found.values())


def test_a_killed_process_costs_one_patch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = work(tmp_path, ["killed", "b", "a"], 2)
    assert [(patch, records[0].outcome) for patch, records in found.items()] == [
        ("killed", "failed"),
        ("b", "done"),
        ("a", "done"),
    ]
    assert found["killed"][0].reason.startswith("train: its process was ended by SIGKILL")
    assert "at work on b" in caplog.text


def test_a_process_takes_patch_after_patch() -> None:
    patches = ["a", "b", "killed", "c", "d", "failed", "e"]
    found = work_through(pids, patches, 1, lambda _: None, mourn, False, True)
    assert list(found) == patches
    pid = {patch: records[0].reason for patch, records in found.items()}
    assert pid["a"] == pid["b"] != pid["c"]
    assert pid["c"] == pid["d"] == pid["failed"] != pid["e"]
    assert "SIGKILL" in pid["killed"]
    again = work_through(pids, patches, 1, lambda _: None, mourn, True, True)
    assert list(again) == ["a", "b", "killed"]


def pids(patch: str, watch: Watcher) -> list[Record]:
    """A patch that says which process worked on it."""
    watch(Event("start", "train", patch))
    if patch == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return [record(patch, "failed" if patch == "failed" else "done", str(os.getpid()))]


def test_sigterm_stops_all_and_asks_for_another_turn(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        work(tmp_path, ["terminated", "slow"], 2)
    assert ended.value.code == 75


def test_bad_input_stops_all(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(BadInputError, match="no column pmra"):
        work(tmp_path, ["bad", "slow", "never"], 2)
    assert time.monotonic() - start < SLOW, "the slow patch was waited for"
    assert not (tmp_path / "never").exists()
    with pytest.raises(BadInputError, match="no column pmra"):
        work(tmp_path, ["bad", "never"], 1)
    assert not (tmp_path / "never").exists()


def test_a_full_disk_stops_all_in_the_words_of_the_system(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = functools.partial(job, tmp_path)
    with pytest.raises(OSError, match=r"No space left on device: 'records/train\.json'"):
        work_through(own, ["full", "never"], 1, lambda _: None, mourn, False, True)
    assert not (tmp_path / "never").exists()
    assert "Traceback" not in capfd.readouterr().err


def test_fail_fast_starts_nothing_more(tmp_path: Path) -> None:
    assert list(work(tmp_path, ["a", "failed", "b"], 1)) == ["a", "failed", "b"]
    assert list(work(tmp_path, ["a", "failed", "b"], 1, fail_fast=True)) == ["a", "failed"]
