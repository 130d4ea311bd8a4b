"""A whole scan: every patch through its stages, then the candidates and the report."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from viamachinae.config import ScanConfig
from viamachinae.disk import remove_leftovers
from viamachinae.errors import BadInputError
from viamachinae.options import to_yaml
from viamachinae.pipeline.batch import batch
from viamachinae.pipeline.configs import keep_config
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.link import link
from viamachinae.pipeline.sources import checked_source
from viamachinae.pipeline.status import is_good, write_status
from viamachinae.query.source import Source
from viamachinae.score.evaluation import choose_device
from viamachinae.simulate.source import SimulatedSky
from viamachinae.sky import dusty_patches, tile
from viamachinae.store.files import write_table, write_text
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder

logger = logging.getLogger("viamachinae.pipeline")


@dataclass(frozen=True)
class ScanResult:
    """Records of a scan, by patch, and of the stages above the patches."""

    patches: dict[str, list[Record]]
    above: list[Record]

    @property
    def is_good(self) -> bool:
        """Whether every patch ended as done or without work, and the scan after them."""
        return all(is_good(records) for records in [*self.patches.values(), self.above])


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
    above = link(config, out, watch)
    write_status(config, out)
    return ScanResult(records, above)


def prepare(config: ScanConfig, out: Path) -> Source:
    """Check the source and lay the run folder: the resolved configuration and the truth.

    Raises
    ------
    BadInputError
        If the source lacks what the configuration needs, or a map of E(B-V) cannot be read.
    """
    source = checked_source(config)
    for patch, reason in dusty_patches(config.sky):
        logger.warning("patch %s is left out: %s", patch.id, reason)
    run = RunFolder(out)
    remove_leftovers(out)
    # Unchanged, the file keeps its time: a workflow looks at that.
    if not run.config.is_file() or run.config.read_text(encoding="utf-8") != to_yaml(config):
        write_text(run.config, to_yaml(config))
    keep_config(run, config)
    if isinstance(source, SimulatedSky):
        write_table(run.truth, source.truth())
    return source


def default_workers(config: ScanConfig) -> int:
    """One a core; one where the flows train on a GPU."""
    if choose_device(config.train.device).type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
