"""The archive's source against a real TAP server: PostgreSQL behind GAVO DaCHS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipeline.conftest import small_options
from tests.query.archive.test_resume import check_kills
from tests.query.archive.test_source import expected
from tests.tap.front import Faults, Front
from viamachinae.config import ArchiveQuery
from viamachinae.errors import ArchiveError
from viamachinae.options import parse_config
from viamachinae.pipeline.plan import adql
from viamachinae.pipeline.scan import scan
from viamachinae.query.archive import ArchiveSource
from viamachinae.query.archive.pyvo_client import PyvoClient
from viamachinae.query.archive.votable import read_votable

pytestmark = pytest.mark.tap

COLUMNS = ("source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp", "ruwe")
DISC = (154.0, 30.0, 3.0)


def open_source(front: Front, folder: Path, client: str, **options: object) -> ArchiveSource:
    given = {
        "source": "archive",
        "endpoint": front.esa if client == "astroquery" else front.plain,
        "client": client,
        "lake": folder / "lake",
        # Few pixels, since every job costs the server a process.
        "order": 3,
        "tries": 4,
        "pause_s": 0.1,
    }
    config = ArchiveQuery.model_validate(given | options)
    return ArchiveSource(config, COLUMNS, ("pmra", "pmdec", "bp_rp"))


def check(source: ArchiveSource, rows: pa.Table) -> None:
    found, due = source.stars(*DISC, COLUMNS), expected(rows, *DISC)
    for name in COLUMNS:
        np.testing.assert_array_equal(found[name], due[name].to_numpy(), err_msg=name)


@pytest.mark.parametrize("client", ["astroquery", "pyvo"])
def test_stars_are_those_of_the_server(
    archive: Front, tmp_path: Path, rows: pa.Table, client: str
) -> None:
    check(open_source(archive, tmp_path, client), rows)
    assert len(set(archive.asked)) == len(archive.asked) > 1


@pytest.mark.parametrize("client", ["astroquery", "pyvo"])
def test_its_bad_days(archive: Front, tmp_path: Path, rows: pa.Table, client: str) -> None:
    archive.faults = Faults(errors=1, empties=1, hangs=1, cuts=1, lost=1, hang_s=12.0)
    check(open_source(archive, tmp_path, client, timeout_s=10.0), rows)
    assert archive.faults == Faults(hang_s=12.0)


@pytest.mark.parametrize(
    "faults", [Faults(silent_cap=50), Faults(loud_cap=50), Faults(wrong_counts=1)], ids=repr
)
def test_stars_left_out_are_an_error(archive: Front, tmp_path: Path, faults: Faults) -> None:
    archive.faults = faults
    with pytest.raises(ArchiveError, match=r"sent \d+ stars of the \d+ that it counts"):
        open_source(archive, tmp_path, "pyvo").stars(*DISC, COLUMNS)


def test_what_the_server_says_is_told(server: str) -> None:
    client = PyvoClient(server, 60.0)
    job = client.create("SELECT no_such_column FROM gaiadr3.gaia_source", 1)
    client.start(job)
    while client.phase(job) in ("QUEUED", "EXECUTING"):
        pass
    assert "no_such_column" in client.complaint(job)
    client.remove(job)


def patch_of_15_deg() -> dict[str, list[str]]:
    """The queries for a whole patch of a survey, as `viamachinae plan --adql` prints them."""
    options = {"sky": {"tiling": "centres", "centres": [[154.0, 30.0]]}}
    cuts = {"min_colour": -0.5, "max_colour": 3.0, "max_parallax_mas": 1.0}
    query = {"query": {"source": "archive", "lake": "/nowhere", "cuts": cuts}}
    return adql(parse_config(options | query, "patch"))


def test_the_server_accepts_the_queries_of_a_patch(server: str) -> None:
    (queries,) = patch_of_15_deg().values()
    assert len(queries) > 20
    for query in queries:
        answer = _ask_at_once(server, query)
        assert set(answer.table.column_names) >= {"source_id"} or "COUNT" in query


def _ask_at_once(server: str, query: str) -> Any:
    import pyvo

    found = pyvo.dal.TAPService(server).run_sync(query, maxrec=100_000)
    content = pa.BufferOutputStream()
    found.votable.to_xml(pa.output_stream(content))
    return read_votable(content.getvalue().to_pybytes())


@pytest.mark.skipif(shutil.which("stilts") is None, reason="needs the Debian package stilts")
def test_stilts_parses_the_queries_as_adql(server: str) -> None:
    (queries,) = patch_of_15_deg().values()
    for query in queries[:2]:
        command = ["stilts", "tapquery", f"tapurl={server}", f"adql={query}"]
        done = subprocess.run(
            [*command, "parse=true", "sync=true", "omode=count"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_a_scan_of_the_archive_is_a_scan_of_the_same_files(
    archive: Front, tmp_path: Path, rows: pa.Table
) -> None:
    pq.write_table(rows, tmp_path / "stars.parquet")
    queries = {
        "files": {"source": "files", "path": str(tmp_path / "stars.parquet")},
        "archive": {
            "source": "archive",
            "endpoint": archive.plain,
            "lake": str(tmp_path / "lake"),
            "order": 3,
            "cuts": {"max_mag": None},
        },
    }
    for name, query in queries.items():
        config = parse_config(small_options() | {"query": query}, name)
        assert scan(config, tmp_path / name, workers=1).is_good
    for file in ("candidates.ecsv", "members.parquet"):
        assert (tmp_path / "archive" / file).read_bytes() == (
            tmp_path / "files" / file
        ).read_bytes()
    assert pq.read_metadata(tmp_path / "files" / "members.parquet").num_rows > 0
    assert len(set(archive.asked)) == len(archive.asked)


@pytest.mark.slow
def test_killed_ten_times(archive: Front, tmp_path: Path) -> None:
    check_kills(archive, tmp_path, 10, (154.0, 30.0, 4.0))
