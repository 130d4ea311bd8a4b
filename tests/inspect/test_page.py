"""The page as a browser would read it."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from viamachinae.inspect.page import CITATIONS, PatchRecord, Report, page

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Reader(HTMLParser):
    """Collects elements and text, and holds that every element is closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return page(report)


@pytest.fixture
def plain(report: Report) -> Report:
    """Without the candidates' figures, which take most of the time."""
    return replace(report, max_figures=0)


def test_page_needs_no_network(html: str) -> None:
    reader = Reader(html)
    assert not reader.all("script")
    assert not reader.all("link")
    assert "url(" not in html
    assert "@import" not in html
    addresses = [
        value
        for _, attributes in reader.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
    ]
    links = {f"https://arxiv.org/abs/{paper.arxiv}" for paper in CITATIONS}
    outside = {a for a in addresses if a and not a.startswith(("#", "data:image/png;base64,"))}
    assert outside == links


def test_anchors_lead_somewhere_once(html: str) -> None:
    reader = Reader(html)
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = {a["href"] for a in reader.all("a") if str(a["href"]).startswith("#")}
    assert {target[1:] for target in targets if target} == set(ids)


def test_every_image_is_described(html: str) -> None:
    images = Reader(html).all("img")
    # Two maps, and three panels for each of two candidates.
    assert len(images) == 8
    assert all(len(str(image["alt"])) > 40 for image in images)
    assert len({image["alt"] for image in images}) == 8
    assert all(int(str(image["width"])) > 0 and int(str(image["height"])) > 0 for image in images)


def test_candidates_and_patches_are_told(html: str) -> None:
    text = Reader(html).text
    assert "2 stream candidates in 2 patches (1 done, 1 failed)." in text
    assert "1bright14.23021.000+20.000" in text
    assert text.index("1 · bright") < text.index("2 · faint")
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


def test_order_of_the_rows_does_not_matter(plain: Report) -> None:
    assert page(replace(plain, candidates=plain.candidates[::-1])) == page(plain)


def test_no_candidate_is_said_in_a_sentence(report: Report) -> None:
    empty = replace(report, candidates=report.candidates[:0], members=report.members[:0])
    reader = Reader(page(empty))
    assert "found no stream candidate" in reader.text
    assert len(reader.all("img")) == 2


def test_figures_are_drawn_for_the_best_only(report: Report) -> None:
    reader = Reader(page(replace(report, max_figures=1)))
    assert len(reader.all("img")) == 5
    assert "Figures are drawn for the best 1 of 2 candidates" in reader.text
    assert "faint" in reader.text
    assert not any(a["href"] == "#candidate-2" for a in reader.all("a"))


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
                background={},
                max_figures=1,
            )
        )
    )
    assert not reader.all("script")
    # Title, heading, table, dossier, reason, and both sides of the provenance.
    assert reader.text.count("<script>alert(1)</script>&{{ 7*7 }}") == 7
    assert any(hostile in str(image["alt"]) for image in reader.all("img"))


def test_a_catalogue_without_photometry_gives_a_page(report: Report) -> None:
    members = report.members.copy()
    members["bp_rp"] = np.nan
    members["phot_g_mean_mag"] = np.nan
    reader = Reader(page(replace(report, members=members, max_figures=1)))
    assert "50 of 50 stars lack it" in reader.text


def test_a_scan_of_much_of_the_sky_has_one_map(plain: Report) -> None:
    far = replace(plain.patches[0].patch, id="far", ra=120.0, dec=-40.0)
    patches = [*plain.patches, PatchRecord(far, "no_work", "too few stars")]
    assert len(Reader(page(replace(plain, patches=patches))).all("img")) == 1


def test_an_unknown_outcome_is_refused(report: Report) -> None:
    patches = [replace(report.patches[0], outcome="lost")]
    with pytest.raises(ValueError, match="unknown outcome lost"):
        page(replace(report, patches=patches))


def test_a_scan_without_patches_is_refused(report: Report) -> None:
    with pytest.raises(ValueError, match="at least one patch"):
        page(replace(report, patches=[]))
