"""Files that are either absent or whole: atomic writes, and what killed writers left behind."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place once all is on disk.

    On any error the temporary file goes and `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{platform.node()}.{os.getpid()}.{uuid4().hex[:8]}"
    temporary = path.with_name(f".{path.name}.{writer}.tmp")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers of this machine that were killed left below `folder`."""
    for leftover in folder.rglob(f".*.{platform.node()}.*.tmp"):
        process = leftover.name.split(".")[-3]
        if process.isdigit() and not _runs(int(process)):
            leftover.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
