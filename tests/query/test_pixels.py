"""Pixels and ranges of source_id against healpy's own geometry."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import healpy
import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from viamachinae.query.pixels import (
    STRAY_DEG,
    pixels_in_disc,
    pixels_of,
    ranges,
    separation_deg,
    source_id_range,
)

orders = st.integers(0, 12)
longitudes, latitudes = st.floats(0, 360), st.floats(-90, 90)


def ids_at(ra: float, dec: float, running: int) -> NDArray[np.int64]:
    """What Gaia calls a star here, by its documentation."""
    return np.array([healpy.ang2pix(4096, ra, dec, nest=True, lonlat=True) * 34359738368 + running])


@given(longitudes, latitudes, orders, st.integers(0, 2**35 - 1))
def test_a_star_lies_in_the_range_of_the_pixel_that_healpy_gives_its_position(
    ra: float, dec: float, order: int, running: int
) -> None:
    star = ids_at(ra, dec, running)
    pixel = int(healpy.ang2pix(2**order, ra, dec, nest=True, lonlat=True))
    assert pixels_of(star, order).tolist() == [pixel]
    first, last = source_id_range(order, pixel)
    assert first <= star[0] <= last
    assert first >= 0
    assert last < 2**63


@given(
    st.integers(0, 8).flatmap(
        lambda k: st.tuples(st.just(k), st.sets(st.integers(0, 12 * 4**k - 1)))
    )
)
def test_ranges_hold_just_their_pixels_and_cannot_be_merged(drawn: tuple[int, set[int]]) -> None:
    order, pixels = drawn
    found = ranges(pixels, order)
    assert found == sorted(found)
    ends = np.array(found, dtype=np.int64).reshape(-1, 2)
    assert (ends[1:, 0] > ends[:-1, 1] + 1).all()
    held = set()
    for first, last in found:
        low, high = pixels_of(np.array([first, last]), order).tolist()
        assert (first, last) == (source_id_range(order, low)[0], source_id_range(order, high)[1])
        held |= set(range(low, high + 1))
    assert held == pixels


def test_the_whole_sky_is_one_range() -> None:
    assert ranges(range(12 * 4**3), 3) == [(0, 12 * 2**59 - 1)]


@pytest.mark.parametrize(("ra", "dec"), [(10.0, 20.0), (0.0, 0.0), (123.0, 90.0), (359.9, -88.0)])
@pytest.mark.parametrize("order", [0, 3, 5, 7])
def test_no_star_of_a_disc_lies_outside_its_pixels(ra: float, dec: float, order: int) -> None:
    rng = np.random.default_rng(3)
    centre = SkyCoord(ra, dec, unit="deg")
    points = centre.directional_offset_by(
        rng.uniform(0, 360, 3000) * u.deg, 4.0 * np.sqrt(rng.random(3000)) * u.deg
    )
    own = healpy.ang2pix(2**order, points.ra.deg, points.dec.deg, nest=True, lonlat=True)
    cover = pixels_in_disc(ra, dec, 4.0, order)
    assert np.isin(own, cover).all()
    assert (np.diff(cover) > 0).all()


def test_the_cover_reaches_stars_that_left_their_pixel() -> None:
    # Barnard's star, Gaia DR3 (epoch 2016.0): no star moves faster.
    star, ra, dec = np.array([4472832130942575872]), 269.44850252543836, 4.739420051112412
    strayed = separation_deg(pixels_of(star, 12), 12, ra, dec)[0]
    assert 2.5 / 60 < strayed < STRAY_DEG
    assert np.isin(pixels_of(star, 12), pixels_in_disc(ra, dec, 1e-4, 12)).all()


def test_separations_are_those_of_astropy() -> None:
    pixels = np.arange(0, 12 * 64, 7)
    middles = SkyCoord(*healpy.pix2ang(8, pixels, nest=True, lonlat=True), unit="deg")
    expected = middles.separation(SkyCoord(33.0, -40.0, unit="deg")).deg
    np.testing.assert_allclose(separation_deg(pixels, 3, 33.0, -40.0), expected, atol=1e-6)


def test_real_stars_stand_where_their_source_id_says(sky_data: Path) -> None:
    stars = pq.read_table(
        sky_data / "dr3_cone_ra45_dec0_r0.5.parquet", columns=["source_id", "ra", "dec"]
    )
    ids, ra, dec = (column.to_numpy() for column in stars.columns)
    own = healpy.ang2pix(4096, ra, dec, nest=True, lonlat=True)
    strayed = own != pixels_of(ids, 12)
    assert 0 < strayed.sum() < 0.02 * len(ids)
    assert separation_deg(pixels_of(ids, 12), 12, ra, dec).max() < STRAY_DEG
