"""Candidates of a sky of three patches: ranking, members, lineage, names."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord, SkyOffsetFrame

from viamachinae.config import LinkConfig
from viamachinae.errors import BadInputError
from viamachinae.link.candidates import find_candidates
from viamachinae.link.streams import LinkedPatch

CONFIG = LinkConfig()


@pytest.mark.parametrize(("ra", "dec"), [(150.0, 30.0), (0.3, -1.0), (200.0, 86.0)])
def test_a_stream_across_two_patches_is_one_candidate(crossing, ra: float, dec: float) -> None:
    linked = crossing(ra, dec, CONFIG)
    candidates, members, lineage = find_candidates(linked, CONFIG.candidates)
    assert list(candidates["n_patches"][:2]) == [2, 1]
    best = [max(one.protoclusters["sigma"].to_pylist()) for one in linked]
    assert candidates["sigma"][0] == pytest.approx(np.hypot(best[0], best[1]))
    assert candidates["sigma"][1] == pytest.approx(best[2])
    # The middle lies on the great circle, near its middle, even at RA 0 and at the pole.
    along = SkyOffsetFrame(origin=SkyCoord(ra * u.deg, dec * u.deg), rotation=-50 * u.deg)
    middle = SkyCoord(candidates["ra"][0] * u.deg, candidates["dec"][0] * u.deg).transform_to(along)
    assert abs(middle.lat.deg) < 0.6
    assert abs(middle.lon.wrap_at(180 * u.deg).deg) < 4
    assert set(lineage["patch"][lineage["candidate"] == candidates["candidate"][0]]) == {
        "patch0",
        "patch1",
    }
    stream = members[(members["candidate"] == candidates["candidate"][0]) & members["on_line"]]
    assert np.mean(stream["source_id"] < 2**60 + 1000) > 0.8
    assert len(stream) == candidates["n_stars"][0]
    for pm in ("pmra", "pmdec"):
        assert candidates[pm][0] == np.median(stream[pm])


def test_tables_have_units_and_types_and_keep_order(crossing) -> None:
    candidates, members, lineage = find_candidates(crossing(150.0, 30.0, CONFIG), CONFIG.candidates)
    assert candidates.colnames == [
        "candidate", "rank", "sigma", "n_stars", "n_patches", "ra", "dec", "pmra", "pmdec", "edge",
    ]  # fmt: skip
    assert members.colnames == [
        "candidate", "source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp",
        "log_ratio", "on_line", "membership",
    ]  # fmt: skip
    assert lineage.colnames == [
        "candidate", "patch", "protostream", "protocluster", "roi", "scan", "region", "window",
        "sigma",
    ]  # fmt: skip
    assert list(candidates["rank"]) == list(range(1, len(candidates) + 1))
    assert np.all(np.diff(candidates["sigma"]) <= 0)
    assert members["source_id"].dtype == np.int64
    assert members["on_line"].dtype == np.bool_
    for table in (candidates, members):
        assert table["ra"].unit == table["dec"].unit == u.deg
        assert table["pmra"].unit == table["pmdec"].unit == u.mas / u.yr
    assert members["phot_g_mean_mag"].unit == members["bp_rp"].unit == u.mag
    assert np.all(np.isnan(members["bp_rp"]))
    assert np.array_equal(members["phot_g_mean_mag"], 15 + members["source_id"] % 5)
    assert lineage["region"].unit == lineage["window"].unit == u.mas / u.yr


def test_the_lineage_leads_down_to_the_rois(crossing) -> None:
    linked = crossing(150.0, 30.0, CONFIG)
    candidates, _, lineage = find_candidates(linked, CONFIG.candidates)
    n_rois = sum(len(rois) for one in linked for rois in one.protoclusters["roi"].to_pylist())
    assert len(lineage) == n_rois
    rank = {name: i for i, name in enumerate(candidates["candidate"])}
    assert np.all(np.diff([rank[name] for name in lineage["candidate"]]) >= 0)
    by_id = {one.patch.id: one for one in linked}
    for row in lineage:
        one = by_id[row["patch"]]
        cluster = one.protoclusters.to_pylist()[row["protocluster"]]
        assert row["protostream"] == cluster["protostream"]
        assert row["roi"] in cluster["roi"]
        roi = one.lines.to_pylist()[row["roi"]]
        assert {name: row[name] for name in ("scan", "region", "window", "sigma")} == {
            name: roi[name] for name in ("scan", "region", "window", "sigma")
        }


def test_no_candidates_give_empty_tables_of_the_same_columns(crossing) -> None:
    linked = crossing(150.0, 30.0, CONFIG)
    full = find_candidates(linked, CONFIG.candidates)
    without = [
        LinkedPatch(one.patch, one.lines, one.protoclusters[:0], one.stars) for one in linked
    ]
    for empty in (
        find_candidates([], CONFIG.candidates),
        find_candidates(without, CONFIG.candidates),
    ):
        for table, expected in zip(empty, full, strict=True):
            assert len(table) == 0
            assert table.colnames == expected.colnames
            for name in table.colnames:
                assert table[name].dtype.kind == expected[name].dtype.kind
                assert table[name].unit == expected[name].unit


def test_a_patch_without_protoclusters_changes_nothing(crossing) -> None:
    linked = crossing(150.0, 30.0, CONFIG)
    bare = LinkedPatch(
        linked[2].patch, linked[2].lines, linked[2].protoclusters[:0], linked[2].stars[:0]
    )
    alone = find_candidates(linked[:2], CONFIG.candidates)
    beside = find_candidates([*linked[:2], bare], CONFIG.candidates)
    for one, other in zip(alone, beside, strict=True):
        assert one.pformat(max_lines=-1, max_width=-1) == other.pformat(max_lines=-1, max_width=-1)


def test_a_member_without_a_star_is_bad_input(crossing) -> None:
    first = crossing(150.0, 30.0, CONFIG)[0]
    lacking = LinkedPatch(first.patch, first.lines, first.protoclusters, first.stars[60:])
    with pytest.raises(BadInputError, match=r"protoclusters\.parquet .* source_id"):
        find_candidates([lacking], CONFIG.candidates)
