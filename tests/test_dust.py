"""Maps of E(B-V) against healpy itself, in both frames, and what bad maps get."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import astropy.units as u
import healpy
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from viamachinae.config import HealpixEbv, NoEbv, SfdEbv
from viamachinae.dust import disc_percentiles, map_files, open_map
from viamachinae.errors import BadInputError

NSIDE = 16
VALUES = np.random.default_rng(1).uniform(0.0, 1.0, healpy.nside2npix(NSIDE)).astype(np.float32)


def points(n: int = 500) -> SkyCoord:
    rng = np.random.default_rng(2)
    return SkyCoord(
        rng.uniform(0, 360, n) * u.deg, np.degrees(np.arcsin(rng.uniform(-1, 1, n))) * u.deg
    )


def write(path: Path, values: Any = VALUES, **options: Any) -> Path:
    healpy.write_map(path, values, dtype=np.float32, overwrite=True, **options)
    return path


def healpix(path: Path, **options: Any) -> HealpixEbv:
    return HealpixEbv(source="healpix", path=path, **options)


@pytest.mark.parametrize(("coord", "nest"), [("G", False), ("G", True), ("C", False), ("C", True)])
def test_lookups_are_healpys_own_in_the_frame_of_the_file(
    tmp_path: Path, coord: str, nest: bool
) -> None:
    values = healpy.reorder(VALUES, r2n=True) if nest else VALUES
    path = write(tmp_path / "map.fits", values, coord=coord, nest=nest)
    where = points()
    lon, lat = (
        (where.galactic.l.deg, where.galactic.b.deg)
        if coord == "G"
        else (where.ra.deg, where.dec.deg)
    )
    pixel = VALUES[healpy.ang2pix(NSIDE, lon, lat, lonlat=True)]
    between = healpy.get_interp_val(VALUES, lon, lat, lonlat=True)
    np.testing.assert_array_equal(open_map(healpix(path, lookup="nearest"))(where), pixel)
    np.testing.assert_allclose(open_map(healpix(path))(where), between, rtol=1e-12)
    np.testing.assert_allclose(
        open_map(healpix(path, factor=0.86))(where), 0.86 * between, rtol=1e-12
    )


def test_the_frame_can_be_said_and_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "map.fits")
    with pytest.raises(BadInputError, match=r"map\.fits: it has no COORDSYS.*ebv\.frame"):
        open_map(healpix(path))
    where = points()
    told = open_map(healpix(path, frame="equatorial"))(where)
    known = open_map(healpix(write(tmp_path / "c.fits", coord="C")))(where)
    np.testing.assert_array_equal(told, known)
    with pytest.raises(BadInputError, match="its COORDSYS is E, which tells neither"):
        open_map(healpix(write(tmp_path / "e.fits", coord="E")))


def test_another_column_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "map.fits", [VALUES, 2 * VALUES], coord="G")
    where = points()
    second = open_map(healpix(path, field=1))(where)
    np.testing.assert_allclose(second, 2 * open_map(healpix(path))(where), rtol=1e-6)
    with pytest.raises(BadInputError, match=r"map\.fits"):
        open_map(healpix(path, field=2))


def test_holes_are_nan_and_do_not_eat_their_neighbours(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[1000] = healpy.UNSEEN
    path = write(tmp_path / "map.fits", values, coord="C")
    lon, lat = healpy.pix2ang(NSIDE, np.arange(values.size), lonlat=True)
    # A third of the way to the east, so that neighbours come into the interpolation.
    found = open_map(healpix(path))(SkyCoord((lon + 0.5) * u.deg, lat * u.deg))
    assert np.flatnonzero(np.isnan(found)).tolist() == [1000]
    assert np.nanmin(found) >= 0


def test_a_map_that_changed_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "map.fits", coord="G")
    before = open_map(healpix(path))(points())
    write(path, np.zeros(healpy.nside2npix(32)), coord="G")
    assert not open_map(healpix(path))(points()).any()
    assert before.any()


def test_bad_maps_end_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no\.fits: .*No such file.*nothing is downloaded"):
        open_map(healpix(tmp_path / "no.fits"))
    text = tmp_path / "text.fits"
    text.write_text("no map")
    with pytest.raises(BadInputError, match=r"text\.fits: cannot be read as a map") as error:
        open_map(healpix(text))
    assert "\n" not in str(error.value)
    odd = fits.BinTableHDU.from_columns([fits.Column("T", "E", array=np.zeros(100))])
    odd.header.update({"NSIDE": 3, "ORDERING": "RING", "INDXSCHM": "IMPLICIT", "COORDSYS": "G"})
    odd.writeto(tmp_path / "odd.fits")
    with pytest.raises(BadInputError, match=r"odd\.fits: cannot be read as a map"):
        open_map(healpix(tmp_path / "odd.fits"))


def test_percentile_of_discs(tmp_path: Path) -> None:
    """A map of two halves: a disc across the border sees both, the others their own."""
    _, lat = healpy.pix2ang(NSIDE, np.arange(VALUES.size), lonlat=True)
    values = np.where(lat > 0, 0.1, 0.5)
    values[lat < -60] = healpy.UNSEEN
    ebv = open_map(healpix(write(tmp_path / "map.fits", values, coord="C"), lookup="nearest"))
    centres = SkyCoord([10, 10, 10, 0] * u.deg, [30, -30, 0, -90] * u.deg)
    found = disc_percentiles(ebv, centres, 10.0, 90.0)
    np.testing.assert_allclose(found, [0.1, 0.5, 0.5, np.nan], rtol=1e-6)
    median_right = disc_percentiles(ebv, SkyCoord([10] * u.deg, [7] * u.deg), 10.0, 50.0)
    np.testing.assert_allclose(median_right, [0.1], rtol=1e-6)


def test_the_files_of_a_map(tmp_path: Path) -> None:
    assert map_files(NoEbv()) == []
    assert map_files(healpix(tmp_path / "m.fits")) == [tmp_path / "m.fits"]
    names = [path.name for path in map_files(SfdEbv(source="sfd", folder=tmp_path))]
    assert names == ["SFD_dust_4096_ngp.fits", "SFD_dust_4096_sgp.fits"]


# --- SFD's own files ------------------------------------------------------------------------


def write_sfd(folder: Path) -> None:
    """Small maps in SFD's projection, whose value is the Galactic latitude in units of 100 deg."""
    for pole, sign in (("ngp", 1), ("sgp", -1)):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["GLON-ZEA", "GLAT-ZEA"]
        wcs.wcs.crval = [0.0, 90.0 * sign]
        wcs.wcs.crpix = [128.5, 128.5]
        wcs.wcs.cdelt = [-0.65 * sign, 0.65]
        wcs.wcs.lonpole = 180.0
        y, x = np.mgrid[:256, :256]
        _, latitude = wcs.wcs_pix2world(x.ravel(), y.ravel(), 0)
        image = np.nan_to_num(np.abs(latitude).reshape(x.shape) / 100).astype(np.float32)
        fits.PrimaryHDU(image, wcs.to_header()).writeto(folder / f"SFD_dust_4096_{pole}.fits")


def test_sfd_is_read_by_dustmaps(tmp_path: Path) -> None:
    pytest.importorskip("dustmaps")
    write_sfd(tmp_path)
    where = points()
    where = where[np.abs(where.galactic.b.deg) > 5]
    found = open_map(SfdEbv(source="sfd", folder=tmp_path))(where)
    np.testing.assert_allclose(found, 0.86 * np.abs(where.galactic.b.deg) / 100, atol=2e-3)


def test_sfd_without_files_or_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = SfdEbv(source="sfd", folder=tmp_path)
    with pytest.raises(BadInputError, match=r"SFD_dust_4096_ngp\.fits.*nothing is downloaded"):
        open_map(config)
    write_sfd(tmp_path)
    monkeypatch.setitem(sys.modules, "dustmaps.sfd", None)
    with pytest.raises(BadInputError, match=r'dustmaps.*pip install "\.\[dust\]"'):
        open_map(config)
