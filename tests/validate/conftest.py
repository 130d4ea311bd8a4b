"""A patch without a galaxy: even stars, into which streams are injected."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table

from viamachinae.config import InjectedStreams
from viamachinae.sky import Patch
from viamachinae.validate.footprint import Footprint, footprint_of

PATCH = Patch("p", 150.0, 30.0, 8.0, 6.0)


@pytest.fixture(scope="session")
def even() -> Table:
    """30 000 stars spread evenly over the patch's disc."""
    rng = np.random.default_rng(5)
    n = 30_000
    cosine = 1 - rng.random(n) * (1 - np.cos(np.radians(PATCH.radius_deg)))
    turn, rho = rng.uniform(0, 2 * np.pi, n), np.degrees(np.arccos(cosine))
    place = PATCH.centre.directional_offset_by(turn * 180 / np.pi * u.deg, rho * u.deg)
    return Table({"source_id": np.arange(n), "ra": place.ra.deg, "dec": place.dec.deg})


@pytest.fixture(scope="session")
def footprint(even: Table) -> Footprint:
    return footprint_of(np.asarray(even["ra"]), np.asarray(even["dec"]), [PATCH], [])


@pytest.fixture(scope="session")
def options() -> InjectedStreams:
    return InjectedStreams(n_stars=[300], width_deg=[0.2], pm_masyr=[10.0])
