"""Stars to be written in every format."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table


@pytest.fixture
def stars() -> Table:
    """300 stars about (150, 20) with ids that no float can hold, and gaps as Gaia has them."""
    rng = np.random.default_rng(5)
    n = 300
    gaps = rng.random(n) < 0.2
    pm = rng.normal(0, 5, (2, n))
    mag = rng.uniform(15, 21, n)
    return Table(
        {
            # Odd numbers above 2**53: a passage through float64 would change each of them.
            "source_id": rng.permutation(2**60 + 1 + 2 * np.arange(n)),
            "ra": rng.uniform(148, 152, n) * u.deg,
            "dec": rng.uniform(18, 22, n) * u.deg,
            "pmra": MaskedColumn(pm[0], mask=gaps, unit=u.mas / u.yr),
            "pmdec": MaskedColumn(pm[1], mask=gaps, unit=u.mas / u.yr),
            "phot_g_mean_mag": mag.astype(np.float32) * u.mag,
            "n_obs": MaskedColumn(np.arange(n), mask=gaps),
            "is_member": rng.random(n) < 0.1,
        }
    )
