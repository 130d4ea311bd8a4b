"""What the widget of Aladin Lite is told; no browser shows it here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import Row, Table

from viamachinae.errors import BadInputError
from viamachinae.inspect.aladin import aladin_view
from viamachinae.inspect.files import candidate_files


@pytest.fixture
def bright(members: Table) -> Table:
    return members[members["candidate"] == "bright"]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    """What `add_table` and `add_moc` of every widget get, in order; they work as ever."""
    ipyaladin = pytest.importorskip("ipyaladin", reason="the extra aladin is not installed")
    calls: list[tuple[Any, dict[str, Any]]] = []

    def watch(name: str) -> None:
        real: Callable[..., Any] = getattr(ipyaladin.Aladin, name)

        def spy(self: Any, content: Any, **options: Any) -> Any:
            calls.append((content, options))
            return real(self, content, **options)

        monkeypatch.setattr(ipyaladin.Aladin, name, spy)

    watch("add_table")
    watch("add_moc")
    return calls


def test_stars_and_footprint_are_shown(
    told: list[tuple[Any, dict[str, Any]]], candidates: Table, bright: Table, tmp_path: Path
) -> None:
    pytest.importorskip("mocpy", reason="the extra aladin is not installed")
    row: Row = candidates[candidates["candidate"] == "bright"][0]
    path = tmp_path / "footprint.moc.fits"
    path.write_bytes(candidate_files(row, bright, 0.5)[path.name])
    widget = aladin_view("bright", bright, path)
    (moc, _), (beside, _), (line, options) = told
    names = ["bright, footprint", "bright, beside the line", "bright, line stars"]
    assert list(widget.overlays) == names
    assert (options["ra_field"], options["dec_field"]) == ("ra", "dec")
    on_line = np.asarray(bright["on_line"])
    assert list(beside["source_id"]) == [str(one) for one in bright["source_id"][~on_line]]
    assert list(line["source_id"]) == [str(one) for one in bright["source_id"][on_line]]
    centre, width = widget.target, widget.fov
    places = line["ra"].data, line["dec"].data
    assert moc.contains_lonlat(*(values * centre.ra.unit for values in places)).all()
    # 30 stars stand evenly over 8 deg about ra = 1, on the parallel of 20 deg.
    assert centre.ra.deg == pytest.approx(1.0, abs=0.2)
    assert 8 * np.cos(np.radians(20)) < width.deg < 12


def test_without_a_footprint_the_stars_are_shown(
    told: list[tuple[Any, dict[str, Any]]], bright: Table
) -> None:
    pytest.importorskip("mocpy", reason="the extra aladin is not installed")
    aladin_view("bright", bright, None)
    assert len(told) == 2


@pytest.mark.parametrize("module", ["ipyaladin", "mocpy"])
def test_without_the_extra_one_sentence(
    bright: Table, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadInputError, match=r'pip install "\.\[aladin\]"'):
        aladin_view("bright", bright, None)
