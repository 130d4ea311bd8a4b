"""The maps, read back from their artists."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from matplotlib.figure import Figure

from viamachinae.catalog.known import known_of
from viamachinae.config import HealpixTiling
from viamachinae.inspect import maps
from viamachinae.inspect.figures import png
from viamachinae.inspect.projection import Directions
from viamachinae.sky import Patch, tile

PATCHES = [Patch("one", 358.0, 18.0, 15.0, 10.0), Patch("two", 8.0, 16.0, 15.0, 10.0)]
TRACK = maps.Track(1, 3.0, 17.0, Directions(np.array([1.0, 3.0, 5.0]), np.full(3, 17.0)))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize("draw", [maps.all_sky, maps.local])
def test_only_outcomes_that_occur_are_in_the_legend(draw) -> None:
    figure = draw(PATCHES, ["done", "failed"], [TRACK])
    known = set(maps.KNOWN_LABELS.values())
    shown = [text for text in legend(figure) if text not in known]
    assert shown == ["done (1)", "failed (1)", "line stars, with rank"]
    assert set(legend(draw(PATCHES, ["done", "done"], []))) <= {"done (2)", *known}


def test_known_objects_stand_where_they_are() -> None:
    figure = maps.all_sky(PATCHES, ["done", "done"], [])
    axes = figure.axes[0]
    (clusters,) = [one for one in axes.lines if one.get_gid() == "known cluster"]
    places = np.degrees(clusters.get_xydata())
    places = places[np.isfinite(places).all(axis=1)]
    assert len(places) == len(known_of("cluster"))
    # 47 Tuc: l = 305.9, b = -44.9 (Harris 1996).
    assert np.hypot(-places[:, 0] % 360 - 305.9, places[:, 1] + 44.9).min() < 0.1
    assert axes.xaxis.get_major_formatter()(np.radians(60)) == "300°"
    assert set(maps.KNOWN_LABELS.values()) <= set(legend(figure))


@pytest.mark.parametrize("draw", [maps.all_sky, maps.local])
def test_candidates_are_numbered(draw) -> None:
    assert "1" in texts(draw(PATCHES, ["done", "done"], [TRACK]))


def test_local_map_names_its_patches_and_holds_their_discs() -> None:
    figure = maps.local(PATCHES, ["done", "no_work"], [])
    assert texts(figure) == ["one", "two"]
    axes = figure.axes[0]
    rims = [line for line in axes.lines if line.get_gid() is None]
    for line in rims:
        x, y = line.get_data()
        # Lines of axis artists are not among them: two rims.
        assert axes.get_xlim()[0] < x.min() < x.max() < axes.get_xlim()[1]
        assert axes.get_ylim()[0] < y.min() < y.max() < axes.get_ylim()[1]
    assert len(rims) == 2


def test_patch_centres_stand_at_their_galactic_coordinates() -> None:
    figure = maps.all_sky(PATCHES[:1], ["done"], [])
    (centre,) = figure.axes[0].collections
    galactic = SkyCoord(358.0, 18.0, unit="deg").galactic
    (x, y) = np.degrees(centre.get_offsets()[0])
    assert (-x) % 360 == pytest.approx(galactic.l.deg)
    assert y == pytest.approx(galactic.b.deg)


def test_outcomes_differ_without_colour() -> None:
    markers = {style["marker"] for style in maps.OUTCOMES.values()}
    assert len(markers) == len(maps.OUTCOMES)


def test_the_whole_sky_has_no_local_map() -> None:
    assert maps.fits_local(PATCHES)
    assert not maps.fits_local(tile(HealpixTiling()))


def test_maps_are_the_same_each_time() -> None:
    first, second = (png(maps.local(PATCHES, ["done", "partial"], [TRACK]), 80) for _ in range(2))
    assert first == second
