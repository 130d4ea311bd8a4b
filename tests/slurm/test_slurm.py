"""The scan on a cluster: the same bytes as in one process."""

from __future__ import annotations

import random
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from astropy.table import Table

from tests.slurm.conftest import BATCHES, QUICK, patches, results, scan_whole, viamachinae

pytestmark = pytest.mark.slurm

EPOCHS_OF_MINUTES = 6000


def scan_by_slurm(config: Path, out: Path, *extra: str) -> None:
    words = ["scan", config, "--out", out, "--on", "slurm", "--", *QUICK, *extra]
    ended = subprocess.run(viamachinae(*words), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "--workflow-profile" in ended.stderr


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


# As docs/cluster.md has it. SLURM may send the signal up to a minute early.
ARRAY = """#!/bin/bash
#SBATCH --time=3 --requeue --signal=TERM@60 --open-mode=append --output={out}/job.log
srun {viamachinae} patch {config} --array 1/1 --out {out} --log-json || code=$?
[ "${{code:-0}}" = 75 ] && scontrol requeue "$SLURM_JOB_ID"
exit "${{code:-0}}"
"""


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_at_its_time_limit_a_job_saves_and_goes_on_in_its_next_turn(tmp_path: Path) -> None:
    """Training that takes more than a turn; how many it takes depends on the machine."""
    options = patches(1, ("pm_phi",))
    options["train"] |= {"epochs": EPOCHS_OF_MINUTES, "checkpoint_seconds": 600}
    config, whole = scan_whole(tmp_path, options)
    out = tmp_path / "array"
    out.mkdir()
    script = out / "job.sh"
    command = shlex.join(viamachinae())
    script.write_text(ARRAY.format(viamachinae=command, config=config, out=out))
    sbatch = ["sbatch", "--parsable", str(script)]
    job = subprocess.run(sbatch, capture_output=True, text=True, check=True).stdout.strip()
    shown = ""
    while "JobState=COMPLETED" not in shown:
        time.sleep(5)
        ask = ["scontrol", "show", "job", job]
        shown = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
        assert "JobState=FAILED" not in shown, (out / "job.log").read_text()
        assert "JobState=TIMEOUT" not in shown, (out / "job.log").read_text()
    assert "Restarts=0" not in shown
    log = (out / "job.log").read_text()
    assert log.count("going on from a checkpoint") >= 1
    expected = results(whole / "patches")
    assert results(out / "patches") == expected
    assert expected


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
