"""A real disk without room: one sentence, exit code 3, and on to the same bytes afterwards."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import call, lay, results

PAGE = 4096
SCAN = ["scan", "scan.yaml", "--set", "sky.centres=[[149.0, 30.0]]", "--quiet"]
# What is taken away so that the stage has to be done again.
OUTPUTS = {
    "preprocess": "stars.parquet",
    "train": "flows.safetensors",
    "score": "scores.parquet",
    "lines": "protoclusters.parquet",
    "link": "members.parquet",
    "inspect": "index.html",
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    root = tmp_path / "disk"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(root)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a file system")
    yield root
    subprocess.run(["umount", "--lazy", root], check=True)


def fill(path: Path, spare_pages: int) -> None:
    """Write a file that takes all room but a few pages."""
    with path.open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(PAGE))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        filler.truncate(max(filler.tell() - spare_pages * PAGE, 0))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the finished scan of one patch, which needs no second process."""
    folder = tmp_path_factory.mktemp("alone")
    lay(folder)
    ended = call(*SCAN, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    # Without a single page not even the record of the failure can be kept.
    ("stage", "spare_pages"),
    [*((stage, 0) for stage in OUTPUTS), ("preprocess", 4), ("train", 4), ("score", 4)],
)
def test_each_stage_says_so_and_goes_on(
    alone: Path, disk: Path, stage: str, spare_pages: int
) -> None:
    run = Path(shutil.copytree(alone / "runs" / "try", disk / "run"))
    for path in run.rglob(OUTPUTS[stage]):
        path.unlink()
    fill(disk / "filler", spare_pages)
    ended = call(*SCAN, "--out", run, cwd=alone)
    assert ended.returncode == 3
    assert ended.stderr.startswith("viamachinae: ")
    assert ended.stderr.count("\n") == 1
    if spare_pages:
        shown = call("status", run, "--bad", cwd=alone).stdout
        assert "no space left on the disk" in shown
        assert stage in shown
    (disk / "filler").unlink()
    ended = call(*SCAN, "--out", run, cwd=alone)
    assert ended.returncode == 0, ended.stderr
    assert results(run) == results(alone / "runs" / "try")
    assert (run / "index.html").is_file()
    assert not list(run.rglob("*.tmp"))
