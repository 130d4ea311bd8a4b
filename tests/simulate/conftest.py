"""The real cone of Gaia DR3, and the simulated one beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from viamachinae.config import SimulateQuery
from viamachinae.simulate.source import SimulatedSky

CONE = (45.0, 0.0, 0.5)
COLUMNS = (
    "parallax", "parallax_error", "pmra", "pmra_error", "pmdec", "pmdec_error",
    "phot_g_mean_mag", "phot_bp_mean_mag", "phot_rp_mean_mag", "bp_rp", "ruwe",
    "phot_g_mean_flux_over_error", "phot_bp_mean_flux_over_error", "phot_rp_mean_flux_over_error",
)  # fmt: skip


@pytest.fixture(scope="session")
def real_cone(sky_data: Path) -> dict[str, np.ndarray]:
    """Columns of the real cone, NaN where Gaia has no value."""
    stored = pq.read_table(sky_data / "dr3_cone_ra45_dec0_r0.5.parquet", columns=list(COLUMNS))
    return {n: stored[n].to_numpy(zero_copy_only=False).astype(float) for n in COLUMNS}


@pytest.fixture(scope="session")
def wide_cone() -> Table:
    """The simulated sky in nine times the area of the real cone."""
    sky = SimulatedSky(SimulateQuery(), seed=7)
    return sky.stars(CONE[0], CONE[1], 3 * CONE[2], sorted(sky.columns()))
