from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from astropy.coordinates import angular_separation

from tests.query.archive.conftest import CENTRE, COLUMNS, OpenSource
from tests.tap.front import Faults, Front, MemoryTap
from viamachinae.catalog.release import RELEASES
from viamachinae.config import ArchiveQuery
from viamachinae.errors import ArchiveError, BadInputError
from viamachinae.query.archive import ArchiveSource
from viamachinae.query.disc import Disc
from viamachinae.query.lake import Lake
from viamachinae.query.pixels import pixels_in_disc

RADIUS = 3.0


def expected(rows: pa.Table, ra: float, dec: float, radius_deg: float) -> pa.Table:
    """The stars of a disc that have motions and colours, and G < 20.5, by another road."""
    degrees = (np.radians(rows[name].to_numpy()) for name in ("ra", "dec"))
    angle = angular_separation(*degrees, np.radians(ra), np.radians(dec))
    kept = pc.and_(
        pa.array(angle <= np.radians(radius_deg)), pc.less(rows["phot_g_mean_mag"], 20.5)
    )
    for name in ("pmra", "pmdec", "bp_rp"):
        kept = pc.and_(kept, pc.is_valid(rows[name]))
    return rows.filter(kept)


def check(source: ArchiveSource, rows: pa.Table) -> None:
    """All stars of the disc are there as the archive holds them."""
    found = source.stars(*CENTRE, RADIUS, COLUMNS)
    due = expected(rows, *CENTRE, RADIUS)
    assert found.colnames == list(COLUMNS)
    assert found["source_id"].dtype == np.int64
    for name in COLUMNS:
        np.testing.assert_array_equal(found[name], due[name].to_numpy(), err_msg=name)


def chunk_queries(front: Front) -> list[str]:
    return [query for query in front.asked if "COUNT(*)" not in query]


@pytest.mark.parametrize("client", ["astroquery", "pyvo"])
def test_stars_are_those_of_the_archive(
    open_source: OpenSource, archive: Front, rows: pa.Table, client: str
) -> None:
    source = open_source(client)
    check(source, rows)
    assert source.stars(*CENTRE, RADIUS, ["pmra", "ruwe"])["pmra"].unit == "mas / yr"
    assert len(chunk_queries(archive)) > 3
    assert len(set(archive.asked)) == len(archive.asked)


@pytest.mark.parametrize("client", ["astroquery", "pyvo"])
def test_bad_days_of_the_archive(
    open_source: OpenSource, archive: Front, rows: pa.Table, client: str
) -> None:
    archive.faults = Faults(errors=2, empties=1, cuts=2, lost=2)
    check(open_source(client), rows)
    assert archive.faults == Faults()


def test_every_star_is_asked_for_once(open_source: OpenSource, archive: Front) -> None:
    source = open_source()
    discs = [Disc(*CENTRE, 2.0), Disc(CENTRE[0] + 2.0, CENTRE[1], 2.0)]
    due = source.queries(discs)
    assert archive.n_requests == 0
    for disc in discs:
        source.stars(disc.ra, disc.dec, disc.radius_deg, COLUMNS)
    ranges = sorted(query.split("BETWEEN ")[1] for query in chunk_queries(archive))
    assert len(set(ranges)) == len(ranges)
    n_asked = archive.n_requests
    source.stars(*CENTRE, 2.0, COLUMNS)
    assert archive.n_requests == n_asked
    assert source.queries(discs) == [[], []]
    # Before the stars were counted, chunks were as long as their neighbours allow.
    assert [query for texts in due for query in texts if "COUNT(*)" in query] == [
        query for query in archive.asked if "COUNT(*)" in query
    ]


def test_what_is_shown_is_what_is_sent(open_source: OpenSource, archive: Front) -> None:
    source = open_source(row_limit=10_000)
    (due,) = source.queries([Disc(*CENTRE, RADIUS)])
    source.stars(*CENTRE, RADIUS, COLUMNS)
    assert sorted(archive.asked) == sorted(due)


def test_two_at_a_time_ask_nothing_twice(open_source: OpenSource, archive: Front) -> None:
    archive.faults.delay_s = 0.005
    sources = [open_source(), open_source()]
    both = threading.Barrier(2)

    def take(source: ArchiveSource) -> int:
        both.wait()
        return len(source.stars(*CENTRE, 2.0, COLUMNS))

    with ThreadPoolExecutor(2) as threads:
        assert len(set(threads.map(take, sources))) == 1
    assert len(set(archive.asked)) == len(archive.asked)


@pytest.mark.parametrize("cap", ["silent_cap", "loud_cap"])
@pytest.mark.parametrize("client", ["astroquery", "pyvo"])
def test_stars_left_out_are_an_error(
    open_source: OpenSource, archive: Front, rows: pa.Table, cap: str, client: str
) -> None:
    archive.faults = Faults(**{cap: 150})
    with pytest.raises(
        ArchiveError, match=r"sent 150 stars of the \d+ .*query\.row_limit"
    ) as error:
        open_source(client).stars(*CENTRE, RADIUS, COLUMNS)
    assert ("says that it left some out" in str(error.value)) == (cap == "loud_cap")
    check(open_source(client, row_limit=150), rows)


def test_a_wrong_count_is_found_and_not_kept(
    open_source: OpenSource, archive: Front, rows: pa.Table
) -> None:
    archive.faults = Faults(wrong_counts=1)
    with pytest.raises(ArchiveError, match=r"sent \d+ stars of the \d+ that it counts"):
        open_source(jobs_at_once=1).stars(*CENTRE, 0.5, COLUMNS)
    found = open_source().stars(*CENTRE, 0.5, COLUMNS)
    assert len(found) == expected(rows, *CENTRE, 0.5).num_rows


def test_an_archive_that_is_down_is_one_sentence(
    open_source: OpenSource, archive: Front, rows: pa.Table, tmp_path: Path
) -> None:
    open_source().stars(*CENTRE, 1.0, COLUMNS)
    n_held = len(Lake.open(tmp_path / "lake").present())
    n_due = len(pixels_in_disc(*CENTRE, RADIUS, 5))
    archive.faults = Faults(errors=10**6)
    with pytest.raises(ArchiveError) as error:
        open_source().stars(*CENTRE, RADIUS, COLUMNS)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert "gaiadr3.gaia_source at http://127.0.0.1" in sentence
    assert f"{n_held} of the {n_due} pixels asked for are on disk" in sentence
    archive.faults = Faults()
    check(open_source(), rows)


def test_a_refusal_is_bad_input_with_the_words_of_the_archive(
    open_source: OpenSource, archive: Front
) -> None:
    with pytest.raises(ArchiveError, match="Cannot parse it"):
        open_source(table="gaiadr99.gaia_source").stars(*CENTRE, 1.0, COLUMNS)
    archive.account = ("ada", "lovelace")
    with pytest.raises(BadInputError, match=r"Log in first.*credentials"):
        open_source("astroquery", table="gaiadr99.gaia_source").stars(*CENTRE, 1.0, COLUMNS)


def test_another_name_of_the_table(open_source: OpenSource, archive: Front, rows: pa.Table) -> None:
    archive.backend = MemoryTap(rows, "mirror.gaia3")
    check(open_source(table="mirror.gaia3"), rows)


def test_the_count_is_close(open_source: OpenSource, rows: pa.Table) -> None:
    source = open_source(order=7)
    due = expected(rows, *CENTRE, RADIUS).num_rows
    assert source.count(*CENTRE, RADIUS) == pytest.approx(due, rel=0.03)


def test_counting_once_is_enough(open_source: OpenSource, archive: Front) -> None:
    open_source().count(*CENTRE, RADIUS)
    n_asked = archive.n_requests
    open_source().count(*CENTRE, RADIUS)
    assert archive.n_requests == n_asked
    open_source().stars(*CENTRE, RADIUS, COLUMNS)
    assert sum("COUNT(*)" in query for query in archive.asked) == 1


@pytest.mark.parametrize(
    "options",
    [{"release": "gaia_dr2"}, {"cuts": {"max_mag": 19.0}}, {"table": "mirror.gaia3"}],
)
def test_a_lake_of_other_stars_is_not_mixed(
    open_source: OpenSource, options: dict[str, object]
) -> None:
    open_source().stars(*CENTRE, 0.5, COLUMNS)
    with pytest.raises(BadInputError, match=r"lake is a lake of other stars; name another folder"):
        open_source(**options)


def test_a_lake_without_a_column_says_which(open_source: OpenSource, tmp_path: Path) -> None:
    open_source().stars(*CENTRE, 0.5, COLUMNS)
    config = ArchiveQuery(source="archive", lake=tmp_path / "lake")
    with pytest.raises(BadInputError, match="without the column parallax"):
        ArchiveSource(config, [*COLUMNS, "parallax"], ("pmra", "pmdec", "bp_rp"))


def test_opening_sends_and_writes_nothing(open_source: OpenSource, archive: Front) -> None:
    source = open_source()
    assert source.columns() == set(COLUMNS)
    assert source.fingerprint() == open_source(row_limit=7).fingerprint()
    assert source.fingerprint() != open_source(cuts={"max_mag": None}).fingerprint()
    source.queries([Disc(*CENTRE, 1.0)])
    assert archive.n_requests == 0
    assert not source._folder.exists()


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
def test_another_release_is_one_word(open_source: OpenSource, release) -> None:
    (queries,) = open_source(release=release.name).queries([Disc(*CENTRE, 1.0)])
    schema = {"gaia_dr2": "gaiadr2", "gaia_dr3": "gaiadr3", "gaia_dr4": "gaiadr4"}[release.name]
    assert queries
    for query in queries:
        assert f"FROM {schema}.gaia_source AS g" in query
