"""The page as a browser would read it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.inspect.reader import Reader
from viamachinae.inspect.page import CITATIONS, PatchRecord, Report, page
from viamachinae.inspect.vetting import Vetting


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return page(report)


def test_page_needs_no_network(html: str) -> None:
    reader = Reader(html)
    assert all("src" not in script for script in reader.all("script"))
    assert [link["href"] for link in reader.all("link")] == ["data:,"]
    assert "url(" not in html
    assert "@import" not in html
    (policy,) = [m["content"] for m in reader.all("meta") if "http-equiv" in m]
    assert str(policy).startswith("default-src 'none'")
    outside = {
        value
        for _, attributes in reader.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
        and not str(value).startswith(("#", "data:"))
    }
    papers = {f"https://arxiv.org/abs/{paper.arxiv}" for paper in CITATIONS}
    assert outside == papers | {f"candidates/{n}/index.html" for n in ("bright", "faint")}


def test_anchors_lead_somewhere_once(html: str) -> None:
    reader = Reader(html)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = {a["href"] for a in reader.all("a") if str(a["href"]).startswith("#")}
    assert {target[1:] for target in targets} <= set(ids)
    assert {"patch-l100.0_b-40.0", "patch-l110.0_b-45.0"} <= set(ids)


def test_every_image_is_described(html: str) -> None:
    images = Reader(html).all("img")
    assert len(images) == 2
    assert all(len(str(image["alt"])) > 40 for image in images)
    assert len({image["alt"] for image in images}) == 2
    assert all(int(str(image["width"])) > 0 and int(str(image["height"])) > 0 for image in images)


def test_candidates_and_patches_are_told(html: str) -> None:
    text = Reader(html).text
    assert "2 stream candidates in 2 patches (1 done, 1 failed)." in text
    assert "1bright14.23021.00+20.00" in text
    assert text.index("1bright") < text.index("2faint")
    for expected in ("l100.0_b-40.0", "12345", "61.5", "l110.0_b-45.0", "no disk left"):
        assert expected in text
    assert "viamachinae 0.1.0" in text


def test_sigma_is_said_to_be_uncalibrated(html: str) -> None:
    assert "not calibrated on null skies" in Reader(html).text


def test_papers_of_the_method_are_cited(html: str) -> None:
    for number in ("2104.12789", "2303.01529", "2509.08064", "2001.04990"):
        assert number in Reader(html).text


def test_page_is_the_same_each_time(report: Report, html: str) -> None:
    assert page(report) == html


def test_order_of_the_rows_does_not_matter(report: Report, html: str) -> None:
    assert page(replace(report, candidates=report.candidates[::-1])) == html


def test_no_candidate_is_said_in_a_sentence(report: Report) -> None:
    empty = replace(report, candidates=report.candidates[:0], members=report.members[:0])
    reader = Reader(page(empty))
    assert "found no stream candidate" in reader.text
    assert len(reader.all("img")) == 2


def test_the_best_only_have_dossiers(report: Report) -> None:
    reader = Reader(page(replace(report, max_figures=1)))
    assert "The best 1 of 2 candidates have a dossier" in reader.text
    links = {str(a["href"]) for a in reader.all("a")}
    assert "candidates/bright/index.html" in links
    assert "candidates/faint/index.html" not in links


def test_columns_that_a_scan_has_beyond_the_usual_are_shown(report: Report, html: str) -> None:
    candidates = report.candidates.copy()
    candidates.sort("rank")
    candidates["p_value"] = [0.0012, 0.5]
    candidates["match"] = ["known", "new"]
    candidates["match_name"] = ["GD-1", ""]
    candidates["edge"] = [True, False]
    candidates["clump"] = [True, False]
    candidates["distance_kpc"] = [8.06, float("nan")]
    text = Reader(page(replace(report, candidates=candidates))).text
    assert "1bright14.20.0012known: GD-1; edge; clump30" in text
    assert "2faint8.50.5new12" in text
    assert "8.1" in text
    # Nor does the text below the table speak of what is not there.
    assert "known" not in Reader(html).text.split("Reading the numbers")[-1]


def test_verdicts_are_shown(report: Report) -> None:
    said = Vetting("me", "2026-01-01T00:00:00+00:00", "bright", "doubtful", "a <b>", (1,))
    reader = Reader(page(replace(report, verdicts={"bright": said})))
    places = [c for c in reader.all("td") if c.get("data-verdict-of")]
    assert [place["data-verdict-of"] for place in places] == ["bright", "faint"]
    assert "14.2doubtful30" in reader.text


def test_a_known_object_and_flags_stand_in_the_table(report: Report) -> None:
    candidates = report.candidates.copy()
    candidates.sort("rank")
    candidates["match"] = ["known", "new"]
    candidates["match_name"] = ["GD-1", ""]
    candidates["edge"] = [True, False]
    candidates["clump"] = [True, False]
    text = Reader(page(replace(report, candidates=candidates, max_figures=0))).text
    assert "known: GD-1; edge; clump" in text
    assert "known" not in Reader(page(replace(report, max_figures=0))).text.split("Reading")[0]


def test_hostile_names_stay_text(report: Report) -> None:
    hostile = '"><script>alert(1)</script>&{{ 7*7 }}'
    candidates, members = report.candidates.copy(), report.members.copy()
    for table in (candidates, members):
        names = table["candidate"].astype("U60")
        names[names == "bright"] = hostile
        table["candidate"] = names
    patches = [*report.patches, PatchRecord(report.patches[0].patch, "partial", hostile)]
    reader = Reader(
        page(
            replace(
                report,
                name=hostile,
                provenance={hostile: hostile},
                candidates=candidates,
                members=members,
                patches=patches,
            )
        )
    )
    assert len(reader.all("script")) == 1
    # Title, heading, table, reason, and both sides of the provenance.
    assert reader.text.count("<script>alert(1)</script>&{{ 7*7 }}") == 6


def test_a_scan_of_much_of_the_sky_has_one_map(report: Report) -> None:
    far = replace(report.patches[0].patch, id="far", ra=120.0, dec=-40.0)
    patches = [*report.patches, PatchRecord(far, "no_work", "too few stars")]
    assert len(Reader(page(replace(report, patches=patches))).all("img")) == 1


def test_an_unknown_outcome_is_refused(report: Report) -> None:
    patches = [replace(report.patches[0], outcome="lost")]
    with pytest.raises(ValueError, match="unknown outcome lost"):
        page(replace(report, patches=patches))


def test_a_scan_without_patches_is_refused(report: Report) -> None:
    with pytest.raises(ValueError, match="at least one patch"):
        page(replace(report, patches=[]))
