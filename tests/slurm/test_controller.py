"""What becomes of the jobs when the process that steers them ends, or another one starts."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.slurm.conftest import QUICK, jobs_of, results, scan_by_slurm, viamachinae

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


def states(out: Path) -> set[str]:
    return {job["JobState"] for job in jobs_of(out)}


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_it_takes_its_jobs_along_and_another_leaves_them_alone(
    four: tuple[Path, Path], tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    config, whole = four
    # What runs in the background ignores SIGINT, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    words = viamachinae("scan", config, "--out", tmp_path, "--on", "slurm", "--", *QUICK)
    with subprocess.Popen(words) as controller:
        while "RUNNING" not in states(tmp_path):
            assert controller.poll() is None
            time.sleep(0.2)
        other = subprocess.run(words, capture_output=True, text=True, check=False)
        assert other.returncode == 2
        assert "another Snakemake is at work on it" in other.stderr
        assert "CANCELLED" not in states(tmp_path)
        controller.send_signal(sent)
    assert controller.returncode == code
    assert not {"RUNNING", "PENDING"} & states(tmp_path)
    scan_by_slurm(config, tmp_path)
    assert results(tmp_path) == results(whole)
