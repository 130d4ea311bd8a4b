"""A whole scan: every patch through its stages, then the candidates and the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.batch import batch
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.link import link
from viamachinae.pipeline.nulls import null_skies
from viamachinae.pipeline.prepare import default_workers, prepare
from viamachinae.pipeline.status import is_good, outcome_of, reason_of, write_status
from viamachinae.sky import tile
from viamachinae.store.records import Record


@dataclass(frozen=True)
class ScanResult:
    """Records of a scan, by patch, of the stages above the patches, and of its null skies.

    Those of a null sky stand under its name and the patch, as in ``shuffled-0/l187.0_b+60.8``.
    """

    patches: dict[str, list[Record]]
    above: list[Record]
    nulls: dict[str, list[Record]] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether every patch ended as done or without work, and the scan after them."""
        ended = [*self.patches.values(), *self.nulls.values(), self.above]
        return all(is_good(records) for records in ended)

    @property
    def without_work(self) -> dict[str, str]:
        """By patch in which nothing was scanned, why."""
        return {
            patch: reason_of(records)
            for patch, records in self.patches.items()
            if outcome_of(records) == "no_work"
        }


def scan(
    config: ScanConfig,
    out: Path,
    workers: int | None = None,
    fail_fast: bool = False,
    watch: Watcher = unwatched,
    *,
    apart: bool = False,
) -> ScanResult:
    """Scan all patches of a configuration; what an earlier run did is kept.

    Parameters
    ----------
    out : Path
        The run folder; made where it does not exist.
    workers : int, optional
        Patches at once; by default one a core, and one where a GPU is used.
    fail_fast : bool
        Start no further patch after the first that failed.
    apart : bool
        Let no patch of several be worked on in this process, even one at a time: a process that
        the system ends, for want of memory say, then costs one patch and not the scan.

    Raises
    ------
    BadInputError
        If the input cannot be used, or holds no star in any patch.
    """
    source = prepare(config, out)
    patches = [patch.id for patch in tile(config.sky)]
    at_once = min(workers or default_workers(config), len(patches))
    apart = at_once > 1 or (apart and len(patches) > 1)
    records = batch(
        config, out, patches, workers=at_once, apart=apart, fail_fast=fail_fast, watch=watch
    )
    write_status(config, out)
    if all(record.outcome == "no_work" for ended in records.values() for record in ended[:1]):
        raise BadInputError(
            f"{source.name}: holds no usable star in any of the {len(patches)} patches; "
            "check `sky` against the part of the sky that it covers"
        )
    skies = null_skies(config, out, workers=at_once, watch=watch) if config.nulls.skies else {}
    above = link(config, out, watch)
    write_status(config, out)
    return ScanResult(records, above, skies)
