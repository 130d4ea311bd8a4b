from __future__ import annotations

from pathlib import Path

import astropy.units as u
import healpy
import numpy as np
import pytest
from astropy.coordinates import ICRS, Galactic, SkyCoord, SkyOffsetFrame
from hypothesis import given, settings
from hypothesis import strategies as st

from viamachinae.config import CentreTiling, HealpixEbv, HealpixTiling
from viamachinae.errors import BadInputError
from viamachinae.sky import LMC, SMC, Patch, dusty_patches, overlaps, patch_id, tile

CENTRES = [(148.6, 24.2), (0.0, 0.0), (359.95, -30.0), (12.0, 90.0), (12.0, -90.0), (80.0, 89.7)]


def patch_at(ra: float, dec: float) -> Patch:
    return Patch("p", ra, dec, 15.0, 10.0)


def stars_around(patch: Patch, n: int = 500) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(5)
    angle = rng.uniform(0, 360, n) * u.deg
    distance = rng.uniform(0.01, 15, n) * u.deg
    points = patch.centre.directional_offset_by(angle, distance)
    pmra, pmdec = rng.normal(0, 8, (2, n))
    return points.ra.deg, points.dec.deg, pmra, pmdec


def test_tiling_has_the_216_pixels_above_30_degrees() -> None:
    patches = tile(HealpixTiling(lmc_radius_deg=0, smc_radius_deg=0))
    assert len(patches) == 216
    assert len({patch.id for patch in patches}) == 216
    b = SkyCoord([p.ra for p in patches] * u.deg, [p.dec for p in patches] * u.deg).galactic.b
    assert np.all(np.abs(b.deg) > 30)


def test_tiling_keeps_away_from_the_magellanic_clouds() -> None:
    patches = tile(HealpixTiling())
    centres = SkyCoord([p.ra for p in patches] * u.deg, [p.dec for p in patches] * u.deg)
    assert centres.separation(LMC).deg.min() > 22
    assert centres.separation(SMC).deg.min() > 19
    assert 190 <= len(patches) < 216


def test_ids_are_stable() -> None:
    assert patch_id(195.04, 33.66) == "l195.0_b+33.7"
    assert patch_id(359.97, -45.0) == "l0.0_b-45.0"
    ids = [patch.id for patch in tile(HealpixTiling())]
    assert "l202.5_b+41.8" in ids


def test_subset_and_unknown_patch() -> None:
    chosen = tile(HealpixTiling(patches=["l202.5_b+41.8"]))
    assert [patch.id for patch in chosen] == ["l202.5_b+41.8"]
    with pytest.raises(ValueError, match=r"l1\.0_b"):
        tile(HealpixTiling(patches=["l1.0_b+2.0"]))


def test_two_centres_in_one_place_are_refused() -> None:
    with pytest.raises(ValueError, match="two centres"):
        tile(CentreTiling(tiling="centres", centres=[(10.0, 20.0), (10.0, 20.01)]))


@pytest.mark.parametrize("centre", CENTRES)
def test_frame_round_trip(centre: tuple[float, float]) -> None:
    patch = patch_at(*centre)
    ra, dec, pmra, pmdec = stars_around(patch)
    back = patch.from_frame(*patch.to_frame(ra, dec, pmra, pmdec))
    np.testing.assert_allclose((back.ra - ra + 180) % 360 - 180, 0, atol=1e-9)
    np.testing.assert_allclose(back.dec, dec, atol=1e-9)
    np.testing.assert_allclose(back.pmra, pmra, atol=1e-9)
    np.testing.assert_allclose(back.pmdec, pmdec, atol=1e-9)


@pytest.mark.parametrize("centre", CENTRES)
def test_frame_against_spherical_trigonometry(centre: tuple[float, float]) -> None:
    """Positions from separation and position angle; proper motions from a moved star."""
    patch = patch_at(*centre)
    ra, dec, pmra, pmdec = stars_around(patch)
    stars = SkyCoord(ra * u.deg, dec * u.deg)
    offset = stars.transform_to(SkyOffsetFrame(origin=patch.centre))
    frame = patch.to_frame(ra, dec, pmra, pmdec)
    np.testing.assert_allclose(frame.phi, offset.lon.wrap_at(180 * u.deg).deg, atol=1e-9)
    np.testing.assert_allclose(frame.lam, offset.lat.deg, atol=1e-9)
    radius = np.hypot(
        np.sin(np.radians(frame.lam)),
        np.sin(np.radians(frame.phi)) * np.cos(np.radians(frame.lam)),
    )
    np.testing.assert_allclose(radius, np.sin(patch.centre.separation(stars).rad), atol=1e-12)
    np.testing.assert_allclose(
        np.hypot(frame.pm_phi, frame.pm_lam), np.hypot(pmra, pmdec), rtol=1e-12
    )
    step = 1e-5 * np.hypot(pmra, pmdec) * u.deg
    moved = stars.directional_offset_by(np.arctan2(pmra, pmdec) * u.rad, step)
    ahead = moved.transform_to(SkyOffsetFrame(origin=patch.centre))
    dlon = (ahead.lon - offset.lon).wrap_at(180 * u.deg).deg * np.cos(offset.lat.rad)
    np.testing.assert_allclose(dlon / 1e-5, frame.pm_phi, atol=2e-3)
    np.testing.assert_allclose((ahead.lat - offset.lat).deg / 1e-5, frame.pm_lam, atol=2e-3)


@given(ra=st.floats(0, 359.999), dec=st.floats(-89.9, 89.9))
@settings(max_examples=25, deadline=None)
def test_centre_is_the_origin(ra: float, dec: float) -> None:
    frame = patch_at(ra, dec).to_frame([ra], [dec], [3.0], [-4.0])
    np.testing.assert_allclose(np.array(frame).ravel(), [0, 0, 3, -4], atol=1e-9)


def test_positions_alone_are_those_with_proper_motions() -> None:
    patch = patch_at(150.0, -40.0)
    ra, dec = np.array([[140.0, 150.0], [155.0, 190.0]]), np.array([[-45.0, -40.0], [-30.0, -60.0]])
    phi, lam = patch.offsets(ra, dec)
    whole = patch.to_frame(ra.ravel(), dec.ravel(), np.ones(4), np.ones(4))
    np.testing.assert_allclose([phi.ravel(), lam.ravel()], whole[:2], atol=1e-10)
    np.testing.assert_allclose(patch.sky_points(phi, lam), (ra, dec), atol=1e-10)


def test_overlaps_against_pairwise_separations() -> None:
    patches = tile(HealpixTiling())
    centres = SkyCoord(
        [p.ra for p in patches] * u.deg, [p.dec for p in patches] * u.deg, frame=ICRS
    )
    lon, b = centres.transform_to(Galactic()).l.rad, centres.transform_to(Galactic()).b.rad
    cosine = np.sin(b)[:, None] * np.sin(b) + np.cos(b)[:, None] * np.cos(b) * np.cos(
        lon[:, None] - lon
    )
    expected = {(i, j) for i, j in np.argwhere(cosine > np.cos(np.radians(20.0))).tolist() if i < j}
    assert set(overlaps(patches)) == expected
    assert overlaps(patches[:1]) == []


def test_separation_across_ra_zero() -> None:
    assert patch_at(359.0, 0.0).separation_deg([1.0], [0.0])[0] == pytest.approx(2.0)


def test_no_stars_have_no_positions() -> None:
    patch = patch_at(10.0, 20.0)
    assert [values.shape for values in patch.to_frame([], [], [], [])] == [(0,)] * 4
    assert [values.shape for values in patch.from_frame([], [], [], [])] == [(0,)] * 4


# --- the dust cut ---------------------------------------------------------------------------


def dusty_north(path: Path) -> Path:
    """A map with 0.3 mag within 40 deg of the Galactic north pole, 0.1 elsewhere."""
    _, b = healpy.pix2ang(32, np.arange(healpy.nside2npix(32)), lonlat=True)
    healpy.write_map(path, np.where(b > 50, 0.3, 0.1), coord="G", dtype=np.float64)
    return path


def test_dusty_patches_are_left_out_and_named(tmp_path: Path) -> None:
    ebv = HealpixEbv(source="healpix", path=dusty_north(tmp_path / "map.fits"))
    everything = tile(HealpixTiling())
    config = HealpixTiling(ebv=ebv, max_ebv=0.2)
    clear, dusty = tile(config), dusty_patches(config)
    assert sorted([*clear, *(patch for patch, _ in dusty)], key=everything.index) == everything
    assert [patch for patch in everything if patch in clear] == clear
    for patch, reason in dusty:
        assert patch.centre.galactic.b.deg > 40
        assert reason == "E(B-V) 0.30 mag exceeds sky.max_ebv of 0.2"
    assert max(patch.centre.galactic.b.deg for patch in clear) < 50
    assert dusty_patches(HealpixTiling()) == []


def test_a_dust_cut_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    ebv = HealpixEbv(source="healpix", path=dusty_north(tmp_path / "map.fits"))
    with pytest.raises(
        BadInputError, match=r"leaves out all 1 patches \(l[0-9.]+_b\+90\.0: E\(B-V\)"
    ):
        tile(CentreTiling(tiling="centres", centres=[(192.85948, 27.12825)], ebv=ebv, max_ebv=0.2))
    holes = np.full(healpy.nside2npix(32), healpy.UNSEEN)
    healpy.write_map(tmp_path / "holes.fits", holes, coord="G", dtype=np.float64)
    unknown = HealpixEbv(source="healpix", path=tmp_path / "holes.fits")
    with pytest.raises(BadInputError, match="no value in the patch"):
        tile(HealpixTiling(ebv=unknown, max_ebv=0.2))


@pytest.mark.parametrize(
    "half", [{"max_ebv": 0.2}, {"ebv": {"source": "healpix", "path": "map.fits"}}]
)
def test_a_limit_and_a_map_belong_together(half: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="give both"):
        HealpixTiling.model_validate(half)
