"""What other programs read back from the tables."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits, votable
from astropy.table import Table

from viamachinae.inspect.exports import CANDIDATES, MEMBERS, conform
from viamachinae.inspect.formats import fits_table, votable_xml


def test_fits_keeps_ids_types_units_and_ucds(members: Table, tmp_path: Path) -> None:
    table = conform(members, MEMBERS)
    path = tmp_path / "members.fits"
    path.write_bytes(fits_table(table))
    back = Table.read(path)
    assert back.colnames == table.colnames
    assert back["source_id"].tolist() == members["source_id"].tolist()
    assert back["on_line"].tolist() == members["on_line"].tolist()
    assert back["ra"].unit == "deg"
    np.testing.assert_array_equal(back["pmra"], members["pmra"])
    header = fits.getheader(path, 1)
    assert header["TUCD2"] == "meta.id;meta.main"
    assert header["TCOMM3"] == "Right ascension, ICRS"
    assert fits_table(table) == fits_table(table.copy())


def test_fits_takes_names_beyond_ascii() -> None:
    assert fits_table(Table({"name": ["Ophiuchus", "Jhelum-ä"]}))


def test_votable_has_ucds_and_reads_back(candidates: Table, tmp_path: Path) -> None:
    candidates["distance_kpc"] = [8.0, np.nan]
    candidates["match_name"] = ["", ""]
    table = conform(candidates, CANDIDATES)
    path = tmp_path / "candidates.vot"
    path.write_bytes(votable_xml(table, "two candidates"))
    inside = votable.parse_single_table(path)
    ucds = {field.name: field.ucd for field in inside.fields}
    assert ucds["ra"] == "pos.eq.ra;meta.main"
    assert ucds["distance_kpc"] == "pos.distance"
    assert all(ucds.values())
    texts = [field for field in inside.fields if field.datatype in ("char", "unicodeChar")]
    assert {field.arraysize for field in texts} == {"*"}
    back = inside.to_table()
    assert list(back["candidate"]) == list(candidates["candidate"])
    np.testing.assert_array_equal(back["sigma"], candidates["sigma"])


@pytest.mark.skipif(shutil.which("stilts") is None, reason="STILTS is not installed")
def test_votlint_finds_nothing(candidates: Table, tmp_path: Path) -> None:
    path = tmp_path / "candidates.vot"
    path.write_bytes(votable_xml(conform(candidates, CANDIDATES), "two candidates"))
    ended = subprocess.run(
        ["stilts", "votlint", str(path)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
