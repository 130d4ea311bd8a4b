"""The plan of a scan as a JSON file: what machines, and the workflow of a cluster, read of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from viamachinae.config import ScanConfig
from viamachinae.pipeline.configs import config_hash
from viamachinae.pipeline.inspect import INSPECT
from viamachinae.pipeline.link import LINK
from viamachinae.pipeline.plan import PatchPlan, not_estimated, plan, total
from viamachinae.pipeline.sources import input_fingerprint, open_source
from viamachinae.pipeline.stages import LINES, PREPROCESS, SCORE, TRAIN
from viamachinae.sky import dusty_patches
from viamachinae.store.files import read_json, write_json


def as_json(config: ScanConfig, plans: Sequence[PatchPlan]) -> dict[str, Any]:
    """What a file says: ``patches``, those ``left_out`` with a reason, and ``total``.

    Behind them stands what is ``not_estimated``, in words; before them stand ``config`` and
    ``source`` (hashes of the configuration and of the stars), ``scans`` and ``keys``, which by
    stage say what else decides its results.
    """
    return {
        **_deciding(config),
        "patches": [
            {"patch": one.patch.id, "ra": one.patch.ra, "dec": one.patch.dec, **one.as_dict()}
            for one in plans
        ],
        "left_out": [
            {"patch": patch.id, "reason": reason} for patch, reason in dusty_patches(config.sky)
        ],
        "total": total(plans).as_dict(),
        "not_estimated": not_estimated(config),
    }


def kept_plan(path: Path, config: ScanConfig) -> dict[str, Any]:
    """The plan in a JSON file, made anew where it is absent or of other options or stars.

    What decides the results of each stage is always that of the code at work.
    """
    try:
        kept = read_json(path)
    except (OSError, ValueError):
        kept = {}
    deciding = _deciding(config)
    if all(kept.get(name) == deciding[name] for name in ("config", "source")):
        found = {**kept, **deciding}
    else:
        found = as_json(config, plan(config))
    if found != kept:
        write_json(path, found)
    return found


def _deciding(config: ScanConfig) -> dict[str, Any]:
    stages = (PREPROCESS, TRAIN, SCORE, LINES, LINK, INSPECT)
    return {
        "config": config_hash(config),
        "source": input_fingerprint(config, open_source(config)),
        "scans": config.regions.scans,
        "keys": {stage.name: stage.key(config) for stage in stages},
    }
