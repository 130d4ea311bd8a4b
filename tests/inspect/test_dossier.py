"""Which stars and which columns a candidate's page takes, and what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from tests.inspect.reader import Reader
from viamachinae.inspect.candidate import GAIA_PHOTOMETRY, Candidate, layers
from viamachinae.inspect.dossier import dossier
from viamachinae.inspect.vetting import Vetting

SAID = Vetting("me", "2026-01-01T00:00:00+00:00", "bright", "stream", "looks <real>", (1,))


@pytest.fixture
def bright(members: Table) -> Table:
    return members[members["candidate"] == "bright"]


def test_stars_are_parted_by_the_line(bright: Table, background: Table) -> None:
    stars = layers(bright, background, GAIA_PHOTOMETRY)
    assert [len(layer.ra) for layer in stars] == [2000, 20, 30]
    np.testing.assert_array_equal(stars.line.ra, bright["ra"][bright["on_line"]])
    np.testing.assert_array_equal(stars.line.mag, bright["phot_g_mean_mag"][bright["on_line"]])
    np.testing.assert_array_equal(stars.background.colour, background["colour"])
    assert len(layers(bright, Table(), GAIA_PHOTOMETRY).background.ra) == 0


def test_photometry_of_another_survey_is_never_mixed_with_gaia(bright: Table) -> None:
    other = ("color", "g_mean_psf_mag")
    assert np.isnan(layers(bright, Table(), other).line.colour).all()
    bright["color"] = 0.25
    bright["mag"] = 21.0
    line = layers(bright, Table(), other).line
    assert set(line.colour) == {0.25}
    assert set(line.mag) == {21.0}


def test_the_page_shows_all_in_the_order_of_doubt(candidate: Candidate) -> None:
    candidate.members["bp_rp"][:7] = np.nan
    text = dossier(replace(candidate, verdict=SAID))
    reader = Reader(text)
    assert len(text) < 5e6
    images = reader.all("img")
    assert len(images) == 9
    assert all("bright" in str(image["alt"]) and len(str(image["alt"])) > 40 for image in images)
    order = ("σuncalibrated", "stream: looks <real>", "Sky, all patches", "Hough plane", "Proper")
    order += ("Colour and magnitude", "ln R of the 500", "Profiles", "Lineage", "Cut-flow", "Files")
    places = [reader.text.replace(" ", "").index(words.replace(" ", "")) for words in order]
    assert places == sorted(places)
    assert "30 line stars, 20 beside the line" in reader.text
    assert "7 of 50 stars lack it" in reader.text
    median = np.median(candidate.members["pmra"][candidate.members["on_line"]])
    assert f"{median:.2f}".replace("-", "−") in reader.text
    assert candidate.command in reader.text
    assert "Line to rim deg8.0" in reader.text
    links = {str(a["href"]) for a in reader.all("a")}
    assert links == {
        "../../index.html",
        "../../index.html#patch-l100.0_b-40.0",
        "candidate.ecsv",
        "members.fits",
    }
    assert [link["href"] for link in reader.all("link")] == ["data:,"]
    assert all("src" not in script for script in reader.all("script"))
    assert dossier(replace(candidate, verdict=SAID)) == text


def test_a_candidate_with_one_line_star_has_a_page(candidate: Candidate) -> None:
    members = candidate.members.copy()
    members["on_line"] = np.arange(len(members)) == 0
    assert (
        "1 line star, 49 beside the line"
        in Reader(dossier(replace(candidate, members=members))).text
    )
