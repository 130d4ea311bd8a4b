"""The file ``vetting.csv`` of a run: rows are added to it, and nothing else ever happens to it."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime

from astropy.table import Table

from viamachinae.errors import BadInputError
from viamachinae.inspect.vetting import (
    HEAD,
    VERDICTS,
    Vetting,
    known_by,
    parse_vetting,
    vetting_text,
)
from viamachinae.store.files import read_table
from viamachinae.store.run import RunFolder


def read_vetting(run: RunFolder) -> list[Vetting]:
    """All rows; none where there is no file.

    Raises
    ------
    BadInputError
        If the file is damaged.
    """
    if not run.vetting.is_file():
        return []
    return parse_vetting(run.vetting.read_text(encoding="utf-8"), str(run.vetting))


def vet(
    run: RunFolder, candidate: str, verdict: str, note: str = "", who: str | None = None
) -> Vetting:
    """Add a verdict.

    Parameters
    ----------
    candidate : str
        Its name today.
    verdict : str
        One of `VERDICTS`.
    who : str, optional
        By default the user's name on this machine.

    Raises
    ------
    BadInputError
        If there is no such candidate or verdict.
    """
    if verdict not in VERDICTS:
        raise BadInputError(f"verdict {verdict}: must be one of {', '.join(VERDICTS)}")
    members = read_table(run.members)
    own: Table = members[members["candidate"] == candidate]
    if not len(own):
        raise BadInputError(f"{run.members}: holds no candidate {candidate}")
    when = datetime.now(UTC).isoformat(timespec="seconds")
    row = Vetting(who or getpass.getuser(), when, candidate, verdict, note, known_by(own))
    _append(run, vetting_text(row))
    return row


def _append(run: RunFolder, line: str) -> None:
    """Write in one go at the end of the file, so that two writers do not mix their rows."""
    descriptor = os.open(run.vetting, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size == 0:
            line = HEAD + line
        elif os.pread(descriptor, 1, size - 1) != b"\n":
            line = "\n" + line  # an editor left the last row without its end
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
