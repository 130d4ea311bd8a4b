import numpy as np
import pytest

from viamachinae.simulate.components import Component, milky_way
from viamachinae.simulate.kinematics import SUN_R_KPC, SUN_Z_KPC

SUN = np.array([-SUN_R_KPC, 0.0, SUN_Z_KPC])


def test_local_density_is_near_that_of_the_nearby_star_catalogue() -> None:
    # 331 312 objects within 100 pc, white and brown dwarfs among them (Smart et al. 2021).
    local = sum(float(component.density(SUN)) for component in milky_way())
    assert local == pytest.approx(331_312 / (4 / 3 * np.pi * 100**3), rel=0.1)


def test_discs_fall_by_their_scale_lengths_and_heights() -> None:
    for component, length, height in zip(milky_way(), (2.6, 3.6), (0.3, 0.9), strict=False):
        here = component.density(SUN)
        assert component.density(SUN + np.array([-length, 0, 0])) / here == pytest.approx(
            np.exp(-1)
        )
        assert component.density(SUN + np.array([0, 0, height])) / here == pytest.approx(np.exp(-1))
        below = SUN * [1, 1, -1]
        assert component.density(below) == pytest.approx(float(here))


def test_halo_slopes() -> None:
    density = milky_way()[2].density
    inner = density(np.array([[10.0, 0, 0], [20, 0, 0]]))
    outer = density(np.array([[40.0, 0, 0], [80, 0, 0]]))
    assert inner[1] / inner[0] == pytest.approx(2**-2.77)
    assert outer[1] / outer[0] == pytest.approx(2**-4.6)
    assert density(np.array([0, 0, 6.4])) == pytest.approx(float(density(np.array([0, 10.0, 0]))))
    assert np.isfinite(density(np.zeros(3)))


@pytest.mark.parametrize("component", milky_way(), ids=lambda c: c.name)
def test_velocity_ellipsoids_follow_the_position(component: Component) -> None:
    place = np.array([3.0, -5.0, 4.0])
    drawn = component.velocities(np.random.default_rng(8), np.tile(place, (100_000, 1)))
    radius = np.hypot(*place[:2])
    out = np.array([place[0], place[1], 0]) / radius
    around = np.array([place[1], -place[0], 0]) / radius
    up = np.array([0.0, 0, 1])
    if component.spherical:
        out = place / np.linalg.norm(place)
        up = np.cross(around, out)
    moments = np.array([(drawn @ axis).std() for axis in (out, around, up)])
    np.testing.assert_allclose(moments, component.dispersion_kms, rtol=0.02)
    assert (drawn @ around).mean() == pytest.approx(component.rotation_kms, abs=2)
    assert (drawn @ out).mean() == pytest.approx(0, abs=2)


def test_the_sun_leads_the_discs() -> None:
    thin, thick, halo = (component.rotation_kms for component in milky_way())
    assert 245.6 > thin > thick > halo == 0
