"""What a scan would take, patch by patch: stars, flows, time, memory, disk and download."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from viamachinae.catalog.release import RELEASES
from viamachinae.config import RegionsConfig, Scan, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.estimate import MEMORY_FIXED, memory_bytes
from viamachinae.pipeline.sources import checked_source, open_source
from viamachinae.pipeline.stages import single_trainings
from viamachinae.pipeline.trial import Trial, learning, run_trial
from viamachinae.preprocess.patch import needed_columns, preprocess
from viamachinae.query.archive import ArchiveSource
from viamachinae.query.disc import Disc
from viamachinae.query.source import Source
from viamachinae.score.regions import signal_regions
from viamachinae.sky import Patch, tile

# Stars from which the distribution of proper motions in a patch is estimated.
SAMPLE = 20_000

# Sources whose stars come over a network.
REMOTE = frozenset({"archive"})

# Disk, measured on simulated patches, rounded up: bytes of a star in stars.parquet, of a star and
# region in scores.parquet, there for each training where there are several, and of all lines and
# protoclusters of a region.
DISK_PER_STAR, DISK_PER_SCORE, DISK_PER_RATIO, DISK_PER_REGION = 110, 30, 8, 5_000

# Seconds that a patch takes to start a process, and a signal region to have its lines found, on
# one core: measured on the demo, rounded up (ours).
SECONDS_PER_PATCH, SECONDS_PER_REGION = 4.0, 0.06


@dataclass(frozen=True)
class Needs:
    """What a patch, or a scan, would take.

    Attributes
    ----------
    n_stars : int
        Stars of the source in the training disc.
    n_regions, n_flows : int
        Signal regions of all scans, and the flows trained for them.
    seconds : float
        Time of one worker with a core, or a GPU, to itself.
    memory_bytes : int
        Peak of main memory; see `memory_bytes`.
    disk_bytes : int
        Disk for its files.
    download_bytes : int
        What its stars weigh in the columns asked of an archive, as plain numbers; zero for stars
        that are here. Stars that overlapping patches share count in each.
    """

    n_stars: int
    n_regions: int
    n_flows: int
    seconds: float
    memory_bytes: int
    disk_bytes: int
    download_bytes: int

    def as_dict(self) -> dict[str, int | float]:
        """The numbers by name, for a JSON file."""
        numbers = {field.name: getattr(self, field.name) for field in fields(Needs)}
        return {**numbers, "seconds": round(self.seconds, 1)}


@dataclass(frozen=True)
class PatchPlan(Needs):
    """What one patch would take."""

    patch: Patch


def total(plans: Sequence[PatchPlan]) -> Needs:
    """Add up the plans of patches; memory is that of the patch that needs most."""
    sums = {field.name: sum(getattr(one, field.name) for one in plans) for field in fields(Needs)}
    return Needs(**{**sums, "memory_bytes": max((one.memory_bytes for one in plans), default=0)})


def adql(config: ScanConfig) -> dict[str, list[str]]:
    """The queries that a scan would send to the archive, by patch; nothing is sent.

    Raises
    ------
    BadInputError
        If the source is no archive.
    """
    source = open_source(config)
    if not isinstance(source, ArchiveSource):
        raise BadInputError(
            f"query.source is {config.query.source}, which is asked in no ADQL; --adql needs "
            "query.source: archive"
        )
    patches = tile(config.sky)
    discs = [Disc(patch.ra, patch.dec, patch.radius_deg) for patch in patches]
    queries = source.queries(discs)
    return {patch.id: texts for patch, texts in zip(patches, queries, strict=True)}


def plan(config: ScanConfig) -> list[PatchPlan]:
    """Plan a scan without running it.

    At most about `SAMPLE` stars at the middle of each patch stand for all of it; the speed of
    training and scoring is measured in a trial of a few seconds, with the configured method, flows
    and engine.

    Raises
    ------
    BadInputError
        If the source cannot be read or lacks a column, or a map of E(B-V) cannot be read.
    """
    source = checked_source(config)
    patches = tile(config.sky)
    trial = run_trial(config)
    return [_plan_patch(config, source, patch, trial) for patch in patches]


@dataclass(frozen=True)
class _Sample:
    """The stars at the middle of a patch, as preprocessed.

    Attributes
    ----------
    stars : Table
        The usable ones.
    share, fiducial_share : float
        Part that the sample is of the patch's stars, and of its fiducial ones.
    seconds : float
        Time that it took to read and preprocess them.
    """

    stars: Table
    share: float
    fiducial_share: float
    seconds: float


class _Work(NamedTuple):
    """Signal regions of a scan; stars in them and those to score, summed over the regions."""

    n_regions: int
    n_inside: int
    n_scores: int


def _plan_patch(config: ScanConfig, source: Source, patch: Patch, trial: Trial) -> PatchPlan:
    n_stars = source.count(patch.ra, patch.dec, patch.radius_deg)
    sample = _sample(config, source, patch, n_stars) if n_stars else None
    if sample is None or not len(sample.stars):
        return PatchPlan(n_stars, 0, 0, SECONDS_PER_PATCH, round(MEMORY_FIXED), 0, 0, patch)
    scans = [_work(sample, scan, config.regions) for scan in config.regions.scans]
    n_regions, n_inside, n_scores = (sum(numbers) for numbers in zip(*scans, strict=True))
    # Every training has flows of its own; lines are found by the scores of each, and of all.
    times, lists = config.train.retrainings, 1 + len(single_trainings(config))
    n_usable = len(sample.stars) / sample.share
    # Stars that the flows of all regions see, each region once.
    seen = {"sr": n_inside, "cr": n_regions * n_usable - n_inside}
    n_seen, learned = sum(seen[one] for one in trial.densities), learning(config.score)
    training = (
        n_seen * config.train.epochs * trial.seconds_per_update
        + n_inside * (learned.epochs if learned else 0) * trial.seconds_per_learning
        + n_scores * (config.train.average_last if n_seen else 1) * trial.seconds_per_score
    )
    seconds = (
        SECONDS_PER_PATCH
        + sample.seconds / sample.share
        + times * training
        + n_regions * SECONDS_PER_REGION * lists
    )
    disk_bytes = (
        n_usable * DISK_PER_STAR
        + n_scores * (DISK_PER_SCORE + DISK_PER_RATIO * (lists - 1))
        + n_regions * DISK_PER_REGION * lists
        + times * n_regions * _trained_bytes(config.train.average_last, trial)
    )
    most_trainings = times * max(one.n_regions for one in scans)
    return PatchPlan(
        n_stars,
        n_regions,
        times * n_regions * (len(trial.densities) + (config.score.method == "r_anode")),
        seconds,
        memory_bytes(
            n_stars,
            trial.lanes,
            most_trainings * _trained_bytes(config.train.average_last + 1, trial),
        ),
        round(disk_bytes),
        n_stars * _row_bytes(config, source) if config.query.source in REMOTE else 0,
        patch,
    )


def _trained_bytes(snapshots: int, trial: Trial) -> int:
    """Size of what one training of a region leaves, with so many snapshots of a flow."""
    return len(trial.densities) * snapshots * trial.bytes_per_snapshot + trial.bytes_learned


def not_estimated(config: ScanConfig) -> list[str]:
    """What a scan takes that its plan leaves out, in words."""
    if config.score.method == "anode":
        return []
    return [
        f"the memory of the stars that score.method {config.score.method} learns beside those of "
        "the densities"
    ]


def _row_bytes(config: ScanConfig, source: Source) -> int:
    """Bytes of a star in the archive's own types."""
    release = RELEASES[config.query.release].columns
    columns = needed_columns(config.preprocess, source.columns(), source.name)
    return sum(release[name].dtype.itemsize if name in release else 8 for name in columns)


def _sample(config: ScanConfig, source: Source, patch: Patch, n_stars: int) -> _Sample:
    """Preprocess the stars of a disc at the middle of a patch.

    Reading is taken to cost in proportion to the stars, which is too much for a file that is read
    whole for however small a disc.
    """
    radius_deg = patch.radius_deg * min(1.0, math.sqrt(SAMPLE / n_stars))
    begin = time.process_time()
    columns = needed_columns(config.preprocess, source.columns(), source.name)
    stars = source.stars(patch.ra, patch.dec, radius_deg, columns)
    usable = preprocess(stars, patch, config.preprocess, config.query.release).stars
    seconds = time.process_time() - begin
    evaluated = min(1.0, (radius_deg / patch.evaluation_radius_deg) ** 2)
    return _Sample(usable, len(stars) / n_stars, evaluated, seconds)


def _work(sample: _Sample, scan: Scan, config: RegionsConfig) -> _Work:
    """What the signal regions of a scan take, from a sample of the patch's stars."""
    scaled = config.model_copy(
        update={
            "min_stars": max(1, round(config.min_stars * sample.share)),
            "max_stars": max(1, round(config.max_stars * sample.share)),
        }
    )
    pm, fiducial = np.asarray(sample.stars[scan]), np.asarray(sample.stars["fiducial"])
    regions = signal_regions(pm, scan, scaled)
    scored = sum(np.count_nonzero(fiducial & region.contains(pm)) for region in regions)
    inside = sum(region.n_signal for region in regions)
    return _Work(len(regions), round(inside / sample.share), round(scored / sample.fiducial_share))
