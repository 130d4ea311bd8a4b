"""Doing patches again: which, from which stage, and to the same end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.done_files import forget_unsettled, write_done
from viamachinae.pipeline.events import Event
from viamachinae.pipeline.extent import Extent
from viamachinae.pipeline.rerun import chosen, failed_patches
from viamachinae.pipeline.scan import scan
from viamachinae.pipeline.status import patch_records, standing
from viamachinae.sky import tile
from viamachinae.store.files import file_hash, read_json, write_text
from viamachinae.store.records import Outcome, read_record, write_record
from viamachinae.store.run import RunFolder


def end_as(run: RunFolder, outcome: Outcome, stage: str, patch: str, scan: str | None) -> None:
    """Pretend that a stage ended so."""
    path = run.record(stage, patch, scan)
    record = read_record(path)
    assert record is not None
    fields = {**vars(record), "outcome": outcome, "reason": "broken on purpose", "outputs": {}}
    write_record(path, type(record)(**fields))
    write_text(path.with_suffix(".log"), "first\nlast line of the log")


def work(config: ScanConfig, out: Path) -> list[tuple[str, str, str | None]]:
    """Scan; the stages of patches that really ran."""
    events: list[Event] = []
    assert scan(config, out, workers=1, watch=events.append).is_good
    return [(e.stage, e.patch, e.scan) for e in events if e.kind == "start" and e.patch]


@pytest.fixture
def out(scanned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scanned, tmp_path / "run"))


def test_only_what_failed_is_forgotten(out: Path, small: ScanConfig) -> None:
    run, (first, second) = RunFolder(out), [one.id for one in tile(small.sky)]
    scores = file_hash(run.scores(first, "pm_phi"))
    assert failed_patches(small, run) == []
    # The same input would end the same way: without being asked, no run does this again.
    end_as(run, "unprocessable", "score", first, "pm_phi")
    assert [one.patch for one in standing(out) if not one.is_good] == [first]
    bad = next(one for one in standing(out) if not one.is_good)
    assert bad.as_row()["reason"] == "broken on purpose"
    assert bad.log_tail(1) == "last line of the log"
    assert failed_patches(small, run) == [first]
    config, again = chosen(out, [], failed=True, first=None)
    assert (config, again) == (small, [first])
    assert work(small, out) == [("score", first, "pm_phi")]
    assert file_hash(run.scores(first, "pm_phi")) == scores
    assert len(patch_records(small, run, second)) == 6


def test_a_patch_that_never_ended_has_failed_and_one_never_begun_has_not(
    out: Path, small: ScanConfig
) -> None:
    run, (first, second) = RunFolder(out), [one.id for one in tile(small.sky)]
    run.record("lines", first).unlink()
    assert failed_patches(small, run) == [first]
    shutil.rmtree(run.patch(second))
    assert failed_patches(small, run) == [first]
    # As a process leaves it that ends with its node, while it takes the stars.
    run.patch(second).mkdir()
    assert failed_patches(small, run) == [first, second]
    waiting = {one.patch for one in standing(out) if one.outcome == "waiting"}
    assert waiting == {first, second}


def test_from_a_stage_on(out: Path, small: ScanConfig) -> None:
    first = tile(small.sky)[0].id
    lines = file_hash(RunFolder(out).lines(first))
    chosen(out, [first], failed=False, first="score")
    done = work(small, out)
    assert done == [("score", first, "pm_lam"), ("score", first, "pm_phi"), ("lines", first, None)]
    assert file_hash(RunFolder(out).lines(first)) == lines


def test_a_workflow_is_told(out: Path, small: ScanConfig) -> None:
    run, (first, second) = RunFolder(out), [one.id for one in tile(small.sky)]
    lines = Extent(("lines",))
    for name, patches in (("0000", [first]), ("0001", [second])):
        records = {
            p: [r for r in patch_records(small, run, p) if r.stage == "lines"] for p in patches
        }
        assert write_done(run.workflow / f"{name}.lines.done", lines, records)
    linked = run.workflow / "linked"
    linked.touch()
    forget_unsettled(run)
    assert linked.exists()
    chosen(out, [first], failed=False, first="train")
    assert not linked.exists()
    assert [path.name for path in run.workflow.glob("*.done")] == ["0001.lines.done"]


def test_no_done_file_without_a_settled_end(out: Path, small: ScanConfig, tmp_path: Path) -> None:
    run, first = RunFolder(out), tile(small.sky)[0].id
    end_as(run, "failed", "score", first, "pm_phi")
    records = {first: patch_records(small, run, first)}
    assert not write_done(tmp_path / "done", Extent(), records)
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize(
    ("patches", "failed", "first", "words"),
    [
        ([], False, None, "name patches, or give --failed"),
        (["l1.0_b+2.0"], False, None, "is no patch of"),
        ([], True, "trian", "--from trian: must be one of preprocess"),
    ],
)
def test_what_makes_no_sense(
    out: Path, patches: list[str], failed: bool, first: str | None, words: str
) -> None:
    with pytest.raises(BadInputError, match=words):
        chosen(out, patches, failed, first)


def test_a_run_that_snakemake_is_at_work_on_is_left_alone(out: Path, small: ScanConfig) -> None:
    run, first = RunFolder(out), tile(small.sky)[0].id
    end_as(run, "failed", "score", first, "pm_phi")
    write_text(out / ".snakemake" / "locks" / "0.output.lock", "candidates.ecsv")
    with pytest.raises(BadInputError, match="another Snakemake is at work on it"):
        chosen(out, [], failed=True, first=None)
    assert run.record("score", first, "pm_phi").is_file()


def test_a_done_file_may_name_what_failed(out: Path, small: ScanConfig, tmp_path: Path) -> None:
    run, (first, second) = RunFolder(out), [one.id for one in tile(small.sky)]
    end_as(run, "failed", "lines", first, None)
    lines = Extent(("lines",))
    records = {
        p: [r for r in patch_records(small, run, p) if r.stage == "lines"] for p in (first, second)
    }
    path = tmp_path / "0000.lines.done"
    assert not write_done(path, lines, records)
    assert write_done(path, lines, records, leave_out_failed=True)
    assert read_json(path)["patches"] == {
        first: {"all/lines": "failed"},
        second: {"all/lines": "done"},
    }
