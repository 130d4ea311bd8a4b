"""What the jobs ask of SLURM: time, and what becomes of one that needs more; and GPUs."""

from __future__ import annotations

import subprocess
from math import ceil
from pathlib import Path

import pytest
import yaml

from tests.slurm.conftest import jobs_of, patches, results, scan_by_slurm, viamachinae
from viamachinae.pipeline.status import status

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

# Minutes of a job that trains. The profile asks for SIGTERM two minutes before the end, and SLURM
# looks twice a minute, early rather than late: a job starts and trains for 30 to 60 seconds.
LIMIT = 3
# Of the whole training; more than one job has, also where the machine is faster than just before.
SECONDS = 75


def long_training(config: Path, epochs: int) -> Path:
    """Configuration of one patch and scan whose only checkpoints are those of SIGTERM."""
    options = patches(1, ("pm_phi",))
    options["train"] |= {"epochs": epochs, "checkpoint_seconds": 3600}
    # So many epochs on so few stars learn the stars themselves.
    options["train"]["health"] |= {"max_pit_distance": 1.0, "max_outside": 1.0}
    config.write_text(yaml.safe_dump(options))
    return config


def epochs_in(seconds: float, folder: Path, tried: int = 300) -> int:
    """How many epochs of that training take so long on this machine, by a short one."""
    config, out = long_training(folder / "short.yaml", tried), folder / "short"
    stages = ["--array", "1/1", "--only", "preprocess,train"]
    subprocess.run(viamachinae("patch", config, *stages, "--out", out, "--quiet"), check=True)
    (taken,) = [record.seconds for record in status(out) if record.stage == "train"]
    return ceil(tried * seconds / taken)


@pytest.mark.usefixtures("slurm")
def test_a_training_goes_on_from_where_its_time_was_up(tmp_path: Path) -> None:
    config = long_training(tmp_path / "sky.yaml", epochs_in(SECONDS, tmp_path))
    whole, out = tmp_path / "whole", tmp_path / "slurm"
    with subprocess.Popen(viamachinae("scan", config, "--out", whole, "--quiet")) as alone:
        scan_by_slurm(config, out, "--set-resources", f"train:runtime={LIMIT}", "--retries", "20")
    assert alone.returncode == 0
    training = [job for job in jobs_of(out) if job["Comment"].startswith("rule_train")]
    *cut_short, last = [job["JobState"] for job in training]
    # Neither killed at its limit nor begun anew: each saved its state and ended by itself.
    assert set(cut_short) == {"FAILED"}
    assert last == "COMPLETED"
    log = (out / "workflow/logs/0000.pm_phi.log").read_text()
    # The second where the time was up between the end of the training and that of its job.
    assert "going on from a checkpoint" in log or '"kind": "skip", "stage": "train"' in log
    assert results(out) == results(whole)


def most_at_once(jobs: list[dict[str, str]]) -> int:
    """How many of the jobs ran at the same time, at most."""
    return max(
        sum(one["StartTime"] <= other["StartTime"] < one["EndTime"] for one in jobs)
        for other in jobs
    )


@pytest.mark.usefixtures("slurm")
def test_jobs_that_train_share_out_the_gpus(four: tuple[Path, Path], tmp_path: Path) -> None:
    """Of four jobs on four cores, two at once: as many as there are GPUs."""
    config, whole = four
    scan_by_slurm(config, tmp_path, "--config", "gpus=1", "stars_per_job=1")
    assert results(tmp_path) == results(whole)
    asking = [job for job in jobs_of(tmp_path) if "gpu" in job.get("TresPerJob", "")]
    assert {job["Comment"].partition("_wildcards")[0] for job in asking} == {"rule_train"}
    assert len(asking) == 4
    assert most_at_once(asking) == 2
