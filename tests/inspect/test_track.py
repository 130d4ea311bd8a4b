"""The stream frame and the track, against a stream whose place is known."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from viamachinae.inspect.projection import Directions
from viamachinae.inspect.track import StreamFrame, stream_frame, track

TRUE = StreamFrame(150.0, 30.0, -40.0)


@pytest.fixture
def line() -> Table:
    """300 stars, 0.2 deg wide, moving at -6 along and 1 mas/yr across."""
    rng = np.random.default_rng(1)
    phi1, phi2 = rng.uniform(-15, 15, 300), rng.normal(0, 0.2, 300)
    coordinates = SkyCoord(
        phi1 * u.deg,
        phi2 * u.deg,
        pm_lon_coslat=np.full(300, -6.0) * u.mas / u.yr,
        pm_lat=np.full(300, 1.0) * u.mas / u.yr,
        frame=TRUE.frame,
    ).icrs
    return Table(
        {
            "ra": coordinates.ra.deg,
            "dec": coordinates.dec.deg,
            "pmra": coordinates.pm_ra_cosdec.to_value(u.mas / u.yr),
            "pmdec": coordinates.pm_dec.to_value(u.mas / u.yr),
        }
    )


def test_the_frame_follows_the_stars(line: Table) -> None:
    frame = stream_frame(Directions(np.asarray(line["ra"]), np.asarray(line["dec"])))
    places = frame.transform(line["ra"], line["dec"], line["pmra"], line["pmdec"])
    assert abs(np.median(places.phi2)) < 0.05
    assert np.std(places.phi2) == pytest.approx(0.2, abs=0.03)
    # It grows towards the east, as the true one does.
    truth = TRUE.transform(line["ra"], line["dec"], line["pmra"], line["pmdec"])
    assert np.corrcoef(places.phi1, truth.phi1)[0, 1] > 0.9999
    np.testing.assert_allclose(places.pm_phi1, -6.0, atol=0.05)
    np.testing.assert_allclose(places.pm_phi2, 1.0, atol=0.15)


def test_nodes_lie_on_the_stream(line: Table) -> None:
    nodes = track(line, TRUE)
    assert len(nodes) >= 15
    assert nodes["n_stars"].sum() == 300
    back = TRUE.transform(nodes["ra"], nodes["dec"], nodes["pmra"], nodes["pmdec"])
    np.testing.assert_allclose(back.phi1, nodes["phi1"], atol=1e-9)
    np.testing.assert_allclose(back.phi2, nodes["phi2"], atol=1e-9)
    assert np.abs(nodes["phi2"]).max() < 0.3
    np.testing.assert_allclose(nodes["pm_phi1"], -6.0, atol=1e-6)
    assert np.median(nodes["width_deg"]) == pytest.approx(0.2, abs=0.06)
    assert nodes.meta["frame"]["rotation_deg"] == -40.0


def test_places_without_stars_have_no_node(line: Table) -> None:
    assert len(track(line[:2], TRUE)) == 0
    assert track(line[:2], TRUE).colnames == track(line, TRUE).colnames
