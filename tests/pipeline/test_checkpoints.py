"""Training that is stopped goes on to the same bytes, and leaves no checkpoint behind."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch

from viamachinae.config import ScanConfig
from viamachinae.flows.training import _Fitting
from viamachinae.pipeline import checkpoints as checkpoints_module
from viamachinae.pipeline import stopping
from viamachinae.pipeline.checkpoints import Checkpoints
from viamachinae.pipeline.extent import Extent
from viamachinae.pipeline.patch import patch
from viamachinae.sky import tile
from viamachinae.store.files import file_hash
from viamachinae.store.run import RunFolder

STATE = {"weights": torch.arange(3.0)}
TRAIN = Extent(("train",), ("pm_phi",))


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that answers SIGTERM, as a worker of a scan does."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(stopping, "_stop", stopping._Stop())
    stopping.listen()
    yield
    signal.signal(signal.SIGTERM, before)


def test_two_are_kept_and_the_newest_is_taken(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path, "key", 1e9)
    assert kept.load() is None
    for number in range(5):
        kept.save(STATE, {"number": number})
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["000004.safetensors", "000005.safetensors"]
    loaded = Checkpoints(tmp_path, "key", 1e9).load()
    assert loaded is not None
    assert loaded[1] == {"number": 4}
    assert torch.equal(loaded[0]["weights"], STATE["weights"])
    assert Checkpoints(tmp_path, "other", 1e9).load() is None
    # Of a torn one, the one before is taken.
    newest = tmp_path / files[-1]
    newest.write_bytes(newest.read_bytes()[:-5])
    loaded = kept.load()
    assert loaded is not None
    assert loaded[1] == {"number": 3}
    kept.clear()
    assert list(tmp_path.iterdir()) == []


def test_due_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoints(tmp_path, "key", 60.0)
    assert not kept.due()
    now = checkpoints_module.time.monotonic()
    monkeypatch.setattr(checkpoints_module.time, "monotonic", lambda: now + 61.0)
    assert kept.due()
    kept.save(STATE, {})
    assert not kept.due()


def test_a_full_disk_costs_the_checkpoint_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints_module, "save_checkpoint", full)
    Checkpoints(tmp_path, "key", 0.0).save(STATE, {})
    assert "no space left for a checkpoint" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("listening")
def test_sigterm_ends_at_once_but_for_what_wants_to_save() -> None:
    with pytest.raises(SystemExit) as ended:
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 75
    stopping._stop.asked = False
    reached = []

    def work() -> None:
        with stopping.softly():
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append(stopping.asked())

    with pytest.raises(SystemExit) as ended:
        work()
    assert reached == [True]
    assert ended.value.code == 75


@pytest.mark.usefixtures("listening")
def test_sigterm_in_training_then_the_same_bytes(
    scanned: Path, small: ScanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, first = Path(shutil.copytree(scanned, tmp_path / "run")), tile(small.sky)[0].id
    run = RunFolder(out)
    flows = file_hash(run.flows(first, "pm_phi"))
    run.record("train", first, "pm_phi").unlink()
    run.flows(first, "pm_phi").unlink()
    advance, calls = _Fitting._advance, []

    def terminated(self: _Fitting, lanes: object) -> None:
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        advance(self, lanes)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(_Fitting, "_advance", terminated)
        with pytest.raises(SystemExit) as ended:
            patch(small, out, first, TRAIN)
    assert ended.value.code == 75
    assert len(calls) == 5
    assert len(list(run.checkpoints(first, "pm_phi").iterdir())) == 1
    assert not run.flows(first, "pm_phi").exists()
    monkeypatch.setattr(stopping, "_stop", stopping._Stop())
    (record,) = patch(small, out, first, TRAIN)
    assert record.outcome == "done"
    assert file_hash(run.flows(first, "pm_phi")) == flows
    assert list(run.checkpoints(first, "pm_phi").iterdir()) == []
