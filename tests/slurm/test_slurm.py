"""The scan on a cluster: the same bytes as in one process."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.table import Table

from tests.slurm.conftest import BATCHES, results, scan_by_slurm

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
