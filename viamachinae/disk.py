"""Files that are either absent or whole: atomic writes, and what killed writers left behind."""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

# No room: on the disk, or within what the user may take of it.
FULL_DISK = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place once all is on disk.

    On any error the temporary file goes and `path` stays as it was. The system does not say which
    file it had no room for: such an error gets its name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = f"{platform.node()}.{os.getpid()}.{uuid4().hex[:8]}"
    temporary = path.with_name(f".{path.name}.{writer}.tmp")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
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
