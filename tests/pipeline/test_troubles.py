"""A sky with a corrupt patch, one too large for the memory and one without stars."""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import sys
from pathlib import Path

import healpy
import numpy as np
import pyarrow as pa
import pytest

from viamachinae.config import ScanConfig
from viamachinae.options import parse_config
from viamachinae.pipeline.events import Event
from viamachinae.pipeline.rerun import rerun
from viamachinae.pipeline.scan import scan
from viamachinae.pipeline.status import standing
from viamachinae.query.lake import Lake
from viamachinae.query.lake.tables import gaia_schema
from viamachinae.query.pixels import pixels_in_disc, pixels_of
from viamachinae.sky import tile

ORDER, RADIUS_DEG = 4, 2.0
# Patches worked on in this order, and their stars; far enough apart to share no pixel.
CENTRES = {"good": (150.0, 30.0), "large": (170.0, 30.0), "corrupt": (190.0, 30.0)}
N_STARS = {"good": 2000, "large": 200_000, "corrupt": 2000}
NOWHERE = (210.0, 30.0)
# Beside what the process holds after the good patch: less than the stars of the large one take.
SPARE_BYTES = 32 * 2**20


def stars_of(ra: float, dec: float, n: int) -> pa.Table:
    """Stars without structure, within twice the radius, in the columns of the archive."""
    rng = np.random.default_rng(n)
    vector = healpy.ang2vec(ra, dec, lonlat=True)
    finest = healpy.query_disc(2**12, vector, np.radians(2 * RADIUS_DEG), nest=True)
    pixel = np.sort(rng.choice(finest, n))
    columns = {"source_id": pixel * 2**35 + np.arange(n)}
    columns["ra"], columns["dec"] = healpy.pix2ang(2**12, pixel, nest=True, lonlat=True)
    columns["pmra"], columns["pmdec"] = rng.normal(-6, 3, (2, n))
    columns["phot_g_mean_mag"], columns["bp_rp"] = rng.uniform(15, 20, n), rng.uniform(0.5, 1, n)
    schema = gaia_schema("gaia_dr3")
    arrays = [pa.array(columns.get(field.name, np.ones(n))).cast(field.type) for field in schema]
    return pa.table(arrays, schema=schema)


def fill(lake: Lake, ra: float, dec: float, stars: pa.Table) -> list[int]:
    """Put stars into the pixels of a patch; these."""
    own = pixels_of(stars["source_id"].to_numpy(), ORDER)
    pixels: list[int] = pixels_in_disc(ra, dec, RADIUS_DEG, ORDER).tolist()
    for pixel in pixels:
        lake.write_pixel(pixel, stars.filter(pa.array(own == pixel)), {})
    return pixels


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake of all four patches, one of which is empty."""
    schema = gaia_schema("gaia_dr3")
    lake = Lake.create(tmp_path / "lake", "gaia_dr3", ORDER, schema, {})
    for name, (ra, dec) in CENTRES.items():
        fill(lake, ra, dec, stars_of(ra, dec, N_STARS[name]))
    fill(lake, *NOWHERE, schema.empty_table())
    lake.finish()
    return tmp_path / "lake"


@pytest.fixture
def config(lake: Path) -> ScanConfig:
    """Of the large patch the regions hold too many stars to train: it has no work."""
    return parse_config(
        {
            "sky": {
                "tiling": "centres",
                "centres": [*map(list, CENTRES.values()), list(NOWHERE)],
                "radius_deg": RADIUS_DEG,
                "evaluation_radius_deg": RADIUS_DEG,
            },
            "query": {"source": "lake", "path": str(lake)},
            "regions": {"min_stars": 300, "max_stars": 2000, "scans": ["pm_phi"]},
            "train": {"preset": "demo", "epochs": 2, "average_last": 1, "flow": {"hidden": [8]}},
        },
        "troubles",
    )


def one_file(lake: Path, ra: float, dec: float) -> Path:
    """The Parquet file of the pixel that holds a point."""
    pixel = healpy.ang2pix(2**ORDER, ra, dec, nest=True, lonlat=True)
    return next(lake.rglob(f"Npix={pixel}.parquet"))


class TightMemory:
    """Limits the worker's memory once it has done the good patch; keeps the events."""

    def __init__(self, good: str) -> None:
        self.good = good
        self.started: list[tuple[str, str | None]] = []

    def __call__(self, event: Event) -> None:
        if event.kind == "start":
            self.started.append((event.stage, event.patch))
        # The worker waits for its next patch until this has returned.
        if event.kind == "end" and (event.stage, event.patch) == ("lines", self.good):
            (worker,) = multiprocessing.active_children()
            assert worker.pid is not None
            held = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[0])
            limit = held * resource.getpagesize() + SPARE_BYTES
            resource.prlimit(worker.pid, resource.RLIMIT_AS, (limit, limit))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits another process's memory")
def test_each_is_named_the_sky_ends_and_only_they_are_done_again(
    lake: Path, config: ScanConfig, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    ids = dict(zip([*CENTRES, "empty"], [one.id for one in tile(config.sky)], strict=True))
    damaged = one_file(lake, *CENTRES["corrupt"])
    whole = shutil.copy(damaged, tmp_path / "whole.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-100])
    result = scan(config, out, workers=1, apart=True, watch=TightMemory(ids["good"]))
    assert not result.is_good
    assert {record.outcome for record in result.above} == {"done"}
    first = {one.patch: one for one in standing(out) if one.stage == "preprocess"}
    outcomes = {name: first[patch].outcome for name, patch in ids.items()}
    assert outcomes == {
        "good": "done",
        "large": "failed",
        "corrupt": "unprocessable",
        "empty": "no_work",
    }
    assert "emory" in first[ids["large"]].reason
    assert damaged.name in first[ids["corrupt"]].reason
    assert "truncated or damaged" in first[ids["corrupt"]].reason
    assert "no usable star" in first[ids["empty"]].reason
    Path(whole).replace(damaged)
    watch = TightMemory("none")
    again = rerun(out, failed=True, watch=watch)
    assert set(again.patches) == {ids["large"], ids["corrupt"]}
    assert {patch for _, patch in watch.started if patch} == set(again.patches)
    assert again.is_good
