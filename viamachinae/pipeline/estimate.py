"""The memory that a plan foresees for a patch, held against what there is and what it took."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from viamachinae.store.files import read_json
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder

logger = logging.getLogger(__name__)


def estimated_bytes(run: RunFolder, patch: str) -> int | None:
    """What the plan in the run folder foresees for a patch; None where it does not."""
    try:
        rows = read_json(run.plan)["patches"]
    except (OSError, ValueError, KeyError):
        return None
    found: dict[str, Any] = next((row for row in rows if row["patch"] == patch), {})
    estimate: int | None = found.get("memory_bytes")
    return estimate


def warn_before(patch: str, estimate: int | None) -> None:
    """Say so where a patch is likely to need more memory than is free."""
    free = _free_bytes()
    if estimate is not None and free is not None and estimate > free:
        logger.warning(
            "%s: is estimated to take %.1f GB of memory and %.1f GB are free",
            patch,
            estimate / 1e9,
            free / 1e9,
        )


def warn_after(patch: str, estimate: int | None, records: Sequence[Record]) -> None:
    """Say so where a patch took more memory than was estimated."""
    taken = max((record.memory_bytes for record in records), default=0)
    if estimate is not None and taken > estimate:
        logger.warning(
            "%s: took %.1f GB of memory and %.1f GB were estimated; ask for more",
            patch,
            taken / 1e9,
            estimate / 1e9,
        )


def _free_bytes() -> int | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
