"""Both clients against one server, which speaks plain TAP and ESA's dialect of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tests.tap.front import Faults, Front
from viamachinae.catalog.release import GAIA_DR3
from viamachinae.config import ArchiveQuery
from viamachinae.errors import BadInputError
from viamachinae.query.archive.adql import Selection
from viamachinae.query.archive.errors import LostJobError, RefusedError, TransientError
from viamachinae.query.archive.tap import TapClient, open_client, service_url
from viamachinae.query.archive.votable import read_votable

QUERY = Selection(GAIA_DR3, GAIA_DR3.table, ("source_id", "ra"), ()).stars(0, 2**62)


def query_of(front: Front, client: str, **options: object) -> ArchiveQuery:
    endpoint = front.esa if client == "astroquery" else front.plain
    given = {"source": "archive", "endpoint": endpoint, "client": client, "timeout_s": 30}
    return ArchiveQuery.model_validate(given | options)


@pytest.fixture(params=["astroquery", "pyvo"])
def client(request: pytest.FixtureRequest, archive: Front) -> TapClient:
    return open_client(query_of(archive, request.param))


def test_the_life_of_a_job(client: TapClient, archive: Front, rows: pa.Table) -> None:
    job = client.create(QUERY, 10_000)
    assert client.phase(job) == "PENDING"
    assert archive.asked == []
    client.start(job)
    assert client.phase(job) == "COMPLETED"
    assert archive.asked == [QUERY]
    answer = read_votable(client.result(job))
    assert answer.table.equals(rows.select(["source_id", "ra"]))
    client.remove(job)
    for call in (client.phase, client.result, client.start):
        with pytest.raises(LostJobError, match="gone"):
            call(job)


def test_a_refused_query_is_told_in_the_words_of_the_archive(client: TapClient) -> None:
    job = client.create(QUERY.replace("gaiadr3", "gaiadr99"), 10)
    client.start(job)
    assert client.phase(job) == "ERROR"
    assert client.complaint(job) == "Cannot parse it"


@pytest.mark.parametrize("fault", ["errors", "empties"])
def test_a_bad_moment_passes(client: TapClient, archive: Front, fault: str) -> None:
    setattr(archive.faults, fault, 1)
    with pytest.raises(TransientError) as error:
        client.create(QUERY, 10)
    assert "<" not in str(error.value)
    assert client.phase(client.create(QUERY, 10)) == "PENDING"


def test_a_result_that_breaks_off(client: TapClient, archive: Front, rows: pa.Table) -> None:
    job = client.create(QUERY, 10_000)
    client.start(job)
    archive.faults = Faults(cuts=1)
    with pytest.raises(TransientError, match="no answer"):
        client.result(job)
    assert read_votable(client.result(job)).table.num_rows == rows.num_rows


@pytest.mark.parametrize("name", ["astroquery", "pyvo"])
def test_silence_ends(archive: Front, name: str) -> None:
    # Made with patience: a busy machine may take longer to answer than the other client waits.
    job = open_client(query_of(archive, name)).create(QUERY, 10)
    archive.faults = Faults(hangs=1, hang_s=2.0)
    hasty = open_client(query_of(archive, name, timeout_s=0.5))
    with pytest.raises(TransientError, match="timed out"):
        hasty.phase(job)


@pytest.mark.parametrize("name", ["astroquery", "pyvo"])
def test_where_no_archive_is(archive: Front, name: str) -> None:
    elsewhere = query_of(archive, name, endpoint=f"{archive.url}/elsewhere/tap")
    with pytest.raises(RefusedError, match="is no TAP service"):
        open_client(elsewhere).create(QUERY, 10)
    nobody = query_of(archive, name, endpoint="http://127.0.0.1:9/tap")
    with pytest.raises(TransientError, match="refused"):
        open_client(nobody).create(QUERY, 10)


def test_login(archive: Front, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    archive.account = ("ada", "lovelace")
    with pytest.raises(RefusedError, match="Log in first"):
        open_client(query_of(archive, "astroquery")).create(QUERY, 10)
    path = tmp_path / "account"
    path.write_text("ada\nlovelace\n")
    client = open_client(query_of(archive, "astroquery", credentials=path))
    assert client.phase(client.create(QUERY, 10)) == "PENDING"
    path.write_text("ada\nbyron\n")
    with pytest.raises(RefusedError, match="Wrong password"):
        open_client(query_of(archive, "astroquery", credentials=path))
    told = capfd.readouterr()
    assert "lovelace" not in told.out + told.err


def test_esa_is_asked_by_default_through_astroquery() -> None:
    config = ArchiveQuery(source="archive")
    assert service_url(config) == "https://gea.esac.esa.int/tap-server/tap"
    assert type(open_client(config)).__name__ == "AstroqueryClient"
    other = ArchiveQuery(source="archive", endpoint="https://gaia.example/tap/")
    assert service_url(other) == "https://gaia.example/tap"
    assert type(open_client(other)).__name__ == "PyvoClient"


@pytest.mark.parametrize(("name", "package"), [("astroquery", "astroquery"), ("pyvo", "pyvo")])
def test_without_the_extra(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, f"viamachinae.query.archive.{name}_client", raising=False)
    for module in [m for m in sys.modules if m.split(".")[0] == package] + [package]:
        monkeypatch.setitem(sys.modules, module, None)
    config = ArchiveQuery(source="archive", endpoint="https://gaia.example/tap", client=name)
    with pytest.raises(BadInputError, match=r'pip install "\.\[archive\]"'):
        open_client(config)
