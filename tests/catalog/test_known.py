"""The catalogue of known objects beside published numbers and other compilations."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from viamachinae.catalog.known import KINDS, known_objects, known_of, read_catalogue

# ra, dec (deg), distance (kpc), pmra, pmdec (mas/yr), tolerance of the place (deg).
# Clusters: centres of Harris 1996 (2010 edition), distances of Baumgardt & Vasiliev 2021, proper
# motions of Vasiliev & Baumgardt 2021. Sagittarius: McConnachie 2012, motion of Gaia
# Collaboration (Helmi et al.) 2018. LMC: photometric centre of de Vaucouleurs & Freeman 1972,
# distance of Pietrzyński et al. 2019, motion of Kallivayalil et al. 2013.
PUBLISHED = {
    "NGC 5139 (Omega Cen)": (201.697, -47.480, 5.43, -3.25, -6.75, 0.01),
    "NGC 104 (47 Tuc)": (6.0236, -72.0813, 4.52, 5.25, -2.55, 0.01),
    "NGC 6341 (M 92)": (259.2808, 43.1359, 8.50, -4.94, -0.63, 0.01),
    "Sgr": (283.763, -30.478, 26.0, -2.69, -1.36, 0.2),
    "LMC": (80.894, -69.756, 49.59, 1.91, 0.23, 1.2),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_objects_are_where_papers_say(name: str) -> None:
    ra, dec, distance, pmra, pmdec, tolerance = PUBLISHED[name]
    (one,) = (one for one in known_objects() if one.name == name)
    here = SkyCoord(one.nodes.ra[0] * u.deg, one.nodes.dec[0] * u.deg)
    assert here.separation(SkyCoord(ra * u.deg, dec * u.deg)).deg < tolerance
    assert one.nodes.distance_kpc[0] == pytest.approx(distance, rel=0.03)
    assert one.nodes.pmra[0] == pytest.approx(pmra, abs=0.07)
    assert one.nodes.pmdec[0] == pytest.approx(pmdec, abs=0.07)


def test_what_is_missing_is_nan_and_never_zero() -> None:
    assert {one.kind for one in known_objects()} == set(KINDS)
    for one in known_objects():
        moving = np.isfinite(one.nodes.pmra) & np.isfinite(one.nodes.pmdec)
        assert np.all(moving == one.has_pm), one.label
        assert not np.any((one.nodes.pmra == 0) & (one.nodes.pmdec == 0)), one.label
        assert np.all(np.isfinite(one.nodes.ra) & np.isfinite(one.nodes.dec)), one.label
        distance = one.nodes.distance_kpc
        assert np.all((distance >= 0.5) | np.isnan(distance)), one.label
        assert one.size_deg > 0 or np.isnan(one.size_deg), one.label
        assert one.reference, one.label
    labels = [one.label for one in known_objects()]
    assert len(set(labels)) == len(labels)


def test_a_stream_without_proper_motions_says_so() -> None:
    tracks = {one.label: one for one in known_of("stream")}
    # Starkman et al. 2020 measure the track of Palomar 5 alone, Ibata et al. 2021 its motion too.
    assert not tracks["Pal5 Starkman2020"].has_pm
    assert tracks["Pal5 Ibata2021"].has_pm
    assert sum(not one.has_pm for one in tracks.values()) == 46
    assert len(tracks) == 217


def test_nodes_follow_each_other_closely() -> None:
    for one in known_of("stream"):
        at = SkyCoord(one.nodes.ra * u.deg, one.nodes.dec * u.deg)
        assert len(at) >= 2
        assert np.all(at[1:].separation(at[:-1]).deg <= 1.0), one.label


def test_palomar_5_lies_on_its_stream() -> None:
    (cluster,) = (one for one in known_of("cluster") if one.name == "Pal 5")
    (stream,) = (one for one in known_of("stream") if one.label == "Pal5 Ibata2021")
    here = SkyCoord(cluster.nodes.ra * u.deg, cluster.nodes.dec * u.deg)
    nodes = SkyCoord(stream.nodes.ra * u.deg, stream.nodes.dec * u.deg)
    nearest = np.argmin(here.separation(nodes).deg)
    assert here.separation(nodes[nearest]).deg < 0.5
    assert stream.nodes.pmra[nearest] == pytest.approx(cluster.nodes.pmra[0], abs=0.3)
    assert stream.nodes.pmdec[nearest] == pytest.approx(cluster.nodes.pmdec[0], abs=0.3)


def test_tables_are_small_and_carry_units_and_origin() -> None:
    folder = resources.files("viamachinae.catalog") / "data"
    assert sum(len((folder / f"{name}.ecsv").read_bytes()) for name in TABLES) < 1_000_000
    for name in TABLES:
        table = read_catalogue(name)
        assert table.meta["made_by"] == "catalogs/make.py"
        assert "galstreams 1.2.1" in table.meta["made_from"]
        assert json.dumps(table.meta["terms"])
        units = {"ra": u.deg, "dec": u.deg, "pmra": u.mas / u.yr, "distance": u.kpc, "width": u.deg}
        for column in set(units) & set(table.colnames):
            assert table[column].unit == units[column]


TABLES = ("objects", "streams", "stream_nodes")
HARRIS = ("ra_deg", "dec_deg", "pmRA", "pmDE")
LVDB = ("ra", "dec", "pmra", "pmdec")


@pytest.mark.parametrize(
    ("kind", "file", "columns", "n_least", "tolerance_deg"),
    [
        ("cluster", "globular_clusters_harris_vb21.csv", HARRIS, 150, 0.02),
        ("cluster", "globular_clusters_lvdb.csv", LVDB, 150, 0.02),
        ("dwarf", "dwarfs_lvdb.csv", LVDB, 44, 0.15),
    ],
)  # fmt: skip
def test_objects_agree_with_other_compilations(
    sky_data: Path, kind: str, file: str, columns: tuple[str, ...], n_least: int,
    tolerance_deg: float,
) -> None:  # fmt: skip
    table = Table.read(sky_data / file, format="ascii.csv")
    ra, dec, pmra, pmdec = (np.ma.asarray(table[c], dtype=float).filled(np.nan) for c in columns)
    placed = np.isfinite(ra) & np.isfinite(dec)
    ours = [one.nodes for one in known_of(kind)]
    here = SkyCoord([n.ra[0] for n in ours] * u.deg, [n.dec[0] for n in ours] * u.deg)
    row, separation, _ = here.match_to_catalog_sky(
        SkyCoord(ra[placed] * u.deg, dec[placed] * u.deg)
    )
    same = separation.deg < tolerance_deg
    assert np.count_nonzero(same) >= n_least
    off_ra = np.array([n.pmra[0] for n in ours]) - pmra[placed][row]
    off_dec = np.array([n.pmdec[0] for n in ours]) - pmdec[placed][row]
    difference = np.hypot(off_ra, off_dec)[same]
    difference = difference[np.isfinite(difference)]
    assert len(difference) >= 0.9 * n_least
    assert np.median(difference) < 0.05
    assert np.mean(difference < 0.5) > 0.95
