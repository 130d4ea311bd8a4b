"""A real disk without room: one sentence, exit code 3, and on to the same bytes afterwards."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.cli.conftest import call, lay, results
from tests.query.archive.conftest import CENTRE, make_rows
from tests.tap.front import MemoryTap, serving
from viamachinae.options import read_config
from viamachinae.sky import tile

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


def lake_files(lake: Path) -> dict[str, bytes]:
    """Every file of a lake but its notes of what was asked and sorted on the way."""
    return {
        path.relative_to(lake).as_posix(): path.read_bytes()
        for path in sorted(lake.rglob("*.parquet"))
    }


@pytest.mark.slow
@pytest.mark.parametrize("spare_pages", [8, 40])
def test_ingest_says_so_and_goes_on(disk: Path, tmp_path: Path, spare_pages: int) -> None:
    pq.write_table(make_rows(), tmp_path / "stars.parquet")
    words = ["ingest", "stars.parquet", "--order", 4, "--workers", 1, "--quiet", "--out"]
    whole = call(*words, tmp_path / "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    fill(disk / "filler", spare_pages)
    ended = call(*words, disk / "lake", cwd=tmp_path)
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.startswith(f"viamachinae: {disk}")
    assert ended.stderr.count("\n") == 1
    (disk / "filler").unlink()
    ended = call(*words, disk / "lake", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert lake_files(disk / "lake") == lake_files(tmp_path / "whole")
    assert not list(disk.rglob("*.tmp"))


@pytest.mark.slow
@pytest.mark.parametrize("spare_pages", [8, 40])
def test_a_full_lake_is_named_and_grows_on(disk: Path, tmp_path: Path, spare_pages: int) -> None:
    """The lake that the archive's stars go to stands on another disk than the run."""
    sky = {"tiling": "centres", "centres": [[*CENTRE]], "radius_deg": 3.0}
    with serving(MemoryTap(make_rows())) as front:
        query = {"source": "archive", "client": "pyvo", "endpoint": front.plain, "row_limit": 500}
        query |= {"lake": str(disk / "lake"), "tries": 1, "pause_s": 0.01}
        config = {"sky": {**sky, "evaluation_radius_deg": 3.0}, "query": query}
        (tmp_path / "scan.yaml").write_text(yaml.safe_dump(config))
        (patch,) = tile(read_config(tmp_path / "scan.yaml").sky)
        words = ["patch", "scan.yaml", patch.id, "--stage", "preprocess", "--out", "run"]
        fill(disk / "filler", spare_pages)
        ended = call(*words, "--workers", 1, cwd=tmp_path)
        assert ended.returncode == 3
        shown = call("status", "run", "--json", cwd=tmp_path).stdout
        (disk / "filler").unlink()
        ended = call(*words, "--workers", 1, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    assert "no space left on the disk of" in shown
    assert str(disk / "lake") in shown
    assert not list(disk.rglob("*.tmp"))
