"""A grid of injections through the real pipeline, and what was found of them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import FoundConfig, GreatCircleTrack, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.inspect.figures import png
from viamachinae.inspect.formats import ecsv
from viamachinae.options import to_yaml
from viamachinae.pipeline.candidate_lists import memberships, run_candidates
from viamachinae.pipeline.events import Event, Watcher, unwatched
from viamachinae.pipeline.injection import stars_of
from viamachinae.pipeline.points import Point, fiducial_file, points, run_point, truth_file
from viamachinae.pipeline.sources import checked_source, input_fingerprint
from viamachinae.pipeline.stage import Advance, Ending, Stage, Task, run_task
from viamachinae.pipeline.stages import PREPROCESS
from viamachinae.pipeline.workers import work_through
from viamachinae.query.source import Source
from viamachinae.sky import Patch, tile
from viamachinae.store.files import read_table, write_bytes, write_table, write_text
from viamachinae.store.records import GOOD, SETTLED, Record, provenance, write_record
from viamachinae.store.run import RunFolder
from viamachinae.validate.completeness import completeness
from viamachinae.validate.figures import completeness_figure, reliability_figure
from viamachinae.validate.recovery import MISSED, is_stream, recovery
from viamachinae.validate.reliability import reliability
from viamachinae.validate.truth import TrueStream, read_truth

logger = logging.getLogger("viamachinae.pipeline")

CATALOGUE = Stage(
    "catalogue",
    PREPROCESS.rooms,
    lambda config: [config.sky.model_dump(mode="json"), config.preprocess.model_dump(mode="json")],
)
FIGURE_DPI = 150
UNITS: dict[str, u.UnitBase] = {
    "abs_b": u.deg,
    "width_deg": u.deg,
    "length_deg": u.deg,
    "length_observed_deg": u.deg,
    "distance_kpc": u.kpc,
    "ra": u.deg,
    "dec": u.deg,
    "position_angle_deg": u.deg,
    "stars_per_deg2": u.deg**-2,
    "mag_per_arcsec2": u.mag / u.arcsec**2,
    "position_bias_deg": u.deg,
    "seconds": u.s,
    **dict.fromkeys(("pm_masyr", "pmra", "pmdec", "pmra_bias", "pmdec_bias"), u.mas / u.yr),
}


@dataclass(frozen=True)
class RecoveryResult:
    """How the points ended, and the tables that were written; empty where no point ended."""

    records: list[Record]
    recoveries: Table
    completeness: Table
    reliability: Table

    @property
    def is_good(self) -> bool:
        """Whether every point came to an end that would be the same again."""
        return all(record.outcome in SETTLED for record in self.records)


def validate(
    config: ScanConfig, out: Path, workers: int = 1, watch: Watcher = unwatched
) -> RecoveryResult:
    """Run the grid of a configuration; what an earlier run did is kept.

    Writes ``recovery.ecsv`` (a row an injection), ``completeness.ecsv`` and ``reliability.ecsv``
    with their figures into `out`; each injection has a run folder below ``points``.

    Parameters
    ----------
    config : ScanConfig
        The scan, and in `validation` the grid.
    out : Path
    workers : int
        Points at once.

    Raises
    ------
    BadInputError
        If the source cannot be used, or a stream cannot be injected.
    """
    source, patches = checked_source(config), tile(config.sky)
    write_text(out / "validation.yaml", to_yaml(config))
    fingerprint = input_fingerprint(config, source)
    catalogues = {
        patch.id: _catalogue(config, out, source, patch, fingerprint, watch) for patch in patches
    }
    grid = {point.name: point for point in points(config, patches)}
    job = functools.partial(_job, config, out, catalogues, grid)
    mourn = functools.partial(_mourn, out)
    ended = work_through(
        job, list(grid), min(workers, len(grid)), watch, mourn, fail_fast=False, apart=workers > 1
    )
    records = {name: ended[name][0] for name in grid if name in ended}
    rows = [
        _row(out, grid[name], record, config.validation.found)
        for name, record in records.items()
        if record.outcome in SETTLED
    ]
    return _written(out, list(records.values()), rows, config.validation.level)


def _catalogue(
    config: ScanConfig, out: Path, source: Source, patch: Patch, fingerprint: str, watch: Watcher
) -> Path:
    """The file of a patch's stars, into which all its points inject."""
    run = RunFolder(out)
    path = run.patch(patch.id) / "catalogue.parquet"

    def do(_advance: Advance) -> Ending:
        write_table(path, stars_of(config, source, [patch]))
        return "done", ""

    outer = {source.name: fingerprint}
    record = run_task(Task(CATALOGUE, run, config, [], [path], do, patch.id, outer=outer), watch)
    if record.outcome not in GOOD:
        raise BadInputError(f"{source.name}: patch {patch.id} cannot be taken ({record.reason})")
    return path


def _job(
    config: ScanConfig,
    out: Path,
    catalogues: dict[str, Path],
    grid: dict[str, Point],
    name: str,
    watch: Watcher,
) -> list[Record]:
    point = grid[name]
    return [run_point(config, _folder(out, name), catalogues[point.patch.id], point, watch)]


def _folder(out: Path, name: str) -> Path:
    return out / "points" / name


def _mourn(out: Path, name: str, _last: Event | None, cause: str) -> list[Record]:
    """Record the death of a point's process."""
    record = Record(
        "recovery", None, None, "failed", cause, 0.0, "", {}, {}, provenance=provenance()
    )
    write_record(RunFolder(_folder(out, name)).record("recovery"), record)
    return [record]


def _row(out: Path, point: Point, record: Record, config: FoundConfig) -> dict[str, Any]:
    """What was injected at a point, and how it was found."""
    run = RunFolder(_folder(out, point.name))
    (true,) = _truth(run)
    found, n_fiducial, n_false = MISSED, 0, 0
    if record.outcome == "done":
        listed = [one for one in run_candidates(run) if one.sigma >= config.min_sigma]
        scored = np.asarray(read_table(fiducial_file(run))["source_id"], dtype=np.int64)
        found, n_fiducial = recovery(true, scored, listed, config), len(scored)
        n_false = sum(not is_stream(one, true, config) for one in listed)
    track, stream = true.stream.track, true.stream
    centre = point.patch.centre.galactic
    return {
        "point": point.name,
        "patch": point.patch.id,
        "abs_b": abs(float(centre.b.deg)),
        "n_stars": stream.n_stars,
        "n_fiducial": n_fiducial,
        "width_deg": stream.width_deg,
        "pm_masyr": point.streams.pm_masyr[0],
        "length_deg": stream.length_deg,
        "length_observed_deg": true.length_deg,
        "distance_kpc": point.streams.distance_kpc[0],
        "stars_per_deg2": true.stars_per_deg2,
        "mag_per_arcsec2": true.mag_per_arcsec2,
        "repeat": point.repeat,
        "ra": track.ra,
        "dec": track.dec,
        "position_angle_deg": _position_angle(track),
        "pmra": track.pmra,
        "pmdec": track.pmdec,
        "outcome": record.outcome,
        **found._asdict(),
        "n_false": n_false,
        "seconds": record.seconds,
    }


def _position_angle(track: Any) -> float:
    return track.position_angle_deg if isinstance(track, GreatCircleTrack) else float("nan")


def _written(
    out: Path, records: list[Record], rows: Sequence[dict[str, Any]], level: float
) -> RecoveryResult:
    for record in records:
        if record.outcome not in SETTLED:
            logger.warning("a point ended as %s: %s", record.outcome, record.reason)
    if not rows:
        return RecoveryResult(records, Table(), Table(), Table())
    table = Table(list(rows))
    for name, unit in UNITS.items():
        table[name].unit = unit
    shares = completeness(table, level)
    reliable = reliability(*_members(out, table), level)
    write_text(out / "recovery.ecsv", ecsv(table))
    write_text(out / "completeness.ecsv", ecsv(shares))
    write_text(out / "reliability.ecsv", ecsv(reliable))
    write_bytes(out / "completeness.png", png(completeness_figure(table, level), FIGURE_DPI))
    write_bytes(out / "reliability.png", png(reliability_figure(reliable), FIGURE_DPI))
    return RecoveryResult(records, table, shares, reliable)


def _members(out: Path, recoveries: Table) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Membership of the stars of all found streams' candidates, and which are the streams'."""
    membership, real = [np.empty(0)], [np.empty(0, dtype=np.bool_)]
    for row in recoveries[np.asarray(recoveries["found"], dtype=np.bool_)]:
        run = RunFolder(_folder(out, str(row["point"])))
        (true,) = _truth(run)
        source_id, given = memberships(run, str(row["candidate"]))
        membership.append(given)
        real.append(np.isin(source_id, true.source_id))
    return np.concatenate(membership), np.concatenate(real)


def _truth(run: RunFolder) -> list[TrueStream]:
    return read_truth(truth_file(run).read_text(encoding="utf-8"), str(truth_file(run)))
