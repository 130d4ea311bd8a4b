"""A run as Python sees it: its tables, and its candidates handed on to other programs."""

from __future__ import annotations

import queue
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from astropy.table import Table

import viamachinae
from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.results import compare
from viamachinae.sky import tile
from viamachinae.store.files import read_table
from viamachinae.store.run import RunFolder


@pytest.fixture
def run(scanned: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(scanned, tmp_path / "run")))


@pytest.fixture
def first(scanned: Path) -> str:
    return str(Table.read(scanned / "candidates.ecsv")["candidate"][0])


def test_a_run_tells_how_it_ended_and_what_was_injected(run: RunFolder) -> None:
    opened = viamachinae.open(run.root)
    assert set(opened.outcomes().values()) == {"done"}
    for path in run.patch(list(opened.patches)[1]).rglob("records/*.json"):
        path.unlink()
    assert list(opened.outcomes().values()) == ["done", "waiting"]
    assert set(opened.truth()["stream"]) == {"rich"}
    run.truth.unlink()
    with pytest.raises(BadInputError, match="only the run of a simulated sky has a truth"):
        opened.truth()


@pytest.fixture
def tables_received(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[queue.Queue[dict[str, str]]]:
    """What a program at a real SAMP hub, both on loopback, is told to load."""
    samp = pytest.importorskip("pyvo.samp", reason="the extra samp is not installed")
    # Programs look for a hub in a home of their own; the user's is left alone.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SAMP_HUB", raising=False)
    monkeypatch.setattr(samp.conf, "use_internet", False)
    received: queue.Queue[dict[str, str]] = queue.Queue()
    hub = samp.SAMPHubServer(addr="127.0.0.1", web_profile=False)
    hub.start()
    viewer = samp.SAMPIntegratedClient("a viewer", addr="127.0.0.1")
    try:
        viewer.connect(hub)
        viewer.bind_receive_notification(
            "table.load.votable", lambda _key, _sender, _type, told, _more: received.put(told)
        )
        yield received
    finally:
        viewer.disconnect()
        hub.stop()


def test_another_program_reads_the_members_that_were_sent(
    tables_received: queue.Queue[dict[str, str]], scanned: Path, first: str
) -> None:
    assert viamachinae.open(scanned).send(first) == ["a viewer"]
    told = tables_received.get(timeout=30)
    assert told["name"] == first
    stars = Table.read(url2pathname(urlsplit(told["url"]).path), format="votable")
    members = read_table(scanned / "members.parquet")
    expected = members["source_id"][members["candidate"] == first]
    assert stars["source_id"].tolist() == expected.tolist()
    assert stars["ra"].unit == "deg"


def test_a_candidate_is_shown_in_aladin(run: RunFolder, first: str) -> None:
    pytest.importorskip("ipyaladin", reason="the extra aladin is not installed")
    pytest.importorskip("mocpy", reason="the extra aladin is not installed")
    opened = viamachinae.open(run.root)
    assert [name.partition(", ")[0] for name in opened.aladin(first).overlays] == [first] * 3
    (run.candidate(first) / "footprint.moc.fits").unlink()
    assert len(opened.aladin(first).overlays) == 2
    with pytest.raises(BadInputError, match="holds no candidate none"):
        opened.aladin("none")


def test_a_candidate_without_its_file_is_not_sent(run: RunFolder, first: str) -> None:
    opened = viamachinae.open(run.root)
    with pytest.raises(BadInputError, match="holds no candidate none"):
        opened.send("none")
    (run.candidate(first) / "members.vot").unlink()
    with pytest.raises(BadInputError, match=r"members\.vot: is not there; `viamachinae inspect"):
        opened.send(first)


def test_options_given_in_python_are_checked(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="config: nonsense is not an option here"):
        viamachinae.scan({"nonsense": 1}, tmp_path)
    with pytest.raises(BadInputError, match=r"none\.yaml: cannot be read"):
        viamachinae.scan(tmp_path / "none.yaml", tmp_path)


def test_python_opens_a_run(scanned: Path, small: ScanConfig, first: str) -> None:
    run = viamachinae.open(scanned)
    assert next(iter(run)) == first
    assert len(run.members(first)) == np.sum(run.members()["candidate"] == first)
    assert set(run.lineage()["candidate"]) == set(run)
    assert list(run.patches) == [one.id for one in tile(small.sky)]
    patch = next(iter(run.patches.values()))
    assert {"phi", "fiducial"} <= set(patch.stars().colnames)
    assert {"region", "log_ratio"} <= set(patch.scores("pm_phi").colnames)
    assert len(patch.lines()) > len(patch.protoclusters())
    with pytest.raises(BadInputError, match="no candidate nobody"):
        run.members("nobody")
    with pytest.raises(BadInputError, match="kind polars"):
        viamachinae.open(scanned, "polars")  # type: ignore[arg-type]


def test_pandas_frames_keep_ids(scanned: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = viamachinae.open(scanned, kind="pandas").members()
    expected = read_table(scanned / "members.parquet")["source_id"]
    assert frame["source_id"].tolist() == expected.tolist()


def test_a_run_is_itself(scanned: Path) -> None:
    same = compare(scanned, scanned)
    assert set(same["change"]) == {"matched"}
    assert list(same["name_a"]) == list(same["name_b"])
    assert not same["sigma_change"].any()
