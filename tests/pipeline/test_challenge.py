"""A challenge of three skies, through the verbs: made, searched by the baselines, graded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from tests.pipeline.conftest import small_options
from viamachinae.cli.main import app
from viamachinae.errors import BadInputError
from viamachinae.options import read_config
from viamachinae.pipeline.challenge import score
from viamachinae.store.files import read_table
from viamachinae.validate.truth import read_truth


def run(*words: object) -> str:
    ended = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("challenge")
    options = small_options()
    options["query"]["streams"] = []
    options["validation"] = {
        "streams": {"n_stars": [500], "width_deg": [0.15], "pm_masyr": [12], "length_deg": [14]},
        "challenge": {"n_skies": 3, "empty_share": 0.34},
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(options))
    words = ("--out", folder / "skies", "--truth", folder / "truth.ecsv", "--seed", 4)
    run("challenge", "make", folder / "c.yaml", *words)
    return folder


def test_skies_tell_nothing_of_their_streams(made: Path) -> None:
    manifest = json.loads((made / "skies" / "challenge.json").read_text())
    assert len(manifest["skies"]) == 3
    truth = read_truth((made / "truth.ecsv").read_text(), "truth")
    assert len(truth) == 2
    for sky in ("sky-001", "sky-002", "sky-003"):
        stars = read_table(made / "skies" / f"{sky}.parquet")
        ids = np.asarray(stars["source_id"])
        number = int(sky[-3:]) * 10**9
        np.testing.assert_array_equal(ids, number + np.arange(len(stars)))
        config = read_config(made / "skies" / f"{sky}.yaml")
        assert config.seed == 0
        assert "injected" not in (made / "skies" / f"{sky}.yaml").read_text()
        # Injected stars stand anywhere among the others.
        for true in (one for one in truth if one.sky == sky):
            assert np.median(true.source_id - number) == pytest.approx(len(ids) / 2, rel=0.15)


def test_perfect_and_random_lists(made: Path) -> None:
    truth = read_truth((made / "truth.ecsv").read_text(), "truth")
    perfect = made / "perfect.csv"
    rows = [f"{one.sky},{star}" for one in truth for star in one.source_id]
    perfect.write_text("candidate,source_id\n" + "\n".join(rows) + "\n")
    grade = json.loads(
        run("challenge", "score", made / "skies", made / "truth.ecsv", perfect, "--json")
    )
    assert grade["purity"]["share"] == grade["completeness"]["share"] == 1
    assert grade["member_purity"] == grade["member_completeness"] == 1
    stars = read_table(made / "skies" / "sky-001.parquet")["source_id"]
    some = np.random.default_rng(1).choice(stars, 100, replace=False)
    random = made / "random.csv"
    random.write_text("candidate,source_id,sigma\n" + "".join(f"r,{star},9\n" for star in some))
    told = score(made / "skies", made / "truth.ecsv", [random]).as_dict()
    assert told["completeness"]["share"] == told["purity"]["share"] == 0
    assert told["false_candidates"] == 1


@pytest.mark.parametrize("method", ["matched-filter", "hough"])
def test_baselines_give_lists_that_can_be_graded(made: Path, method: str) -> None:
    listed = made / f"{method}.csv"
    run("challenge", "baseline", method, made / "skies", "--out", listed)
    assert "completeness" in run("challenge", "score", made / "skies", made / "truth.ecsv", listed)


def test_a_truth_or_a_sky_that_was_changed_is_refused(made: Path, tmp_path: Path) -> None:
    forged = tmp_path / "truth.ecsv"
    forged.write_text((made / "truth.ecsv").read_text().replace("n_stars: 500", "n_stars: 501"))
    with pytest.raises(BadInputError, match="SHA-256"):
        score(made / "skies", forged, [])
    skies = tmp_path / "skies"
    skies.mkdir()
    for path in (made / "skies").iterdir():
        (skies / path.name).write_bytes(path.read_bytes())
    (skies / "sky-002.parquet").write_bytes(b"other")
    with pytest.raises(BadInputError, match=r"sky-002\.parquet"):
        score(skies, made / "truth.ecsv", [])


def test_lists_that_say_nothing_are_refused(made: Path, tmp_path: Path) -> None:
    listed = tmp_path / "l.csv"
    for text, words in (
        ("star,name\n1,a\n", "needs a header"),
        ("candidate,source_id\na,x\n", "whole numbers"),
        ("candidate,source_id\na,7\n", "is in no sky"),
        ("candidate,source_id\na,1000000001\na,2000000001\n", "not all in one sky"),
    ):
        listed.write_text(text)
        with pytest.raises(BadInputError, match=words):
            score(made / "skies", made / "truth.ecsv", [listed])
