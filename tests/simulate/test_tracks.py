import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import ICRS, CartesianDifferential, Galactocentric, SkyCoord

from viamachinae.config import GreatCircleTrack, OrbitTrack
from viamachinae.errors import BadInputError
from viamachinae.simulate.kinematics import SUN_R_KPC, SUN_VELOCITY_KMS, SUN_Z_KPC
from viamachinae.simulate.tracks import great_circle, orbit
from viamachinae.sky import direction

CIRCLE = GreatCircleTrack(
    kind="great_circle", ra=150.0, dec=30.0, position_angle_deg=35.0, pmra=-4.0, pmdec=-9.0,
    pm_gradient=(0.05, -0.02), distance_kpc=8.0, distance_gradient=0.1,
)  # fmt: skip
# GD-1 after Koposov, Rix & Hogg 2010, near phi1 = -35 deg.
ORBIT = OrbitTrack(
    kind="orbit", ra=150.0, dec=37.0, distance_kpc=8.5, pmra=-6.0, pmdec=-12.5,
    radial_velocity_kms=-60.0,
)  # fmt: skip


def separation(ra, dec, ra0, dec0) -> np.ndarray:
    return SkyCoord(ra * u.deg, dec * u.deg).separation(SkyCoord(ra0 * u.deg, dec0 * u.deg)).deg


def test_great_circle_passes_its_middle_with_its_motion_and_angle() -> None:
    ra, dec, distance, pmra, pmdec = great_circle(CIRCLE, 40).place(np.zeros(1), np.zeros(1))
    assert separation(ra, dec, 150.0, 30.0)[0] < 1e-9
    assert (distance[0], pmra[0], pmdec[0]) == pytest.approx((8.0, -4.0, -9.0))
    ra, dec, *_ = great_circle(CIRCLE, 40).place(np.array([1.0]), np.zeros(1))
    middle = SkyCoord(150 * u.deg, 30 * u.deg)
    ahead = SkyCoord(ra * u.deg, dec * u.deg)
    assert middle.position_angle(ahead).deg[0] == pytest.approx(35.0)


def test_great_circle_is_one_and_phi2_is_the_distance_from_it() -> None:
    phi1, phi2 = np.linspace(-20, 20, 41), np.tile([-0.5, 0.0, 1.5], 41)[:41]
    ra, dec, distance, *_ = great_circle(CIRCLE, 40).place(phi1, phi2)
    frame = SkyCoord(150 * u.deg, 30 * u.deg).skyoffset_frame(rotation=(35.0 - 90) * u.deg)
    there = SkyCoord(ra * u.deg, dec * u.deg).transform_to(frame)
    np.testing.assert_allclose(there.lon.wrap_at(180 * u.deg).deg, phi1, atol=1e-9)
    np.testing.assert_allclose(there.lat.deg, phi2, atol=1e-9)
    np.testing.assert_allclose(distance, 8 + 0.1 * phi1)


def test_great_circle_motion_changes_linearly_along_and_across() -> None:
    phi1 = np.array([-15.0, 0.0, 10.0])
    ra, dec, _, pmra, pmdec = great_circle(CIRCLE, 40).place(phi1, np.zeros(3))
    frame = SkyCoord(150 * u.deg, 30 * u.deg).skyoffset_frame(rotation=(35.0 - 90) * u.deg)
    stars = SkyCoord(
        ra * u.deg, dec * u.deg, pm_ra_cosdec=pmra * u.mas / u.yr, pm_dec=pmdec * u.mas / u.yr
    ).transform_to(frame)
    for values, gradient in ((stars.pm_lon_coslat, 0.05), (stars.pm_lat, -0.02)):
        change = values.value - values.value[1]
        np.testing.assert_allclose(change, gradient * phi1, atol=1e-5)


def test_distance_may_not_fall_to_zero() -> None:
    config = CIRCLE.model_copy(update={"distance_gradient": -1.0})
    with pytest.raises(BadInputError, match="distance_gradient"):
        great_circle(config, 40)


def test_orbit_passes_through_its_point() -> None:
    pytest.importorskip("gala")
    ra, dec, distance, pmra, pmdec = orbit(ORBIT, 60).place(np.zeros(1), np.zeros(1))
    assert separation(ra, dec, 150.0, 37.0)[0] < 1e-6
    assert (distance[0], pmra[0], pmdec[0]) == pytest.approx((8.5, -6.0, -12.5), abs=1e-5)


@pytest.mark.parametrize("time_myr", [-12.0, -3.3, 4.1, 15.0])
def test_orbit_continues_as_gala_integrates_it(time_myr: float) -> None:
    potential = pytest.importorskip("gala.potential")
    dynamics = pytest.importorskip("gala.dynamics")
    integrator = pytest.importorskip("gala.integrate")
    frame = Galactocentric(
        galcen_distance=SUN_R_KPC * u.kpc,
        galcen_v_sun=CartesianDifferential(SUN_VELOCITY_KMS * u.km / u.s),
        z_sun=SUN_Z_KPC * u.kpc,
    )
    start = SkyCoord(
        150 * u.deg, 37 * u.deg, 8.5 * u.kpc, pm_ra_cosdec=-6 * u.mas / u.yr,
        pm_dec=-12.5 * u.mas / u.yr, radial_velocity=-60 * u.km / u.s,
    ).transform_to(frame)  # fmt: skip
    path = potential.MilkyWayPotential(version="v2").integrate_orbit(
        dynamics.PhaseSpacePosition(start.data), dt=time_myr / 500 * u.Myr, n_steps=500,
        Integrator=integrator.DOPRI853Integrator,
    )  # fmt: skip
    star = path[-1].to_coord_frame(ICRS(), galactocentric_frame=frame)
    track = orbit(ORBIT, 80)
    assert np.abs(track.phi1[[0, -1]]).min() >= 40
    nearest = track.towards @ direction(star.ra.deg, star.dec.deg)
    around = track.phi1[np.argmax(nearest)] + np.linspace(-3, 3, 6001)
    ra, dec, distance, pmra, pmdec = track.place(around, np.zeros(6001))
    off = separation(ra, dec, star.ra.deg, star.dec.deg)
    at = np.argmin(off)
    assert off[at] < 0.01
    assert np.sign(around[at]) == np.sign(time_myr)
    assert distance[at] == pytest.approx(star.distance.to_value(u.kpc), rel=1e-3)
    assert pmra[at] == pytest.approx(star.pm_ra_cosdec.to_value(u.mas / u.yr), abs=0.01)
    assert pmdec[at] == pytest.approx(star.pm_dec.to_value(u.mas / u.yr), abs=0.01)


def test_orbit_without_gala_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("gala", "gala.dynamics", "gala.potential"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadInputError, match=r'pip install "\.\[orbits\]"'):
        orbit(ORBIT, 60)


def test_orbit_that_stays_short_is_refused() -> None:
    pytest.importorskip("gala")
    far = ORBIT.model_copy(
        update={"distance_kpc": 400.0, "pmra": 0.0, "pmdec": 0.0, "radial_velocity_kms": 600.0}
    )
    with pytest.raises(BadInputError, match="length_deg"):
        orbit(far, 170)
