"""What the panels show, read back from the artists and from the pixels."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
import PIL.Image
import pytest
from astropy.coordinates import SkyCoord
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from viamachinae.inspect import figures
from viamachinae.inspect.figures import Layers, Stars

VERMILLION = (213, 94, 0)


def stars(ra: list[float], dec: list[float], colour: list[float] | None = None) -> Stars:
    n = len(ra)
    return Stars(
        np.array(ra),
        np.array(dec),
        np.linspace(1, 2, n),
        np.linspace(-4, -3, n),
        np.full(n, 0.7) if colour is None else np.array(colour),
        np.linspace(17, 19, n),
    )


@pytest.fixture
def layers() -> Layers:
    return Layers(
        background=stars([8.0, 12.0], [22.0, 18.0]),
        beside=stars([9.0, 9.5, 11.0], [21.0, 19.5, 20.5]),
        line=stars([8.5, 9.5, 10.5, 11.5], [20.0, 20.0, 20.0, 20.0]),
    )


def drawn(figure: Figure, layer: str) -> np.ndarray:
    """Positions of the layer's stars in data coordinates, shape (n, 2)."""
    (found,) = [
        artist
        for artist in figure.axes[0].collections
        if isinstance(artist, PathCollection) and artist.get_gid() == layer
    ]
    return np.asarray(found.get_offsets())


def pixels(figure: Figure) -> np.ndarray:
    image = PIL.Image.open(io.BytesIO(figures.png(figure, figures.PANEL_DPI)))
    return np.asarray(image.convert("RGB")).astype(int)


def is_vermillion(image: np.ndarray) -> np.ndarray:
    return np.abs(image - VERMILLION).max(axis=-1) < 25


@pytest.mark.parametrize("name", ["sky", "proper_motions"])
def test_line_stars_are_highlighted_where_they_are(layers: Layers, name: str) -> None:
    figure: Figure = getattr(figures, name)(layers)
    image = pixels(figure)
    axes = figure.axes[0]
    places = axes.transData.transform(drawn(figure, "line"))
    marked = is_vermillion(image)
    for x, y in places:
        # Pixel rows grow downwards.
        assert marked[image.shape[0] - 1 - round(y), round(x)]
    # The highlight is in the legend and at the four stars, and fills little of the panel.
    assert 100 < marked.sum() < 0.02 * marked.size


def test_sky_has_east_to_the_left_and_true_distances(layers: Layers) -> None:
    places = drawn(figures.sky(layers), "line")
    assert np.all(np.diff(places[:, 0]) < 0)
    first, last = (SkyCoord(layers.line.ra[i], 20.0, unit="deg") for i in (0, -1))
    length = float(np.hypot(*(places[-1] - places[0])))
    assert length == pytest.approx(first.separation(last).deg, rel=1e-3)


def test_sky_frame_holds_all_members(layers: Layers) -> None:
    figure = figures.sky(layers)
    (left, right), (low, high) = figure.axes[0].get_xlim(), figure.axes[0].get_ylim()
    for layer in ("beside", "line"):
        x, y = drawn(figure, layer).T
        assert left < x.min() < x.max() < right
        assert low < y.min() < y.max() < high


def test_proper_motions_are_on_equal_scales(layers: Layers) -> None:
    figure = figures.proper_motions(layers)
    np.testing.assert_array_equal(drawn(figure, "beside"), np.c_[layers.beside[2:4]])
    axes = figure.axes[0]
    assert axes.get_aspect() == 1
    assert np.ptp(axes.get_xlim()) == pytest.approx(np.ptp(axes.get_ylim()))
    assert "mas yr" in axes.get_xlabel()
    assert "mas yr" in axes.get_ylabel()


def test_bright_stars_are_on_top(layers: Layers) -> None:
    low, high = figures.colour_magnitude(layers, "c", "m", "none").axes[0].get_ylim()
    assert low > high


def note(figure: Figure) -> list[str]:
    return [artist.txt.get_text() for artist in figure.axes[0].artists if hasattr(artist, "txt")]


def test_stars_without_photometry_are_dropped_and_counted(layers: Layers) -> None:
    line = stars([8.5, 9.5, 10.5], [20.0] * 3, colour=[0.6, np.nan, 0.8])
    figure = figures.colour_magnitude(layers._replace(line=line), "c", "m", "none")
    np.testing.assert_array_equal(drawn(figure, "line")[:, 0], [0.6, 0.8])
    assert note(figure) == ["1 of 6 stars without photometry"]


def test_a_candidate_without_photometry_says_so() -> None:
    nothing = stars([], [])
    bare = stars([8.5, 9.5], [20.0, 20.0], colour=[np.nan, np.nan])
    figure = figures.colour_magnitude(Layers(nothing, nothing, bare), "c", "m", "no photometry")
    assert note(figure) == ["no photometry"]
    assert pixels(figure).min() < 50


def test_full_photometry_needs_no_note(layers: Layers) -> None:
    assert note(figures.colour_magnitude(layers, "c", "m", "none")) == []


def test_a_candidate_of_line_stars_alone_is_drawn(layers: Layers) -> None:
    nothing = stars([], [])
    alone = Layers(nothing, nothing, layers.line)
    assert is_vermillion(pixels(figures.sky(alone))).any()
    assert is_vermillion(pixels(figures.proper_motions(alone))).any()


def test_png_is_the_same_each_time_and_keeps_rare_colours(layers: Layers) -> None:
    first, second = (figures.png(figures.sky(layers), 150) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")
    image = PIL.Image.open(io.BytesIO(first))
    assert image.size == (585, 585)
    assert np.asarray(image.convert("RGB"))[0, 0].tolist() == [255, 255, 255]


def test_settings_of_the_user_neither_matter_nor_change(layers: Layers) -> None:
    plain = figures.png(figures.sky(layers), 150)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 30}):
        before = dict(matplotlib.rcParams)
        assert figures.png(figures.sky(layers), 150) == plain
        assert dict(matplotlib.rcParams) == before
