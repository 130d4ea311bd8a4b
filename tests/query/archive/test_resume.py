"""A process that is killed again and again, and what it leaves and asks."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.query.archive.conftest import CENTRE, COLUMNS, WITH_VALUES
from tests.tap.front import Front

SCRIPT = """
import sys
from viamachinae.config import ArchiveQuery
from viamachinae.query.archive import ArchiveSource, pyvo_client
print("ready", flush=True)
config = ArchiveQuery.model_validate_json(sys.argv[1])
columns, with_values, ra, dec = {columns!r}, {with_values!r}, {ra}, {dec}
ArchiveSource(config, columns, with_values).stars(ra, dec, {radius_deg}, columns)
"""


def start(front: Front, lake: Path, ra: float, dec: float, radius_deg: float) -> subprocess.Popen:
    """A process that reads a disc, once its imports are done."""
    script = SCRIPT.format(
        columns=COLUMNS, with_values=WITH_VALUES, ra=ra, dec=dec, radius_deg=radius_deg
    )
    config = (
        f'{{"source": "archive", "endpoint": "{front.plain}", "lake": "{lake}", "tries": 20,'
        ' "pause_s": 0.05, "row_limit": 400}'
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, config],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def content(lake: Path) -> dict[str, bytes]:
    """All files of a lake, by name."""
    files = (path for path in sorted(lake.rglob("*")) if path.is_file())
    return {str(path.relative_to(lake)): path.read_bytes() for path in files}


def check_kills(front: Front, folder: Path, n_kills: int, disc: tuple[float, float, float]) -> None:
    """Kill a download at random moments; the lake is as without, and nothing is asked twice."""
    with start(front, folder / "calm" / "lake", *disc) as process:
        assert process.wait() == 0
    # Moments are told by what the archive was asked, so that a slow machine has them too.
    longest = front.n_requests // n_kills
    front.asked.clear()
    chance = random.Random(8)
    for _ in range(n_kills):
        last = front.n_requests + chance.randrange(longest)
        with start(front, folder / "killed" / "lake", *disc) as process:
            while front.n_requests < last:
                assert process.poll() is None
                time.sleep(0.001)
            time.sleep(chance.uniform(0.0, 0.05))
            process.send_signal(signal.SIGKILL)
    with start(front, folder / "killed" / "lake", *disc) as process:
        assert process.wait() == 0
    assert len(set(front.asked)) == len(front.asked)
    calm, left = content(folder / "calm" / "lake"), content(folder / "killed" / "lake")
    assert left.keys() == calm.keys()
    assert left == calm


@pytest.mark.slow
def test_killed_ten_times(archive: Front, tmp_path: Path) -> None:
    archive.faults.delay_s = 0.03
    check_kills(archive, tmp_path, 10, (*CENTRE, 3.0))
