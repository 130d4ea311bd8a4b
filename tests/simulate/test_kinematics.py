import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import ICRS, Galactic, SkyCoord

from viamachinae.simulate.kinematics import (
    SUN_VELOCITY_KMS,
    galactocentric,
    icrs_to_galactic,
    proper_motions,
)
from viamachinae.sky import direction


@pytest.fixture
def places() -> SkyCoord:
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))
    return SkyCoord(ra * u.deg, dec * u.deg, rng.uniform(0.1, 20, 200) * u.kpc)


def test_proper_motions_agree_with_astropy(places: SkyCoord) -> None:
    velocity = np.random.default_rng(6).normal(0, 150, (200, 3))
    here = places.transform_to(Galactic()).cartesian
    relative = (velocity - np.array(SUN_VELOCITY_KMS)).T * u.km / u.s
    stars = Galactic(
        *here.xyz, *relative, representation_type="cartesian", differential_type="cartesian"
    )
    expected = SkyCoord(stars.transform_to(ICRS()))
    pmra, pmdec = proper_motions(places.ra.deg, places.dec.deg, places.distance.kpc, velocity)
    np.testing.assert_allclose(pmra, expected.pm_ra_cosdec.to_value(u.mas / u.yr), rtol=1e-6)
    np.testing.assert_allclose(pmdec, expected.pm_dec.to_value(u.mas / u.yr), rtol=1e-6)


def test_directions_turn_as_astropy_turns_them(places: SkyCoord) -> None:
    turned = direction(places.ra.deg, places.dec.deg) @ icrs_to_galactic().T
    there = places.galactic
    np.testing.assert_allclose(turned, direction(there.l.deg, there.b.deg), atol=1e-12)


def test_the_galactic_centre_is_the_origin() -> None:
    place = galactocentric(direction([0.0], [0.0]), np.array([8.122]))
    np.testing.assert_allclose(place, [[0, 0, 0.0208]], atol=1e-12)
