"""The queries as a database understands them: SQLite, to which this ADQL is plain SQL."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from viamachinae.catalog.release import GAIA_DR2, GAIA_DR3, RELEASES
from viamachinae.config import DownloadCuts
from viamachinae.query.archive.adql import Selection, conditions
from viamachinae.query.pixels import pixels_of, ranges

NO_CUTS = DownloadCuts(max_mag=None)


@pytest.fixture(scope="module")
def database(rows: pa.Table) -> Iterator[sqlite3.Connection]:
    """The rows as ``gaiadr3.gaia_source``, and half of them split over the two tables of DR2."""
    connection = sqlite3.connect(":memory:")
    for schema in ("gaiadr2", "gaiadr3"):
        connection.execute(f"ATTACH ':memory:' AS {schema}")
    _fill(connection, "gaiadr3.gaia_source", rows)
    _fill(connection, "gaiadr2.gaia_source", rows.drop_columns("ruwe"))
    _fill(connection, "gaiadr2.ruwe", rows.select(["source_id", "ruwe"]).slice(0, 1500))
    yield connection
    connection.close()


def _fill(connection: sqlite3.Connection, table: str, rows: pa.Table) -> None:
    names = ", ".join(rows.column_names)
    connection.execute(f"CREATE TABLE {table} ({names})")
    values = zip(*(column.to_pylist() for column in rows.columns), strict=True)
    marks = ", ".join("?" * rows.num_columns)
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)


def test_the_text_of_a_query() -> None:
    cuts = DownloadCuts(min_colour=-0.5, max_colour=2.0, max_parallax_mas=1.0)
    selection = Selection(
        GAIA_DR3,
        "gaiadr3.gaia_source",
        ("source_id", "ra", "ruwe"),
        conditions(GAIA_DR3, cuts, {"pmra"}),
    )
    assert selection.stars(5, 9) == (
        "SELECT g.source_id, g.ra, g.ruwe\n"
        "FROM gaiadr3.gaia_source AS g\n"
        "WHERE g.source_id BETWEEN 5 AND 9\n"
        "AND g.pmra IS NOT NULL\n"
        "AND g.phot_g_mean_mag < 20.5\n"
        "AND g.bp_rp > -0.5\n"
        "AND g.bp_rp < 2.0\n"
        "AND (g.parallax + 0.017 - 3 * g.parallax_error < 1.0 OR g.parallax IS NULL)"
    )


def test_a_range_holds_its_ends_and_nothing_else(
    database: sqlite3.Connection, rows: pa.Table
) -> None:
    ids = rows["source_id"].to_pylist()
    selection = Selection(GAIA_DR3, GAIA_DR3.table, ("source_id",), ())
    found = database.execute(selection.stars(ids[100], ids[200])).fetchall()
    assert sorted(row[0] for row in found) == ids[100:201]


@pytest.mark.parametrize("order", [3, 5, 8])
def test_counts_are_those_of_the_pixels(
    database: sqlite3.Connection, rows: pa.Table, order: int
) -> None:
    pixels = pixels_of(rows["source_id"].to_numpy(), order)
    asked = np.unique(pixels)[::2]
    selection = Selection(
        GAIA_DR3, GAIA_DR3.table, ("source_id",), conditions(GAIA_DR3, NO_CUTS, {"bp_rp"})
    )
    found = dict(database.execute(selection.counts(ranges(asked, order), order)).fetchall())
    with_colour = rows["bp_rp"].is_valid().to_numpy()
    assert found == Counter(pixels[with_colour & np.isin(pixels, asked)].tolist())


def test_ruwe_of_dr2_comes_from_its_own_table_and_loses_no_star(
    database: sqlite3.Connection, rows: pa.Table
) -> None:
    selection = Selection(GAIA_DR2, GAIA_DR2.table, ("source_id", "ruwe"), ())
    found = dict(database.execute(selection.stars(0, 2**62)).fetchall())
    ids, ruwe = rows["source_id"].to_pylist(), rows["ruwe"].to_pylist()
    assert found == dict(zip(ids, ruwe[:1500] + [None] * 1500, strict=True))


def test_without_ruwe_dr2_needs_one_table() -> None:
    assert "JOIN" not in Selection(GAIA_DR2, GAIA_DR2.table, ("source_id", "ra"), ()).stars(0, 1)


@pytest.mark.parametrize(
    ("parallax", "error", "is_sent"),
    [
        (0.05, 0.01, True),  # 20 kpc, a fine parallax
        (-2.0, 0.02, True),  # negative, 100 of its errors
        (0.0, 3.0, True),
        (1.9, 0.4, True),  # 0.5 kpc, or 1.4 kpc at 3 sigma
        (1.9, 0.2, False),  # 0.5 kpc for sure
        (None, None, True),
    ],
)
def test_no_distant_star_is_left_out(
    parallax: float | None, error: float | None, is_sent: bool
) -> None:
    cut = conditions(GAIA_DR3, DownloadCuts(max_mag=None, max_parallax_mas=1.0), ())
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE g (parallax, parallax_error)")
    connection.execute("INSERT INTO g VALUES (?, ?)", (parallax, error))
    assert len(connection.execute(f"SELECT * FROM g WHERE {cut[0]}").fetchall()) == is_sent
    connection.close()


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_the_zero_point_goes_off_the_parallax(release) -> None:
    (cut,) = conditions(release, DownloadCuts(max_mag=None, max_parallax_mas=2.0), ())
    added = {"gaia_dr2": "0.029", "gaia_dr3": "0.017", "gaia_dr4": "0.0"}[release.name]
    assert f"g.parallax + {added} - 3 * g.parallax_error < 2.0" in cut
