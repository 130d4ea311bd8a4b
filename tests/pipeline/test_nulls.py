"""One null sky of the small scan, from the run folder to the calibrated report."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io.votable import parse_single_table
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.link.candidates import find_candidates, significances
from viamachinae.link.protoclusters import at_least
from viamachinae.pipeline.events import Event
from viamachinae.pipeline.link import link
from viamachinae.pipeline.linked import linked_patch
from viamachinae.pipeline.null_skies import standing_nulls
from viamachinae.pipeline.nulls import null
from viamachinae.pipeline.provenance import all_records, provenance_of
from viamachinae.pipeline.scan import scan
from viamachinae.pipeline.status import is_good
from viamachinae.sky import tile
from viamachinae.store.run import RunFolder
from viamachinae.validate.calibration import COLUMNS


@pytest.fixture(scope="module")
def run(scanned: Path, small: ScanConfig, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The small scan with a null sky of its own stars, spread: a tenth of them is the stream."""
    out = Path(shutil.copytree(scanned, tmp_path_factory.mktemp("nulls") / "run"))
    nulls = small.nulls.model_copy(update={"kind": "spread", "skies": 1})
    result = scan(small.model_copy(update={"nulls": nulls}), out, workers=1)
    assert list(result.nulls) == [f"spread-0/{one.id}" for one in tile(small.sky)]
    assert result.is_good
    return RunFolder(out)


def test_candidates_are_calibrated(run: RunFolder) -> None:
    candidates = Table.read(run.candidates)
    assert set(COLUMNS) < set(candidates.colnames)
    assert candidates["rank"].tolist() == list(range(1, len(candidates) + 1))
    # Two null patches and two of the scan: (m + 1) / (M + 1) is a third at least.
    assert candidates["p_local"][0] == pytest.approx(1 / 3)
    assert candidates["p_value"][0] == pytest.approx(1 - (2 / 3) ** 2)
    assert np.all(np.diff(candidates["fdr"]) >= 0)
    content = json.loads(run.calibration.read_text())
    assert (content["kind"], content["n_patches"], content["n_null_patches"]) == ("spread", 2, 2)
    # The stream is gone, and what is left of the scan without it is like the null sky.
    assert content["lines"]["scan"]["max"] > 2 * content["lines"]["null"]["max"]
    assert 0 < content["lines"]["empty"]["n"] < content["lines"]["scan"]["n"]


def test_columns_reach_the_report_and_its_files(run: RunFolder) -> None:
    page = run.page.read_text()
    assert 'id="calibration"' in page
    assert "not calibrated on null skies" not in page
    fields = parse_single_table(run.candidates.with_suffix(".vot")).fields
    ucds = {field.name: field.ucd for field in fields if field.name in COLUMNS}
    assert set(ucds) == set(COLUMNS)
    assert all(check_ucd(ucd, check_controlled_vocabulary=True) for ucd in ucds.values())


def test_nothing_is_done_twice(run: RunFolder) -> None:
    seen: list[Event] = []
    records = null(run.root, workers=1, watch=seen.append)
    assert all(is_good(ended) for ended in records.values())
    assert {event.kind for event in seen} == {"skip"}


def test_a_file_is_not_taken_for_that_of_a_null_sky(run: RunFolder) -> None:
    (patch, *_) = tile(provenance_of(run.candidates).config.sky)
    assert provenance_of(run.lines(patch.id)).config.nulls.draw is None
    own = provenance_of(RunFolder(run.nulls / "spread-0").lines(patch.id))
    assert own.config.nulls.draw == 0


def test_null_skies_of_another_configuration_are_refused(
    run: RunFolder, small: ScanConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = RunFolder(Path(shutil.copytree(run.root, tmp_path / "run")))
    windows = small.link.roi.model_copy(update={"stride_masyr": 3.0})
    other = small.model_copy(update={"link": small.link.model_copy(update={"roi": windows})})
    with caplog.at_level(logging.WARNING):
        link(other, out.root)
    (message,) = [record.getMessage() for record in caplog.records]
    assert "spread-0: is a null sky of another configuration" in message
    assert f"`viamachinae null {out.root}`" in message
    assert not set(COLUMNS) & set(Table.read(out.candidates).colnames)
    assert not out.calibration.exists()


def test_null_skies_of_other_code_are_refused(run: RunFolder, small: ScanConfig) -> None:
    records = list(all_records(run))
    (sky,) = standing_nulls(small, run, records)
    assert [patch.id for patch in sky.patches] == [patch.id for patch in tile(small.sky)]
    other = [replace(one, provenance={**one.provenance, "code": "new"}) for one in records]
    assert standing_nulls(small, run, other) == []


def test_a_null_sky_has_no_null_skies(run: RunFolder) -> None:
    with pytest.raises(BadInputError, match="is a null sky itself"):
        null(run.nulls / "spread-0")


def test_a_higher_cut_is_as_if_it_had_been_set(scanned: Path, small: ScanConfig) -> None:
    """Protoclusters below the cut are kept on null skies, and are as if they were not there."""
    run = RunFolder(scanned)
    linked = [linked_patch(run, patch) for patch in tile(small.sky)]
    found = find_candidates(linked, small.link.candidates)
    sigma, home = significances(linked, small.link.candidates)
    assert sigma.tolist() == found.candidates["sigma"].tolist()
    strongest = [max(one.protoclusters["sigma"].to_pylist(), default=0.0) for one in linked]
    assert home[0] == int(np.argmax(strongest))
    for one in linked:
        cut = at_least(one.protoclusters, 8.0, small.link.protostreams.min_shared)
        assert cut == one.protoclusters
        assert len(at_least(one.protoclusters, 1e9, 0.4)) == 0
