"""The scan on a cluster: the same bytes as in one process."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from astropy.table import Table

from tests.slurm.conftest import BATCHES, results, scan_by_slurm, viamachinae

pytestmark = pytest.mark.slurm


@pytest.mark.usefixtures("slurm")
def test_slurm_gives_the_bytes_of_one_process(four: tuple[Path, Path], tmp_path: Path) -> None:
    """Four patches in one batch; twelve in the slow test below."""
    config, whole = four
    scan_by_slurm(config, tmp_path)
    assert results(tmp_path) == results(whole)


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_twelve_patches_and_two_scans(twelve: tuple[Path, Path], tmp_path: Path) -> None:
    config, whole = twelve
    scan_by_slurm(config, tmp_path, *BATCHES)
    assert results(tmp_path) == results(whole)
    assert len(Table.read(tmp_path / "candidates.ecsv")) >= 1


@pytest.mark.slow
def test_four_workers_in_another_order_give_the_same_bytes(
    twelve: tuple[Path, Path], tmp_path: Path
) -> None:
    config, whole = twelve
    ids = sorted(path.name for path in (whole / "patches").iterdir())
    random.Random(4).shuffle(ids)
    words = ["patch", config, *ids, "--out", tmp_path, "--workers", 4, "--quiet"]
    subprocess.run(viamachinae(*words), check=True)
    subprocess.run(viamachinae("link", config, "--out", tmp_path, "--quiet"), check=True)
    assert results(tmp_path) == results(whole)


@pytest.mark.slow
def test_shares_submitted_twice_at_once_do_no_harm(
    twelve: tuple[Path, Path], tmp_path: Path
) -> None:
    """As `sbatch --array=1-2` given twice: two processes on every patch."""
    config, whole = twelve
    shares = [
        subprocess.Popen(
            viamachinae("patch", config, "--array", share, "--out", tmp_path, "--quiet")
        )
        for share in ("1/2", "1/2", "2/2", "2/2")
    ]
    assert [share.wait() for share in shares] == [0] * 4
    subprocess.run(viamachinae("link", config, "--out", tmp_path, "--quiet"), check=True)
    assert results(tmp_path) == results(whole)
