"""A grid of two injections, end to end, and again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from tests.pipeline.conftest import small_options
from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import parse_config
from viamachinae.pipeline.events import Event
from viamachinae.pipeline.injection import inject
from viamachinae.pipeline.recovery import validate
from viamachinae.store.files import read_table, write_table
from viamachinae.validate.truth import read_truth


@pytest.fixture(scope="module")
def config() -> ScanConfig:
    options = small_options()
    options["sky"]["centres"] = options["sky"]["centres"][:1]
    options["query"]["streams"] = []
    options["validation"] = {
        "streams": {"n_stars": [20, 600], "width_deg": [0.15], "pm_masyr": [9], "length_deg": [14]},
        "repeats": 1,
        "found": {"min_sigma": 8},
    }
    return parse_config(options, "grid")


def test_a_grid_is_run_graded_and_not_repeated(config: ScanConfig, tmp_path: Path) -> None:
    result = validate(config, tmp_path)
    assert result.is_good
    table = Table.read(tmp_path / "recovery.ecsv", format="ascii.ecsv")
    assert table["n_stars"].tolist() == [20, 600]
    assert not table["found"][0]
    assert np.all(table["n_fiducial"] < table["n_stars"])
    shares = Table.read(tmp_path / "completeness.ecsv", format="ascii.ecsv")
    assert shares["n"][shares["axis"] == "n_stars"].tolist() == [1, 1]
    for figure in ("completeness.png", "reliability.png"):
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")
    reliable = Table.read(tmp_path / "reliability.ecsv", format="ascii.ecsv")
    members = read_table(tmp_path / "points" / table["point"][1] / "members.parquet")
    first = members[np.asarray(members["candidate"]) == table["candidate"][1]]
    assert reliable["n"].sum() == np.isfinite(first["membership"]).sum()
    assert reliable["share"][-1] > 0.8 > 0.2 > reliable["share"][0]
    for point in table["point"]:
        folder = tmp_path / "points" / point
        assert len(read_table(folder / "injected.parquet")) in (20, 600)
        assert not (folder / "patches").exists()
    # Another threshold grades anew, and scans nothing.
    events: list[Event] = []
    found = config.validation.found.model_copy(update={"min_sigma": 1e6})
    graded = config.validation.model_copy(update={"found": found})
    again = validate(config.model_copy(update={"validation": graded}), tmp_path, 1, events.append)
    assert {event.kind for event in events} == {"skip"}
    assert not any(again.recoveries["found"])


def test_real_stars_get_streams_and_keep_their_own(config: ScanConfig, tmp_path: Path) -> None:
    written = inject(config, tmp_path / "first.parquet")
    stars = read_table(written.stars)
    (true,) = read_truth(written.truth.read_text(), "t")
    mine = np.isin(stars["source_id"], true.source_id)
    assert mine.sum() == true.stream.n_stars
    assert "stream" not in stars.colnames
    query = {"source": "files", "path": str(written.stars)}
    files = parse_config({**config.model_dump(mode="json"), "query": query}, "files")
    second = read_table(inject(files, tmp_path / "second.parquet").stars)
    assert np.isin(stars["source_id"], second["source_id"]).all()
    assert len(np.unique(second["source_id"])) == len(second)


def test_what_an_injected_star_has_not_is_refused(config: ScanConfig, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    table = Table({name: rng.uniform(149, 151, 50) for name in ("ra", "pmra", "pmdec", "g", "gi")})
    table["dec"], table["source_id"] = rng.uniform(29, 31, 50), np.arange(50)
    write_table(tmp_path / "s.parquet", table)
    given = {
        **config.model_dump(mode="json"),
        "query": {"source": "files", "path": str(tmp_path / "s.parquet")},
        "preprocess": {"colour_column": "gi", "mag_column": "g"},
    }
    with pytest.raises(BadInputError, match="have no column g, gi"):
        inject(parse_config(given, "g"), tmp_path / "out.parquet")
    with pytest.raises(BadInputError, match=r"\.parquet"):
        inject(config, tmp_path / "out.csv")
