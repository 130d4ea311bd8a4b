"""Orbits: a stream drawn along one gives it back; what does not move in line fits none."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table, vstack

from viamachinae.config import OrbitConfig, OrbitTrack
from viamachinae.simulate.tracks import orbit
from viamachinae.validate.orbit import add_orbits, fit_orbit

pytest.importorskip("gala")

# Near GD-1's.
TRACK = OrbitTrack(
    kind="orbit",
    ra=148.9,
    dec=36.2,
    distance_kpc=8.3,
    pmra=-6.4,
    pmdec=-12.0,
    radial_velocity_kms=-10.0,
)


@pytest.fixture(scope="module")
def stream() -> Table:
    """Stars along 16 deg of the orbit, 0.2 deg wide, with errors of 0.3 mas/yr."""
    rng = np.random.default_rng(0)
    phi1 = rng.uniform(-8, 8, 120)
    ra, dec, _, pmra, pmdec = orbit(TRACK, 18.0).place(phi1, rng.normal(0, 0.2, 120))
    noise = rng.normal(0, 0.3, (2, 120))
    return Table({"ra": ra, "dec": dec, "pmra": pmra + noise[0], "pmdec": pmdec + noise[1]})


def test_the_orbit_of_a_stream_is_found_again(stream: Table) -> None:
    fit = fit_orbit(stream, (3.0, 60.0))
    assert fit.chi2_dof < 1.5
    assert fit.distance_kpc == pytest.approx(8.3, rel=0.15)
    assert fit.radial_velocity_kms == pytest.approx(-10, abs=30)


def test_stars_that_move_across_their_line_fit_no_orbit(stream: Table) -> None:
    turned = stream.copy()
    turned["pmra"], turned["pmdec"] = -stream["pmdec"], stream["pmra"]
    turned["candidate"], stream["candidate"] = "turned", "stream"
    members = vstack([turned, stream])
    members["on_line"] = True
    table = Table({"candidate": ["turned", "stream"]})
    add_orbits(table, members, OrbitConfig(n_candidates=1))
    assert table["orbit_chi2"][0] > 10
    assert np.isnan(table["orbit_chi2"][1])
    assert table["orbit_distance_kpc"].unit == "kpc"


def test_too_short_a_line_tells_nothing(stream: Table) -> None:
    assert np.isnan(fit_orbit(stream[:7], (3.0, 60.0)).chi2_dof)
