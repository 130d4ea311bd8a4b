"""Which stars and which columns a candidate's panels take."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from viamachinae.inspect.dossier import GAIA_PHOTOMETRY, dossier, layers, panels
from viamachinae.inspect.exports import CANDIDATES, conform


@pytest.fixture
def bright(members: Table) -> Table:
    return members[members["candidate"] == "bright"]


def test_stars_are_parted_by_the_line(bright: Table, background: Table) -> None:
    stars = layers(bright, background, GAIA_PHOTOMETRY)
    assert [len(layer.ra) for layer in stars] == [2000, 20, 30]
    np.testing.assert_array_equal(stars.line.ra, bright["ra"][bright["on_line"]])
    np.testing.assert_array_equal(stars.line.mag, bright["phot_g_mean_mag"][bright["on_line"]])
    np.testing.assert_array_equal(stars.background.colour, background["colour"])
    assert len(layers(bright, None, GAIA_PHOTOMETRY).background.ra) == 0


def test_photometry_of_another_survey_is_never_mixed_with_gaia(bright: Table) -> None:
    other = ("color", "g_mean_psf_mag")
    assert np.isnan(layers(bright, None, other).line.colour).all()
    bright["color"] = 0.25
    bright["mag"] = 21.0
    line = layers(bright, None, other).line
    assert set(line.colour) == {0.25}
    assert set(line.mag) == {21.0}


def test_panels_state_their_stars(bright: Table, background: Table) -> None:
    bright["bp_rp"][:7] = np.nan
    sky, motions, diagram = panels(
        "bright", layers(bright, background, GAIA_PHOTOMETRY), GAIA_PHOTOMETRY
    )
    for panel in (sky, motions, diagram):
        assert "bright" in panel.alt
        scheme, content = panel.src.split(",")
        assert scheme == "data:image/png;base64"
        assert base64.b64decode(content).startswith(b"\x89PNG")
    assert "30 line stars, 20 beside the line" in sky.caption
    assert "2000 fiducial stars" in sky.caption
    median = np.median(bright["pmra"][bright["on_line"]])
    assert f"{median:.2f}".replace("-", "−") in motions.caption
    assert "7 of 50 stars lack it" in diagram.caption
    # A page with fifty such candidates stays below 5 MB.
    assert len(sky.src) + len(motions.src) + len(diagram.src) < 100_000


def test_a_candidate_without_stars_is_refused(bright: Table) -> None:
    with pytest.raises(ValueError, match="candidate bright has no star"):
        panels("bright", layers(bright[:0], None, GAIA_PHOTOMETRY), GAIA_PHOTOMETRY)


def test_numbers_are_those_of_the_row(candidates: Table) -> None:
    one = dossier(conform(candidates, CANDIDATES)[1], [])
    assert (one.name, one.rank, one.sigma, one.n_stars, one.n_patches) == (
        "bright",
        1,
        14.25,
        30,
        2,
    )
    galactic = SkyCoord(1.0, 20.0, unit="deg").galactic
    assert (one.glon, one.glat) == pytest.approx((galactic.l.deg, galactic.b.deg))
