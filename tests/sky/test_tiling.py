from __future__ import annotations

from pathlib import Path

import astropy.units as u
import healpy
import numpy as np
import pytest
from astropy.coordinates import ICRS, Galactic, SkyCoord

from viamachinae.config import CentreTiling, HealpixEbv, HealpixTiling
from viamachinae.errors import BadInputError
from viamachinae.sky import dusty_patches, overlaps, patch_id, tile
from viamachinae.sky.tiling import LMC, SMC


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
