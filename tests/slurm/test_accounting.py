"""A SLURM with accounting: the same scan, whichever way Snakemake asks how its jobs stand."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.conftest import results, running, scan_by_slurm
from viamachinae.pipeline.workflow import job_name

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


@pytest.fixture(scope="module")
def accounted() -> Iterator[Path]:
    """State folder of a SLURM with slurmdbd and a database."""
    with running("slurmdbd", "mariadbd", "sacct", ACCOUNTING="1") as folder:
        yield folder


@pytest.mark.usefixtures("accounted")
@pytest.mark.parametrize("command", ["squeue", "sacct"])
def test_the_same_bytes_and_an_account_of_every_job(
    four: tuple[Path, Path], tmp_path: Path, command: str
) -> None:
    config, whole = four
    scan_by_slurm(config, tmp_path, "--slurm-status-command", command)
    assert results(tmp_path) == results(whole)
    listed = subprocess.run(
        ["sacct", "--allocations", "--noheader", "--parsable2", "--format=JobName,State"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|") for line in listed.stdout.splitlines()]
    states = [state for name, state in rows if name.startswith(job_name(tmp_path))]
    assert states == ["COMPLETED"] * 5
