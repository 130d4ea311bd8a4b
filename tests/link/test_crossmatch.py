"""What made-up candidates are, beside known objects whose places are worked out apart."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, SkyOffsetFrame

from viamachinae.catalog.known import KnownObject, Nodes, known_objects, known_of
from viamachinae.config import CrossmatchConfig
from viamachinae.link.crossmatch import LineStars, crossmatch

CONFIG = CrossmatchConfig()
ALONG = SkyOffsetFrame(origin=SkyCoord(150.0 * u.deg, 30.0 * u.deg), rotation=-50 * u.deg)
MASYR = u.mas / u.yr


def stars(lon, lat, pm=(3.0, -4.0), seed: int = 0) -> LineStars:
    """Stars at places in the turned frame, with one motion along and across it, and 0.1 mas/yr."""
    rng = np.random.default_rng(seed)
    one = np.ones(len(lon))
    sky = SkyCoord(
        lon * u.deg, lat * u.deg, frame=ALONG,
        pm_lon_coslat=(pm[0] * one + rng.normal(0, 0.1, len(lon))) * MASYR,
        pm_lat=(pm[1] * one + rng.normal(0, 0.1, len(lon))) * MASYR,
    ).icrs  # fmt: skip
    return LineStars(
        2**60 + np.arange(len(lon)), sky.ra.deg, sky.dec.deg,
        sky.pm_ra_cosdec.to_value(MASYR), sky.pm_dec.to_value(MASYR),
    )  # fmt: skip


def known(
    name: str, lon, kind: str = "stream", has_pm: bool = True, size_deg: float = 0.5
) -> KnownObject:
    """An object on the equator of the turned frame, moving as `stars` do."""
    nodes = stars(np.asarray(lon, dtype=float), np.zeros(len(lon)), seed=1)
    pm = (nodes.pmra, nodes.pmdec) if has_pm else (nodes.pmra * np.nan, nodes.pmdec * np.nan)
    where = Nodes(nodes.ra, nodes.dec, nodes.ra * np.nan, *pm)
    return KnownObject(name, kind, name, where, size_deg, has_pm, True, "made up")  # type: ignore[arg-type]


STREAM = known("Stream", np.arange(-10.0, 11.0))
LON, LAT = np.linspace(-9, 9, 61), np.full(61, 0.3)


def test_a_candidate_on_a_track_is_known() -> None:
    match = crossmatch(stars(LON, LAT), [STREAM], CONFIG)
    assert (match.match, match.name, match.share) == ("known", "Stream", 1.0)
    assert match.separation_deg == pytest.approx(0.3, abs=1e-6)
    assert match.pm_difference < 0.15
    assert np.isnan(match.n_shared)


def test_another_motion_or_place_is_new() -> None:
    for off in (stars(LON, LAT, pm=(5.2, -4.0)), stars(LON, LAT + 1.5)):
        match = crossmatch(off, [STREAM], CONFIG)
        assert (match.match, match.name) == ("new", "")
        assert np.isnan([match.separation_deg, match.pm_difference, match.share]).all()
    # The difference that is told is the one put in.
    match = crossmatch(stars(LON, LAT, pm=(4.5, -4.0)), [STREAM], CONFIG)
    assert match.pm_difference == pytest.approx(1.5, abs=0.15)


def test_a_line_across_a_track_is_new() -> None:
    assert crossmatch(stars(np.zeros(61), LON), [STREAM], CONFIG).match == "new"


def test_beyond_the_end_of_a_track_is_an_extension() -> None:
    beyond = stars(np.linspace(11, 27, 61), LAT)
    match = crossmatch(beyond, [STREAM], CONFIG)
    assert (match.match, match.name) == ("extension", "Stream")
    assert match.separation_deg == pytest.approx(0.3, abs=0.05)
    # Part of it on the track: it is what most of its stars are.
    assert crossmatch(stars(np.linspace(4, 12, 61), LAT), [STREAM], CONFIG).match == "known"
    far = CONFIG.model_copy(update={"extension_deg": 0.0})
    assert crossmatch(beyond, [STREAM], far).match == "new"
    assert crossmatch(stars(np.linspace(40, 50, 61), LAT), [STREAM], CONFIG).match == "new"


@pytest.mark.parametrize(("kind", "name"), [("cluster", "near cluster"), ("dwarf", "near dwarf")])
def test_a_clump_is_near_its_cluster_even_on_a_track(kind: str, name: str) -> None:
    rng = np.random.default_rng(4)
    clump = stars(5 + rng.normal(0, 0.2, 60), rng.normal(0, 0.2, 60))
    objects = [STREAM, known("Clump", [5.0], kind, size_deg=0.1)]
    match = crossmatch(clump, objects, CONFIG)
    assert (match.match, match.name, match.share) == (name, "Clump", 1.0)
    # A stream with its cluster in it is the stream.
    whole = crossmatch(stars(LON, LAT), objects, CONFIG)
    assert (whole.match, whole.name) == ("known", "Stream")


def test_a_track_without_motion_needs_more_and_says_no_difference() -> None:
    bare = known("Bare", np.arange(-10.0, 11.0), has_pm=False)
    match = crossmatch(stars(LON, LAT, pm=(50.0, 50.0)), [bare], CONFIG)
    assert (match.match, match.name) == ("known", "Bare")
    assert np.isnan(match.pm_difference)
    half = stars(LON, np.where(np.arange(61) % 5 < 3, 0.3, 4.0))
    assert crossmatch(half, [bare], CONFIG).match == "new"
    assert crossmatch(half, [STREAM], CONFIG).match == "known"
    assert crossmatch(stars(LON, LAT), [bare, STREAM], CONFIG).name == "Stream"
    assert crossmatch(stars(np.linspace(11, 27, 61), LAT), [bare], CONFIG).match == "new"


def test_shared_stars_are_counted() -> None:
    members = {"Stream": 2**60 + np.arange(55, 70), "Other": np.arange(3)}
    assert crossmatch(stars(LON, LAT), [STREAM], CONFIG, members).n_shared == 6


@pytest.mark.parametrize("label", ["GD-1 Ibata2021", "Pal5 PriceWhelan2019", "Jhelum Ibata2021"])
def test_published_tracks_match_their_stream(label: str) -> None:
    (one,) = (one for one in known_of("stream") if one.label == label)
    rng = np.random.default_rng(3)
    n = len(one.nodes.ra)
    line = LineStars(
        np.arange(n),
        one.nodes.ra + rng.normal(0, 0.2, n),
        one.nodes.dec + rng.normal(0, 0.2, n),
        one.nodes.pmra + rng.normal(0, 0.3, n),
        one.nodes.pmdec + rng.normal(0, 0.3, n),
    )
    match = crossmatch(line, known_objects(), CONFIG)
    assert match.match == "known"
    assert match.name.startswith(one.name.split("-")[0])
