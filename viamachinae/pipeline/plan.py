"""What a scan would do: stars, flows, time and disk, patch by patch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from viamachinae.config import RegionsConfig, Scan, ScanConfig
from viamachinae.pipeline.configs import config_hash
from viamachinae.pipeline.link import INSPECT, LINK
from viamachinae.pipeline.patch import one_thread
from viamachinae.pipeline.sources import open_source
from viamachinae.pipeline.stages import LINES, PREPROCESS, SCORE, TRAIN
from viamachinae.preprocess.patch import needed_columns
from viamachinae.query.source import Source
from viamachinae.score import anode
from viamachinae.score.regions import SignalRegion, signal_regions
from viamachinae.sky import Patch, tile
from viamachinae.store.files import read_json, write_json

# Stars from which the distribution of proper motions in a patch is estimated.
SAMPLE = 20_000
# Stars and regions of the trial that measures the speed of training.
TRIAL_STARS, TRIAL_REGIONS = 10_000, 8
# Bytes a star takes in stars.parquet, and a star and region in scores.parquet: measured on the
# demo, rounded up.
BYTES_PER_STAR = 100
BYTES_PER_SCORE = 30


@dataclass(frozen=True)
class PatchPlan:
    """What one patch would take.

    Attributes
    ----------
    n_stars : int
        Stars in the training disc.
    n_regions, n_flows : int
        Signal regions of all scans, and the flows trained for them.
    seconds : float
        Training time of one worker on this machine.
    n_bytes : int
        Disk for its files.
    """

    patch: Patch
    n_stars: int
    n_regions: int
    n_flows: int
    seconds: float
    n_bytes: int


def plan(config: ScanConfig) -> list[PatchPlan]:
    """Plan a scan without running it.

    The proper motions of at most `SAMPLE` stars at the middle of each patch stand for all of
    it; the speed of training is measured in a trial of a few seconds.

    Raises
    ------
    BadInputError
        If the source cannot be read or lacks a column.
    """
    source = open_source(config)
    needed_columns(config.preprocess, source.columns(), source.name)
    trial = _trial(config)
    return [_plan_patch(config, source, patch, trial) for patch in tile(config.sky)]


def as_plain(config: ScanConfig, plans: Sequence[PatchPlan]) -> dict[str, Any]:
    """The plan as JSON can say it: one row a patch, and what decides the results of each stage."""
    rows = []
    for one in plans:
        numbers = {name: value for name, value in asdict(one).items() if name != "patch"}
        rows.append({"patch": one.patch.id, "ra": one.patch.ra, "dec": one.patch.dec, **numbers})
    return {**_deciding(config), "patches": rows}


def _deciding(config: ScanConfig) -> dict[str, Any]:
    stages = (PREPROCESS, TRAIN, SCORE, LINES, LINK, INSPECT)
    return {
        "config": config_hash(config),
        "scans": config.regions.scans,
        "keys": {stage.name: stage.key(config) for stage in stages},
    }


def kept_plan(path: Path, config: ScanConfig) -> dict[str, Any]:
    """The plan in a JSON file, made anew where it is absent or of another configuration.

    What decides the results of each stage is always that of the code at work.
    """
    try:
        kept = read_json(path)
    except (OSError, ValueError):
        kept = {}
    if kept.get("config") == config_hash(config):
        found = {**kept, **_deciding(config)}
    else:
        found = as_plain(config, plan(config))
    if found != kept:
        write_json(path, found)
    return found


@dataclass(frozen=True)
class _Trial:
    """Star updates a second in training, and bytes that the weights of a flow take."""

    rate: float
    bytes_per_flow: int


def _trial(config: ScanConfig) -> _Trial:
    """Train on noise for one epoch."""
    features = config.preprocess.features
    draw = np.random.default_rng(0).normal(size=(TRIAL_STARS, len(features) + 1))
    half = TRIAL_STARS // 2
    regions = [SignalRegion("pm_lam", 0.0, 9.0, half, half)] * TRIAL_REGIONS
    one_epoch = config.train.model_copy(update={"epochs": 1, "average_last": 1})
    with one_thread():
        begin = time.perf_counter()
        trained, _ = anode.train(
            draw[:, :-1], draw[:, -1:], regions, one_epoch, seed=0, patch="trial", features=features
        )
        seconds = time.perf_counter() - begin
    weights = trained.weights
    per_snapshot = weights.numel() * weights.element_size() // (2 * TRIAL_REGIONS)
    return _Trial(TRIAL_REGIONS * TRIAL_STARS / seconds, per_snapshot * config.train.average_last)


def _plan_patch(config: ScanConfig, source: Source, patch: Patch, trial: _Trial) -> PatchPlan:
    n_stars = source.count(patch.ra, patch.dec, patch.radius_deg)
    n_regions = n_scores = 0
    if n_stars:
        share, sample = _sample(source, patch, n_stars)
        for scan in config.regions.scans:
            counts = _region_counts(sample[scan], scan, config.regions, share)
            n_regions += len(counts)
            n_scores += sum(counts)
    n_flows = 2 * n_regions
    updates = n_regions * n_stars * config.train.epochs
    return PatchPlan(
        patch,
        n_stars,
        n_regions,
        n_flows,
        updates / trial.rate,
        n_stars * BYTES_PER_STAR + n_scores * BYTES_PER_SCORE + n_flows * trial.bytes_per_flow,
    )


def _sample(
    source: Source, patch: Patch, n_stars: int
) -> tuple[float, dict[Scan, NDArray[np.float64]]]:
    """Share of the patch's stars that are sampled, and their proper motions in its frame."""
    radius_deg = patch.radius_deg * min(1.0, math.sqrt(SAMPLE / n_stars))
    stars = source.stars(patch.ra, patch.dec, radius_deg, ["ra", "dec", "pmra", "pmdec"])
    frame = patch.to_frame(*(np.asarray(stars[name]) for name in ("ra", "dec", "pmra", "pmdec")))
    return len(stars) / n_stars, {"pm_phi": frame.pm_phi, "pm_lam": frame.pm_lam}


def _region_counts(
    pm: NDArray[np.float64], scan: Scan, config: RegionsConfig, share: float
) -> list[int]:
    """Stars in each signal region of a patch, from a sample of its stars."""
    if share == 0.0:
        return []
    scaled = config.model_copy(
        update={
            "min_stars": max(1, round(config.min_stars * share)),
            "max_stars": max(1, round(config.max_stars * share)),
        }
    )
    finite = pm[np.isfinite(pm)]
    return [round(region.n_signal / share) for region in signal_regions(finite, scan, scaled)]
