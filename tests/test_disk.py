from __future__ import annotations

import errno
import os
import platform
from pathlib import Path

import pytest

from viamachinae.disk import atomic, remove_leftovers


def test_error_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fill_the_disk() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space") as full:
        fill_the_disk()
    assert full.value.filename == str(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_leftovers_of_dead_writers_go_and_those_of_living_stay(tmp_path: Path) -> None:
    dead = tmp_path / f".a.parquet.{platform.node()}.999999999.abc.tmp"
    alive = tmp_path / f".a.parquet.{platform.node()}.{os.getpid()}.abc.tmp"
    elsewhere = tmp_path / ".a.parquet.other-host.999999999.abc.tmp"
    for path in (dead, alive, elsewhere):
        path.write_text("half")
    remove_leftovers(tmp_path)
    assert not dead.exists()
    assert alive.exists()
    assert elsewhere.exists()
