"""A small archive on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import healpy
import numpy as np
import pyarrow as pa
import pytest

from tests.tap.front import Front, MemoryTap, serving
from viamachinae.config import ArchiveQuery
from viamachinae.query.archive import ArchiveSource

COLUMNS = ("source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp", "ruwe")
WITH_VALUES = ("pmra", "pmdec", "bp_rp")
# Around a corner of four pixels of order 2, so that every order has several pixels there.
CENTRE = (45.0, 19.47)

OpenSource = Callable[..., ArchiveSource]


def make_rows(n: int = 3000, radius_deg: float = 6.0) -> pa.Table:
    """Stars scattered around `CENTRE` as Gaia would number them, with gaps."""
    rng = np.random.default_rng(5)
    dec = CENTRE[1] + rng.uniform(-radius_deg, radius_deg, n)
    ra = CENTRE[0] + rng.uniform(-radius_deg, radius_deg, n)
    pixel = healpy.ang2pix(2**12, ra, dec, nest=True, lonlat=True)
    no_motion, no_colour = rng.random((2, n)) < [[0.1], [0.05]]
    return pa.table(
        {
            "source_id": pixel.astype(np.int64) * 2**35 + np.arange(n) * 2**7,
            "ra": ra,
            "dec": dec,
            "parallax": pa.array(rng.normal(0.5, 1.0, n), mask=no_motion),
            "parallax_error": pa.array(
                rng.uniform(0.02, 1.0, n).astype(np.float32), mask=no_motion
            ),
            "pmra": pa.array(rng.normal(0, 5, n), mask=no_motion),
            "pmdec": pa.array(rng.normal(0, 5, n), mask=no_motion),
            "phot_g_mean_mag": rng.uniform(14, 21, n).astype(np.float32),
            "bp_rp": pa.array(rng.normal(0.9, 0.3, n).astype(np.float32), mask=no_colour),
            "ruwe": pa.array(rng.lognormal(0, 0.1, n).astype(np.float32), mask=no_motion),
        }
    ).sort_by("source_id")


@pytest.fixture(scope="session")
def rows() -> pa.Table:
    """What the archive holds."""
    return make_rows()


@pytest.fixture
def archive(rows: pa.Table) -> Iterator[Front]:
    """A running archive without faults."""
    with serving(MemoryTap(rows)) as front:
        yield front


@pytest.fixture
def open_source(archive: Front, tmp_path: Path) -> OpenSource:
    """Opens the archive as a source, by default through plain TAP."""

    def opened(client: str = "pyvo", **options: object) -> ArchiveSource:
        defaults = {
            "source": "archive",
            "endpoint": archive.esa if client == "astroquery" else archive.plain,
            "client": client,
            "lake": tmp_path / "lake",
            "row_limit": 500,
            "tries": 4,
            "pause_s": 0.01,
            "timeout_s": 30.0,
        }
        config = ArchiveQuery.model_validate(defaults | options)
        return ArchiveSource(config, COLUMNS, WITH_VALUES)

    return opened
