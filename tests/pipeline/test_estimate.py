from __future__ import annotations

from pathlib import Path

import pytest

from viamachinae.config import ScanConfig
from viamachinae.pipeline.configs import config_hash
from viamachinae.pipeline.estimate import Foreseen, planned_bytes
from viamachinae.pipeline.memory import free_bytes
from viamachinae.pipeline.patch import patch
from viamachinae.pipeline.training_memory import training_bytes
from viamachinae.pipeline.trial import run_trial
from viamachinae.sky import tile
from viamachinae.store.files import write_json
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder


def test_the_estimate_is_that_of_the_plan(small: ScanConfig, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert planned_bytes(small, run, "a") is None
    rows = [{"patch": "a", "memory_bytes": 7}, {"patch": "b"}]
    write_json(run.plan, {"config": config_hash(small), "patches": rows})
    assert planned_bytes(small, run, "a") == 7
    assert planned_bytes(small, run, "b") is None
    assert planned_bytes(small, run, "c") is None
    other = small.model_copy(update={"seed": 5})
    assert planned_bytes(other, run, "a") is None
    write_json(run.plan, [])
    assert planned_bytes(small, run, "a") is None


def test_more_than_there_is_or_was_foreseen_is_said(
    small: ScanConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = Record("train", "a", "pm_phi", "done", "", 1.0, "", {}, {}, memory_bytes=2_000_000_000)
    run = RunFolder(tmp_path)
    rows = [{"patch": "a", "memory_bytes": 10**18}, {"patch": "b", "memory_bytes": 1_500_000_000}]
    write_json(run.plan, {"config": config_hash(small), "patches": rows})
    Foreseen(small, run, "b").warn_after([])
    Foreseen(small, run, "none planned").warn_after([record])
    assert not caplog.text
    foreseen = Foreseen(small, run, "a")
    assert "a: is estimated to take 1000000000.0 GB of memory and" in caplog.text
    caplog.clear()
    # The plan stands: it knows of all stages.
    foreseen.training(10**17)
    foreseen.warn_after([record])
    assert not caplog.text
    Foreseen(small, run, "b").warn_after([record])
    assert "b: took 2.0 GB of memory and 1.5 GB were estimated" in caplog.text


def test_without_a_plan_the_stars_of_a_patch_tell(
    small: ScanConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    foreseen = Foreseen(small, RunFolder(tmp_path), "a")
    foreseen.training(training_bytes(10**12, 3, small))
    assert foreseen.bytes == training_bytes(10**12, 3, small)
    assert "a: is estimated to take 530000.7 GB" in caplog.text
    foreseen.training(10**6)
    assert foreseen.bytes == training_bytes(10**12, 3, small)


def test_a_flow_weighs_what_it_weighs_in_a_trial(small: ScanConfig) -> None:
    trial, train = run_trial(small), small.train
    more = training_bytes(0, 2, small) - training_bytes(0, 1, small)
    assert more == 2 * train.retrainings * (3 * train.average_last + 3) * trial.bytes_per_snapshot


def test_a_patch_says_so_before_it_trains(
    small: ScanConfig,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("viamachinae.pipeline.estimate.free_bytes", lambda: 1)
    config = small.model_copy(update={"train": small.train.model_copy(update={"epochs": 2})})
    first = tile(small.sky)[0].id
    patch(config, tmp_path, first)
    assert f"{first}: is estimated to take 0." in caplog.text


GIGABYTE = 10**9


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, 4 * 1024 * 10**6),
        ({".": "max", "job": "max"}, 4 * 1024 * 10**6),
        # Of the limit 2 GB are taken, of which 1 GB are caches.
        ({".": "max", "job": str(3 * GIGABYTE), "job/step": "max"}, 2 * GIGABYTE),
        ({"job": str(3 * GIGABYTE), "job/step": str(2 * GIGABYTE)}, GIGABYTE),
        ({"job": str(GIGABYTE // 2)}, 0),
    ],
)
def test_what_is_free_is_what_the_narrowest_group_leaves(
    tmp_path: Path, limits: dict[str, str], expected: int
) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    (proc / "self").mkdir(parents=True)
    assert free_bytes(proc, groups) is None
    (proc / "meminfo").write_text("MemFree: 7 kB\nMemAvailable:  4000000 kB\n")
    assert free_bytes(proc, groups) == 4 * 1024 * 10**6
    (proc / "self" / "cgroup").write_text("9:cpu:/other\n0::/job/step\n")
    for name, limit in limits.items():
        (groups / name).mkdir(parents=True, exist_ok=True)
        (groups / name / "memory.max").write_text(f"{limit}\n")
        (groups / name / "memory.current").write_text(f"{2 * GIGABYTE}\n")
        (groups / name / "memory.stat").write_text(f"anon 1\ninactive_file {GIGABYTE}\n")
    assert free_bytes(proc, groups) == expected
