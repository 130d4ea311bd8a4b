"""The section of the page on chance candidates."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.inspect.reader import Reader
from viamachinae.inspect.false_candidates import FalseCandidates, figure
from viamachinae.inspect.page import Report, page

CURVE = {
    "cut": [8.0, 8.2, 9.0, 14.25, 14.250001],
    "n_found": [2, 2, 1, 1, 0],
    "n_null": [3, 3, 1, 0, 0],
    "expected": [1.5, 1.5, 0.5, 0.0, 0.0],
    "low": [0.31, 0.31, 0.013, 0.0, 0.0],
    "high": [4.38, 4.38, 2.79, 1.84, 1.84],
}
LINES = {
    "scan": {"n": 900, "median": 3.5, "p99": 7.25, "max": 14.0},
    "empty": {"n": 0, "median": None, "p99": None, "max": None},
    "null": {"n": 1800, "median": 3.4, "p99": 4.7, "max": 5.2},
}


@pytest.fixture
def chance() -> FalseCandidates:
    return FalseCandidates("spread", 2, 4, 2, 0.95, CURVE, LINES)


def test_the_page_says_how_many_are_chance(report: Report, chance: FalseCandidates) -> None:
    reader = Reader(page(replace(report, false=chance)))
    assert "2 null skies with 4 patches in all" in reader.text
    assert "2 candidates found, 1.5 chance candidates expected (0.31 to 4.4 at 95%" in reader.text
    assert "not calibrated" not in reader.text
    assert "on null skies18003.44.75.2" in reader.text
    assert "of any candidate0–––" in reader.text
    (form,) = [one for one in reader.all("form") if one.get("id") == "cut"]
    # Hidden, as the filters are, where there is no script.
    assert "hidden" in form
    assert json.loads(str(form["data-curve"]))["n_found"] == [2, 2, 1, 1, 0]
    (slider,) = [one for one in reader.all("input") if one.get("type") == "range"]
    assert (float(str(slider["min"])), float(str(slider["max"]))) == (8.0, 14.3)
    (image,) = [one for one in reader.all("img") if "Chance candidates" in str(one["alt"])]
    assert "above a cut" in str(image["alt"])
    assert 'href="#calibration"' in page(replace(report, false=chance))
    assert 'id="calibration"' not in page(report)


def test_the_figure_shows_the_curve(chance: FalseCandidates) -> None:
    (axes,) = figure(chance).axes
    expected, found = (line.get_xydata() for line in axes.lines)
    np.testing.assert_array_equal(expected[:3, 1], [1.5, 1.5, 0.5])
    np.testing.assert_array_equal(found[:4, 1], [2, 2, 1, 1])
    # What is nothing lies at the foot of the log axis.
    assert expected[-1, 1] == axes.get_ylim()[0] > 0


def test_a_scan_that_found_nothing_has_a_curve() -> None:
    curve = {"cut": [8.0, 8.0000001]} | {name: [0, 0] for name in ("n_found", "n_null", "low")}
    curve |= {"expected": [0.0, 0.0], "high": [3.69, 3.69]}
    empty = FalseCandidates("simulated", 1, 3, 3, 0.95, curve, LINES)
    assert empty.picture().alt.count("0 candidates found") == 1
