"""What the jobs ask of SLURM: GPUs, which they share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.slurm.conftest import jobs_of, results, scan_by_slurm

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


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
