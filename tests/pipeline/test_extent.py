"""Parts of the work: stages, scans, and shares of the patches."""

from __future__ import annotations

from pathlib import Path

import pytest

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.extent import Extent, parse_extent, share
from viamachinae.pipeline.patch import patch
from viamachinae.pipeline.stage import STAGE_NAMES
from viamachinae.sky import tile


def test_places(small: ScanConfig) -> None:
    assert Extent().places(small) == [
        ("preprocess", None),
        ("train", "pm_lam"),
        ("score", "pm_lam"),
        ("train", "pm_phi"),
        ("score", "pm_phi"),
        ("lines", None),
    ]
    one = parse_extent(small, None, "train,score", "pm_phi")
    assert one.places(small) == [("train", "pm_phi"), ("score", "pm_phi")]
    assert parse_extent(small, "train", None, None).stages == ("preprocess", "train")
    assert parse_extent(small, None, None, None).stages == STAGE_NAMES


@pytest.mark.parametrize(
    ("stage", "only", "scan", "words"),
    [
        ("train", "score", None, "one of the two"),
        (None, "trian", None, "--only trian: must be one of preprocess"),
        (None, "train", "pm_ra", "--scan pm_ra: must be one of pm_lam, pm_phi"),
        (None, None, "pm_phi", "leave one of them out"),
    ],
)
def test_what_makes_no_sense(
    small: ScanConfig, stage: str | None, only: str | None, scan: str | None, words: str
) -> None:
    with pytest.raises(BadInputError, match=words):
        parse_extent(small, stage, only, scan)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 12])
def test_shares_are_all_patches_each_once(n: int) -> None:
    patches = [str(number) for number in range(7)]
    shares = [share(patches, f"{i}/{n}") for i in range(1, n + 1)]
    assert sorted(patch for one in shares for patch in one) == patches
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "a/b", "-1/3", "1/3/5"])
def test_no_share(text: str) -> None:
    with pytest.raises(BadInputError, match="i/n"):
        share(["a"], text)


def test_a_stage_alone_takes_the_others_as_they_are(small: ScanConfig, tmp_path: Path) -> None:
    """On a node for lines nobody wants to train."""
    first = tile(small.sky)[0].id
    (record,) = patch(small, tmp_path, first, Extent(("lines",)))
    assert (record.stage, record.outcome) == ("lines", "upstream_failed")
    (record,) = patch(small, tmp_path, first, Extent(("preprocess",)))
    assert record.outcome == "done"
    assert record.memory_bytes > 50e6
    assert record.device == "cpu"
