"""Patches worked on side by side, in any order and even twice, give the same bytes."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.slurm.conftest import patches, results, scan_whole, viamachinae
from viamachinae.options import read_config
from viamachinae.pipeline.batch import batch
from viamachinae.pipeline.link import link

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Configuration and finished run of four tiny patches."""
    return scan_whole(tmp_path_factory.mktemp("four"), patches(4, ("pm_phi",)))


def test_four_workers_in_another_order(four: tuple[Path, Path], tmp_path: Path) -> None:
    path, whole = four
    config = read_config(path)
    ids = sorted(folder.name for folder in (whole / "patches").iterdir())
    random.Random(4).shuffle(ids)
    batch(config, tmp_path, ids, workers=4)
    link(config, tmp_path)
    # Of the source alone, not of the work.
    assert results(tmp_path) == {
        name: content for name, content in results(whole).items() if name != "truth.parquet"
    }


def test_a_share_submitted_twice_at_once(four: tuple[Path, Path], tmp_path: Path) -> None:
    """As `sbatch --array=1-1` given twice: two processes on every patch."""
    path, whole = four
    command = viamachinae("patch", path, "--array", "1/1", "--out", tmp_path, "--quiet")
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    link(read_config(path), tmp_path)
    assert results(tmp_path) == results(whole)
