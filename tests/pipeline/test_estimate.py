from __future__ import annotations

from pathlib import Path

import pytest

from viamachinae.pipeline.estimate import estimated_bytes, warn_after, warn_before
from viamachinae.store.files import write_json
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder


def test_the_estimate_is_that_of_the_plan(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert estimated_bytes(run, "a") is None
    write_json(run.plan, {"patches": [{"patch": "a", "memory_bytes": 7}, {"patch": "b"}]})
    assert estimated_bytes(run, "a") == 7
    assert estimated_bytes(run, "b") is None
    assert estimated_bytes(run, "c") is None


def test_more_than_there_is_or_was_foreseen_is_said(caplog: pytest.LogCaptureFixture) -> None:
    record = Record("train", "a", "pm_phi", "done", "", 1.0, "", {}, {}, memory_bytes=2_000_000_000)
    warn_before("a", 1)
    warn_before("a", None)
    warn_after("a", 3_000_000_000, [record])
    warn_after("a", None, [record])
    assert not caplog.text
    warn_before("a", 10**18)
    assert "a: is estimated to take 1000000000.0 GB of memory and" in caplog.text
    warn_after("a", 1_500_000_000, [record])
    assert "a: took 2.0 GB of memory and 1.5 GB were estimated" in caplog.text
