"""Stars at known objects: which are taken, how they are counted, and what becomes of them."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from viamachinae.catalog.known import known_of
from viamachinae.config import MaskConfig, PreprocessConfig
from viamachinae.errors import BadInputError
from viamachinae.preprocess.masks import at_known
from viamachinae.preprocess.patch import preprocess
from viamachinae.sky import Patch

# About Palomar 5 and M 5.
PATCH = Patch("p", 229.0, 0.5, 6.0, 5.0)


@pytest.fixture
def stars() -> dict[str, np.ndarray]:
    """Stars spread evenly over the patch, half of them with the motion of Palomar 5."""
    rng = np.random.default_rng(8)
    n = 20_000
    rho, angle = 5.9 * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
    still = np.zeros(n)
    sky = PATCH.from_frame(rho * np.cos(angle), rho * np.sin(angle), still, still)
    slow = rng.random(n) < 0.5
    return {
        "ra": sky.ra,
        "dec": sky.dec,
        "pmra": np.where(slow, -2.73, 6.0) + rng.normal(0, 0.1, n),
        "pmdec": np.where(slow, -2.65, 6.0) + rng.normal(0, 0.1, n),
    }


def place(name: str) -> SkyCoord:
    (one,) = (one for one in known_of("cluster") if one.name == name)
    return SkyCoord(one.nodes.ra[0] * u.deg, one.nodes.dec[0] * u.deg)


def test_clusters_take_the_stars_of_their_discs(stars: dict[str, np.ndarray]) -> None:
    found = at_known(stars, PATCH, [MaskConfig(objects="cluster", min_radius_deg=0.7)])
    at = SkyCoord(stars["ra"] * u.deg, stars["dec"] * u.deg)
    expected = np.zeros(len(at), dtype=bool)
    for name in ("Pal 5", "NGC 5904 (M 5)"):
        inside = at.separation(place(name)).deg < 0.7
        assert np.all(found.name[inside] == name)
        expected |= inside
    assert np.count_nonzero(expected) > 200
    (rule,) = found.rules
    assert rule.name == "mask_cluster"
    np.testing.assert_array_equal(rule.keep, ~expected)
    np.testing.assert_array_equal(found.name != "", expected)


def test_proper_motions_spare_what_moves_otherwise(stars: dict[str, np.ndarray]) -> None:
    mask = MaskConfig(objects="cluster", by="position_pm", names=["Pal 5"], pm_radius_masyr=1.0)
    found = at_known(stars, PATCH, [mask])
    at = SkyCoord(stars["ra"] * u.deg, stars["dec"] * u.deg)
    inside = at.separation(place("Pal 5")).deg < 0.5
    np.testing.assert_array_equal(found.name == "Pal 5", inside & (stars["pmra"] < 0))
    assert set(found.name) == {"", "Pal 5"}


def test_a_stream_takes_a_band_along_its_track(stars: dict[str, np.ndarray]) -> None:
    mask = MaskConfig(objects="stream", by="position_pm", names=["Pal5"], sizes=1.5)
    found = at_known(stars, PATCH, [mask])
    taken = found.name == "Pal5"
    assert np.count_nonzero(taken) > 100
    assert np.all(stars["pmra"][taken] < 0)
    tracks = [one for one in known_of("stream") if one.name == "Pal5" and one.has_pm]
    assert len(tracks) == 3
    at = SkyCoord(stars["ra"] * u.deg, stars["dec"] * u.deg)
    # From node to node there are up to 1 deg: a star at most 0.62 deg (1.5 widths) from an arc is
    # less than 0.8 deg from a node.
    nodes = [SkyCoord(one.nodes.ra * u.deg, one.nodes.dec * u.deg) for one in tracks]
    near = np.min([at.match_to_catalog_sky(one)[1].deg for one in nodes], axis=0)
    assert near[taken].max() < 0.8
    # All stars of that motion within 0.45 deg of a node are in, whatever the track.
    assert np.all(taken[(near < 0.45) & (stars["pmra"] < 0)])


def test_objects_without_proper_motions_are_passed_over(stars: dict[str, np.ndarray]) -> None:
    by_place = MaskConfig(objects="stream", names=["Acheron"], min_radius_deg=2.0)
    assert np.any(at_known(stars, PATCH, [by_place]).name == "Acheron")
    moving = by_place.model_copy(update={"by": "position_pm"})
    found = at_known(stars, PATCH, [moving])
    assert np.all(found.name == "")
    assert "one of 0 known objects" in found.rules[0].description


def test_an_unknown_name_is_bad_input(stars: dict[str, np.ndarray]) -> None:
    with pytest.raises(BadInputError, match=r"preprocess\.masks names NGC 1, which is no cluster"):
        at_known(stars, PATCH, [MaskConfig(objects="cluster", names=["NGC 1"])])


def config(mode: str) -> PreprocessConfig:
    return PreprocessConfig.model_validate(
        {
            "features": ["phi", "lam", "pm"],
            "masks": [{"objects": "cluster", "mode": mode, "names": ["Pal 5"]}],
        }
    )


def test_masked_stars_are_gone_and_counted(stars: dict[str, np.ndarray]) -> None:
    table = Table({"source_id": np.arange(len(stars["ra"])), **stars})
    at = SkyCoord(stars["ra"] * u.deg, stars["dec"] * u.deg)
    inside = at.separation(place("Pal 5")).deg < 0.5
    result = preprocess(table, PATCH, config("mask"))
    np.testing.assert_array_equal(result.stars["source_id"], np.flatnonzero(~inside))
    assert "known" not in result.stars.colnames
    (row,) = (row for row in result.cutflow.rows if row.rule == "mask_cluster")
    assert (row.effect, row.n_before - row.n_after) == ("drop", np.count_nonzero(inside))


def test_labelled_stars_stay_under_their_name(stars: dict[str, np.ndarray]) -> None:
    table = Table({"source_id": np.arange(len(stars["ra"])), **stars})
    at = SkyCoord(stars["ra"] * u.deg, stars["dec"] * u.deg)
    inside = at.separation(place("Pal 5")).deg < 0.5
    plain = preprocess(table, PATCH, config("label").model_copy(update={"masks": []}))
    result = preprocess(table, PATCH, config("label"))
    np.testing.assert_array_equal(result.stars["known"] == "Pal 5", inside)
    np.testing.assert_array_equal(result.stars["fiducial"], plain.stars["fiducial"])
    (row,) = (row for row in result.cutflow.rows if row.rule == "label_cluster")
    assert (row.effect, row.n_before - row.n_after) == ("label", np.count_nonzero(inside))


def test_a_patch_without_stars_or_objects_has_nothing_to_mask() -> None:
    empty = {name: np.empty(0) for name in ("ra", "dec", "pmra", "pmdec")}
    found = at_known(empty, PATCH, [MaskConfig(objects="cluster")])
    assert len(found.name) == 0
    assert at_known({name: np.ones(1) for name in empty}, PATCH, []).name.tolist() == [""]
