"""The report of a small scan: files, dossiers, verdicts, and the run as Python sees it."""

from __future__ import annotations

import csv
import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

import viamachinae
from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.link.null_region import MAX_SIGMA
from viamachinae.pipeline.inspect import inspect
from viamachinae.pipeline.link import link
from viamachinae.pipeline.serve import server
from viamachinae.pipeline.vetting import read_vetting, vet
from viamachinae.pipeline.views import gather_views
from viamachinae.sky import tile
from viamachinae.store.files import read_table
from viamachinae.store.run import RunFolder


@pytest.fixture
def run(drawn: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(drawn, tmp_path / "run")))


@pytest.fixture
def first(drawn: Path) -> str:
    return str(Table.read(drawn / "candidates.ecsv")["candidate"][0])


def test_each_candidate_has_its_files(drawn: Path) -> None:
    candidates = Table.read(drawn / "candidates.ecsv")
    members = read_table(drawn / "members.parquet")
    for row in candidates:
        folder = drawn / "candidates" / row["candidate"]
        own = members[members["candidate"] == row["candidate"]]
        for file in ("members.ecsv", "members.fits", "members.vot"):
            stars = Table.read(folder / file)
            assert stars["source_id"].dtype.str[1:] == "i8"
            assert stars["source_id"].tolist() == own["source_id"].tolist()
            # The simulated catalogue has parallaxes with errors.
            assert np.isfinite(stars["parallax_error"]).all()
            # A member stands in a list, or it would be none.
            assert stars["n_regions"].min() >= 1
            assert [len(str(text).split()) for text in stars["regions"]] == list(stars["n_regions"])
        assert Table.read(folder / "candidate.ecsv")["sigma"][0] == row["sigma"]
        assert Table.read(folder / "track.ecsv")["n_stars"].sum() <= row["n_stars"]
        # The scan asks for one dossier.
        assert (folder / "index.html").is_file() == (row["rank"] == 1)
        if row["rank"] == 1:
            assert (folder / "index.html").stat().st_size < 5e6
    for suffix in ("fits", "vot"):
        same = Table.read(drawn / f"candidates.{suffix}")
        assert list(same["candidate"]) == list(candidates["candidate"])
        np.testing.assert_array_equal(same["sigma"], candidates["sigma"])


def test_the_hough_plane_peaks_where_the_line_was_found(
    drawn: Path, drawing: ScanConfig, first: str
) -> None:
    run = RunFolder(drawn)
    patches = {one.id: one for one in tile(drawing.sky)}
    seen = gather_views(drawing, run, patches, read_table(run.members), read_table(run.lineage))
    view = seen[first].view
    # The star lists are taken again from the scores: they must give the very significance.
    assert view.hough.sigma.max() == pytest.approx(view.sigma, rel=1e-12)
    theta, r = np.unravel_index(np.argmax(view.hough.sigma), view.hough.sigma.shape)
    assert (view.hough.theta_deg[theta], view.hough.r_deg[r]) == (view.theta_deg, view.r_deg)
    assert view.ratios.chosen.sum() == drawing.link.roi.n_stars
    lists = view.ratios.log_ratio
    assert lists[view.ratios.chosen].min() >= np.sort(lists[view.ratios.in_window])[-60]
    mine, *others = seen[first].references
    # Its best region alone gives the very line that the scan recorded for it.
    assert mine.view.sigma == pytest.approx(view.regions[0].sigma, rel=1e-12)
    for other in others:
        assert len(other.view.listed.phi) == drawing.link.roi.n_stars
    if others:
        null, injected = others
        assert null.view.sigma < MAX_SIGMA < injected.view.sigma


def test_a_verdict_is_kept_and_shown(run: RunFolder, drawing: ScanConfig, first: str) -> None:
    vet(run, first, "doubtful", "looks, say, odd", who="someone")
    before = run.vetting.read_bytes()
    link(drawing, run.root)
    vet(run, first, "stream", who="someone")
    assert run.vetting.read_bytes().startswith(before)
    assert inspect(run.root).outcome == "done"
    assert "stream (someone" in (run.candidate(first) / "index.html").read_text()
    with run.vetting.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["who"], row["verdict"]) for row in rows] == [
        ("someone", "doubtful"),
        ("someone", "stream"),
    ]
    assert viamachinae.open(run.root).verdicts()[first].verdict == "stream"


def test_a_verdict_on_nothing_is_refused(run: RunFolder, first: str) -> None:
    with pytest.raises(BadInputError, match="one of stream, doubtful, rejected"):
        vet(run, first, "perhaps")
    with pytest.raises(BadInputError, match="holds no candidate none"):
        vet(run, "none", "stream")
    assert not run.vetting.exists()


def test_a_row_after_an_unended_one_stands_alone(run: RunFolder, first: str) -> None:
    vet(run, first, "stream")
    run.vetting.write_bytes(run.vetting.read_bytes()[:-1])
    vet(run, first, "rejected")
    assert [row.verdict for row in read_vetting(run)] == ["stream", "rejected"]


def test_files_of_candidates_that_are_no_more_go(run: RunFolder) -> None:
    gone = run.candidate("VM_J0000+0000_pm+00.0+00.0")
    gone.mkdir()
    (gone / "members.fits").write_bytes(b"old")
    (gone / "my_notes.txt").write_text("mine")
    run.record("inspect").unlink()
    inspect(run.root)
    assert [path.name for path in gone.iterdir()] == ["my_notes.txt"]


def test_a_folder_without_a_scan_is_refused(tmp_path: Path) -> None:
    for look in (inspect, viamachinae.open):
        with pytest.raises(BadInputError, match="is not"):
            look(tmp_path)


@pytest.fixture
def pages(run: RunFolder) -> Iterator[ThreadingHTTPServer]:
    with server(run.root, who="tester") as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield served
        served.shutdown()
        thread.join()


def ask(
    pages: ThreadingHTTPServer, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", pages.server_address[1], timeout=60)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def test_served_pages_take_verdicts(pages: ThreadingHTTPServer, run: RunFolder, first: str) -> None:
    status, page = ask(pages, "GET", "/")
    assert status == 200
    token = page.partition('data-vetting="')[2].partition('"')[0]
    assert len(token) > 20
    said = json.dumps({"candidate": first, "verdict": "rejected", "note": "a cluster"})
    status, answer = ask(pages, "POST", "/vetting.json", said, X_Vetting_Token=token)
    assert (status, json.loads(answer)[first]["note"]) == (200, "a cluster")
    assert json.loads(ask(pages, "GET", "/vetting.json")[1])[first]["who"] == "tester"
    assert read_vetting(run)[-1].verdict == "rejected"
    wrong = json.dumps({"candidate": first, "verdict": "perhaps", "note": ""})
    assert ask(pages, "POST", "/vetting.json", wrong, X_Vetting_Token=token)[0] == 400
    assert ask(pages, "POST", "/vetting.json", "[]", X_Vetting_Token=token)[0] == 400
    assert len(read_vetting(run)) == 1


def test_other_pages_can_neither_set_verdicts_nor_read(
    pages: ThreadingHTTPServer, run: RunFolder, first: str
) -> None:
    said = json.dumps({"candidate": first, "verdict": "stream", "note": ""})
    assert ask(pages, "POST", "/vetting.json", said)[0] == 403
    assert ask(pages, "GET", "/", Host="elsewhere.example")[0] == 403
    assert not run.vetting.exists()


def test_only_pages_and_files_of_candidates_are_served(
    pages: ThreadingHTTPServer, first: str
) -> None:
    assert ask(pages, "GET", f"/candidates/{first.replace('+', '%2B')}/members.fits")[0] == 200
    for path in ("/config.yaml", "/candidates/../config.yaml", "/candidates/x/../../config.yaml"):
        assert ask(pages, "GET", path)[0] == 404
