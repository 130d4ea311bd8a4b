"""The memory that a patch is foreseen to take, held against what there is and what it took."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from viamachinae.config import ScanConfig
from viamachinae.pipeline.configs import config_hash
from viamachinae.pipeline.memory import free_bytes
from viamachinae.store.files import read_json
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder

logger = logging.getLogger(__name__)

# Main memory: Python and its libraries, all there once lines are found (measured: 0.6 GB), and
# bytes a star while stars are taken and while flows train, measured on simulated patches of 48 000,
# 403 000 and 2 015 000 stars.
MEMORY_FIXED = 650e6
MEMORY_PER_STAR_TAKEN, MEMORY_PER_STAR_TRAINED = 530, 400


class Foreseen:
    """The memory that a patch is foreseen to take: by the plan, or else by the stars it has.

    Parameters
    ----------
    config : ScanConfig
    run : RunFolder
        Its plan counts if it is of the same configuration.
    patch : str
    """

    def __init__(self, config: ScanConfig, run: RunFolder, patch: str) -> None:
        self.patch = patch
        self.planned = planned_bytes(config, run, patch)
        self.bytes = self.planned or 0
        self._warn_before()

    def training(self, n_bytes: int) -> None:
        """Foresee a training, where no plan did, now that its stars and regions are known."""
        if self.planned is None and n_bytes > self.bytes:
            self.bytes = n_bytes
            self._warn_before()

    def _warn_before(self) -> None:
        free = free_bytes()
        if free is not None and self.bytes > free:
            logger.warning(
                "%s: is estimated to take %.1f GB of memory and %.1f GB are free",
                self.patch,
                self.bytes / 1e9,
                free / 1e9,
            )

    def warn_after(self, records: Sequence[Record]) -> None:
        """Say so where the patch took more memory than was foreseen."""
        taken = max((record.memory_bytes for record in records), default=0)
        if self.bytes and taken > self.bytes:
            logger.warning(
                "%s: took %.1f GB of memory and %.1f GB were estimated; ask for more",
                self.patch,
                taken / 1e9,
                self.bytes / 1e9,
            )


def planned_bytes(config: ScanConfig, run: RunFolder, patch: str) -> int | None:
    """What the plan in the run folder foresees for a patch; None where there is none of `config`.

    A plan of another configuration foresees another scan.
    """
    try:
        plan: dict[str, Any] = read_json(run.plan)
        rows = plan["patches"] if plan["config"] == config_hash(config) else []
    except (OSError, ValueError, KeyError, TypeError):
        return None
    found: dict[str, Any] = next((row for row in rows if row["patch"] == patch), {})
    estimate: int | None = found.get("memory_bytes")
    return estimate


def memory_bytes(n_stars: int, lanes: int, trained_bytes: int) -> int:
    """Peak of a patch's main memory: ``650 MB + stars max(530 B, 400 B + 4 B lanes) + 3 trained``.

    The first term is Python with its libraries. A star costs its columns and their copies while
    the disc is cut out and brought into the patch's frame; while flows train, its features and
    four bytes of order in each lane. A snapshot is kept with a mask of the same size, and all are
    gathered at the end; a flow's own state comes with Adam's. The points that classifiers learn
    are left out.

    Parameters
    ----------
    n_stars : int
        Stars in the training disc.
    lanes : int
        Flows that train side by side.
    trained_bytes : int
        Size of all that one scan trains: the snapshots, and each flow's own state.
    """
    per_star = max(MEMORY_PER_STAR_TAKEN, MEMORY_PER_STAR_TRAINED + 4 * lanes)
    return round(MEMORY_FIXED + n_stars * per_star + 3 * trained_bytes)
