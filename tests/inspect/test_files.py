"""The files of one candidate, read back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from viamachinae.inspect.candidate import Candidate
from viamachinae.inspect.files import candidate_files
from viamachinae.inspect.footprint import footprint, has_moc
from viamachinae.inspect.track import StreamFrame


def test_files_read_back(candidate: Candidate) -> None:
    candidate.members["parallax_error"] = np.linspace(0.1, 0.2, len(candidate.members))
    files = candidate_files(candidate.row, candidate.members, 0.5)
    names = {"candidate.ecsv", "members.ecsv", "members.fits", "members.vot", "track.ecsv"}
    assert set(files) == names | ({"footprint.moc.fits"} if has_moc() else set())
    one = Table.read(files["candidate.ecsv"].decode(), format="ascii.ecsv")
    assert (len(one), one["candidate"][0], one["sigma"][0]) == (1, "bright", 14.25)
    stars = Table.read(files["members.ecsv"].decode(), format="ascii.ecsv")
    same = Table.read(io.BytesIO(files["members.fits"]), format="fits")
    assert stars.colnames == same.colnames
    for name in ("source_id", "ra", "parallax_error", "phi1", "pm_phi2", "on_line"):
        np.testing.assert_array_equal(stars[name], same[name])
    again = Table.read(io.BytesIO(files["members.vot"]), format="votable")
    assert again.colnames == stars.colnames
    np.testing.assert_array_equal(again["source_id"], stars["source_id"])
    np.testing.assert_array_equal(again["on_line"], stars["on_line"])
    # FITS is big-endian.
    assert stars["source_id"].dtype.str[1:] == same["source_id"].dtype.str[1:] == "i8"
    assert stars["source_id"].tolist() == candidate.members["source_id"].tolist()
    # Stars of the line stand about the equator of its frame.
    assert np.abs(stars["phi2"][stars["on_line"]]).max() < 0.2
    assert len(Table.read(files["track.ecsv"].decode(), format="ascii.ecsv")) > 2


def test_a_candidate_without_line_stars_is_refused(candidate: Candidate) -> None:
    members = candidate.members[~candidate.members["on_line"]]
    with pytest.raises(ValueError, match="candidate bright has no star on its line"):
        candidate_files(candidate.row, members, 0.5)


def test_the_footprint_covers_the_strip(tmp_path: Path) -> None:
    mocpy = pytest.importorskip("mocpy", reason="the extra moc is not installed")
    frame = StreamFrame(350.0, 60.0, 20.0)
    path = tmp_path / "footprint.moc.fits"
    path.write_bytes(footprint(frame, (-30.0, 30.0), Table(), 0.5))
    moc = mocpy.MOC.from_fits(str(path))
    # A strip of 61 deg by 1 deg on a sphere, and the pixels that its rim cuts.
    exact = np.radians(61) * 2 * np.sin(np.radians(0.5)) / (4 * np.pi)
    assert exact <= moc.sky_fraction < 1.3 * exact
    points = frame.sky([-30.0, 0.0, 30.0, 0.0, 0.0], [0.0, 0.45, -0.45, 0.8, -0.8])
    inside = moc.contains_skycoords(points.coordinates)
    assert inside.tolist() == [True, True, True, False, False]


def test_the_footprint_bends_with_the_track(tmp_path: Path) -> None:
    mocpy = pytest.importorskip("mocpy", reason="the extra moc is not installed")
    frame = StreamFrame(350.0, 60.0, 20.0)
    nodes = Table({"phi1": [-10.0, 0.0, 10.0], "phi2": [2.0, 0.0, 2.0]})
    path = tmp_path / "footprint.moc.fits"
    path.write_bytes(footprint(frame, (-10.0, 10.0), nodes, 0.5))
    points = frame.sky([-10.0, 0.0, 10.0, -10.0, 5.0], [2.0, 0.0, 2.0, 0.0, 1.0])
    inside = mocpy.MOC.from_fits(str(path)).contains_skycoords(points.coordinates)
    assert inside.tolist() == [True, True, True, False, True]
