"""How a run stands while it runs, and where no record says so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.pipeline.test_rerun import end_as
from viamachinae.config import ScanConfig
from viamachinae.pipeline.status import awaited, has_lines, newest_log, standing
from viamachinae.sky import tile
from viamachinae.store.files import write_text
from viamachinae.store.run import RunFolder


@pytest.fixture
def out(scanned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scanned, tmp_path / "run"))


def places(out: Path) -> list[tuple[str, str | None]]:
    return [(one.stage, one.scan) for one in awaited(standing(out))]


def test_no_record_is_awaited_after_what_failed(out: Path, small: ScanConfig) -> None:
    run, (first, second) = RunFolder(out), [one.id for one in tile(small.sky)]
    assert places(out) == []
    for stage, scan in (("score", "pm_lam"), ("score", "pm_phi"), ("lines", None)):
        run.record(stage, first, scan).unlink()
    assert places(out) == [("score", "pm_lam"), ("score", "pm_phi"), ("lines", None)]
    # Then the scores of that scan and the lines do not come; those of the other scan do.
    end_as(run, "failed", "train", first, "pm_lam")
    assert places(out) == [("score", "pm_phi")]
    end_as(run, "failed", "train", first, "pm_phi")
    assert places(out) == []
    # The other patch can be linked.
    run.record("link").unlink()
    assert places(out) == [("link", None)]
    end_as(run, "failed", "lines", second, None)
    assert places(out) == []
    assert not has_lines(small, out)


def test_the_newest_log(out: Path) -> None:
    assert newest_log(out) == ""
    for age, name in enumerate(("0001.lines", "0000.preprocess")):
        path = out / "workflow" / "logs" / f"{name}.log"
        write_text(path, f"first\n{name} ends here\n")
        os.utime(path, (1e9 - age, 1e9 - age))
    assert newest_log(out, 1) == f"{out}/workflow/logs/0001.lines.log:\n0001.lines ends here"
