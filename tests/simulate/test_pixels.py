import healpy
import numpy as np
import pytest

from viamachinae.simulate import pixels


def test_positions_fill_their_pixel_evenly() -> None:
    pixel = 20_000
    ra, dec, id_pixel = pixels.uniform_positions(np.random.default_rng(0), pixel, 40_000)
    inside = healpy.ang2pix(pixels.NSIDE, ra, dec, nest=True, lonlat=True)
    assert (inside == pixel).all()
    children = healpy.ang2pix(2 * pixels.NSIDE, ra, dec, nest=True, lonlat=True)
    counts = np.bincount(children - 4 * pixel)
    assert len(counts) == 4
    assert np.abs(counts - 10_000).max() < 4 * np.sqrt(7500)
    np.testing.assert_array_equal(id_pixel, healpy.ang2pix(4096, ra, dec, nest=True, lonlat=True))


@pytest.mark.parametrize(("ra", "dec"), [(10.0, 20.0), (0.0, 0.0), (123.0, 90.0), (200.0, -89.0)])
def test_every_point_of_a_disc_lies_in_a_touching_pixel(ra: float, dec: float) -> None:
    points = pixels.spiral((ra, dec), 3.0, 5000)
    found = healpy.vec2pix(pixels.NSIDE, *points.T, nest=True)
    assert np.isin(found, pixels.touching(ra, dec, 3.0)).all()
    lon, lat = healpy.vec2ang(points, lonlat=True)
    assert pixels.in_disc(lon, lat, (ra, dec), 3.0 + 1e-9).all()
    assert pixels.in_disc(lon, lat, (ra, dec), 1.5).mean() == pytest.approx(0.25, abs=0.01)


def test_outline_holds_the_corners() -> None:
    corners = healpy.boundaries(pixels.NSIDE, 17, step=1, nest=True).T
    outline = pixels.outline(17)
    assert outline.shape == (9, 3)
    for corner in corners:
        assert np.linalg.norm(outline - corner, axis=1).min() < 1e-12
