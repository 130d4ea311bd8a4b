"""The source of shuffled stars: the same stars in every disc, near a pole too."""

from __future__ import annotations

from collections.abc import Sequence

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from viamachinae.config import CellConfig
from viamachinae.validate.shuffled_sky import Shuffle, ShuffledSky

COLUMNS = ["source_id", "ra", "dec", "pmra", "pmdec", "bp_rp"]


class Cap:
    """Stars around the north pole, all of one motion towards one side, in space."""

    name = "cap"

    def __init__(self, n: int = 4000) -> None:
        rng = np.random.default_rng(8)
        ra, z = rng.uniform(0, 360, n), rng.uniform(np.cos(np.radians(30)), 1, n)
        dec = np.degrees(np.arcsin(z))
        # The vector (1, 0, 0) mas/yr, along the directions of east and north.
        pmra = -np.sin(np.radians(ra))
        pmdec = -np.sin(np.radians(dec)) * np.cos(np.radians(ra))
        colour = rng.uniform(0, 2, n)
        colour[::7] = np.nan
        values = [np.arange(n), ra, dec, pmra, pmdec, colour]
        self.table = Table(dict(zip(COLUMNS, values, strict=True)))

    def columns(self) -> frozenset[str]:
        return frozenset(COLUMNS)

    def stars(self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]) -> Table:
        middle = SkyCoord(ra * u.deg, dec * u.deg)
        places = SkyCoord(self.table["ra"] * u.deg, self.table["dec"] * u.deg)
        return self.table[middle.separation(places).deg < radius_deg][list(columns)]

    def count(self, ra: float, dec: float, radius_deg: float) -> int:
        return len(self.stars(ra, dec, radius_deg, ["ra"]))

    def fingerprint(self) -> str:
        return "cap"


def shuffled(draw: int = 0, evenly: bool = False, nside: int = 8) -> ShuffledSky:
    cells = CellConfig(nside=nside)  # type: ignore[arg-type]
    return ShuffledSky(Cap(), Shuffle(cells, evenly, 6.0, "bp_rp", "phot_g_mean_mag", 1, draw))


@pytest.mark.parametrize("evenly", [False, True])
def test_a_star_has_one_place_in_all_discs(evenly: bool) -> None:
    source = shuffled(evenly=evenly)
    one, other = (source.stars(ra, 80.0, 10.0, COLUMNS) for ra in (10.0, 90.0))
    shared, a, b = np.intersect1d(one["source_id"], other["source_id"], return_indices=True)
    assert 50 < len(shared) < len(one)
    assert one[a].values_equal(other[b])["ra"].all()
    assert np.all(np.diff(one["source_id"]) > 0)


def test_places_stay_as_a_set_and_stars_keep_their_own() -> None:
    before, after = Cap().stars(0, 88, 12, COLUMNS), shuffled().stars(0, 88, 12, COLUMNS)
    np.testing.assert_allclose(np.sort(after["dec"]), np.sort(before["dec"]), atol=1e-9)
    whole = Cap().table
    same = whole[after["source_id"]]
    np.testing.assert_array_equal(after["bp_rp"], same["bp_rp"])
    assert np.mean(np.abs(after["dec"] - same["dec"]) < 1e-9) < 0.2
    # As vectors, motions turn by less than a pixel is wide, where pmra and pmdec are all angles.
    ra, dec = np.radians(after["ra"]), np.radians(after["dec"])
    x = -after["pmra"] * np.sin(ra) - after["pmdec"] * np.sin(dec) * np.cos(ra)
    assert x.min() > 0.9
    np.testing.assert_allclose(
        np.hypot(after["pmra"], after["pmdec"]), np.hypot(same["pmra"], same["pmdec"]), atol=1e-9
    )


def test_colours_exchange_places_within_their_cells() -> None:
    after = shuffled(nside=1).stars(0, 90, 25, COLUMNS)
    before = Cap().table[after["source_id"]]
    place_of = {round(float(dec), 7): i for i, dec in enumerate(Cap().table["dec"])}
    donor = Cap().table["bp_rp"][[place_of[round(float(dec), 7)] for dec in after["dec"]]]
    bins = [np.nan_to_num(np.floor(np.asarray(c) / 0.5), nan=-1) for c in (before["bp_rp"], donor)]
    np.testing.assert_array_equal(*bins)


def test_draws_differ_and_so_do_their_fingerprints() -> None:
    first, second = shuffled(0), shuffled(1)
    assert first.fingerprint() == shuffled(0).fingerprint() != second.fingerprint()
    places = [source.stars(0, 85, 5, COLUMNS)["dec"] for source in (first, second)]
    assert len(places[0]) == len(places[1])
    assert not np.array_equal(*places)
    assert first.count(0, 85, 5) == len(places[0])
