"""What is recorded of a patch whose process died."""

from __future__ import annotations

import functools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from viamachinae.config import ScanConfig
from viamachinae.pipeline.batch import _mourn
from viamachinae.pipeline.events import Event
from viamachinae.pipeline.extent import Extent
from viamachinae.pipeline.status import patch_records
from viamachinae.sky import tile
from viamachinae.store.records import read_record, write_record
from viamachinae.store.run import RunFolder

SCORED = Extent(("train", "score"), ("pm_phi",))


@pytest.mark.parametrize(
    ("last", "failed"),
    [
        (None, "train"),
        (Event("start", "train", scan="pm_phi"), "train"),
        (Event("advance", "train", scan="pm_phi"), "train"),
        (Event("end", "train", scan="pm_phi"), "score"),
        (Event("skip", "train", scan="pm_phi"), "score"),
        (Event("end", "score", scan="pm_phi"), None),
    ],
)
def test_only_the_stage_in_which_it_died_has_failed(
    scanned: Path, small: ScanConfig, tmp_path: Path, last: Event | None, failed: str | None
) -> None:
    """A stage that an earlier job ended keeps its record, whatever befalls a later job."""
    run = RunFolder(Path(shutil.copytree(scanned, tmp_path / "run")))
    first = tile(small.sky)[0].id
    before = patch_records(small, run, first)
    mourn = functools.partial(_mourn, small, run, SCORED, before)
    returned = [(one.stage, one.outcome) for one in mourn(first, last, "ended by SIGKILL")]
    recorded = {
        (one.stage, one.scan): one.outcome
        for one in patch_records(small, run, first)
        if one.outcome != "done"
    }
    assert recorded == ({(failed, "pm_phi"): "failed"} if failed else {})
    expected = {None: ["done", "done"], "train": ["failed"], "score": ["done", "failed"]}[failed]
    assert [outcome for _, outcome in returned] == expected


def test_what_another_process_has_ended_meanwhile_keeps_its_record(
    scanned: Path, small: ScanConfig, tmp_path: Path
) -> None:
    run = RunFolder(Path(shutil.copytree(scanned, tmp_path / "run")))
    first = tile(small.sky)[0].id
    before = patch_records(small, run, first)
    path = run.record("train", first, "pm_phi")
    record = read_record(path)
    assert record is not None
    write_record(path, replace(record, seconds=123.0))
    event = Event("start", "train", scan="pm_phi")
    returned = _mourn(small, run, SCORED, before, first, event, "ended by SIGKILL")
    assert [one.outcome for one in returned] == ["failed"]
    kept = read_record(path)
    assert kept is not None
    assert (kept.outcome, kept.seconds) == ("done", 123.0)
