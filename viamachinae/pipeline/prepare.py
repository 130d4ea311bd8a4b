"""Before the patches: the source is checked and the run folder laid."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from viamachinae.config import ScanConfig
from viamachinae.disk import remove_leftovers
from viamachinae.options import to_yaml
from viamachinae.pipeline.configs import keep_config
from viamachinae.pipeline.sources import checked_source
from viamachinae.query.source import Source
from viamachinae.simulate.source import SimulatedSky
from viamachinae.sky import dusty_patches
from viamachinae.store.files import write_table, write_text
from viamachinae.store.run import RunFolder

logger = logging.getLogger("viamachinae.pipeline")


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
    remove_leftovers(out)
    write_config(config, out)
    keep_config(RunFolder(out), config)
    if isinstance(source, SimulatedSky):
        write_table(RunFolder(out).truth, source.truth())
    return source


def write_config(config: ScanConfig, out: Path) -> None:
    """Write the resolved configuration into a run folder; unchanged, the file keeps its time."""
    path, text = RunFolder(out).config, to_yaml(config)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def default_workers(config: ScanConfig) -> int:
    """One a core; one where the flows train on a GPU."""
    # Loads torch, which the jobs of a cluster, whose number of workers is told, do without.
    from viamachinae.score.evaluation import choose_device

    if choose_device(config.train.device).type == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
