"""A scan with another score than ANODE's: what runs again, and what comes out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from viamachinae.config import ScanConfig
from viamachinae.options import parse_config
from viamachinae.pipeline.events import Event
from viamachinae.pipeline.patch import patch
from viamachinae.pipeline.results import open_run
from viamachinae.pipeline.scan import scan
from viamachinae.sky import tile
from viamachinae.store.files import read_arrow, read_table
from viamachinae.store.run import RunFolder

NETS = {"epochs": 2, "average_best": 1, "hidden": [8], "folds": 3}
METHODS = {
    "cathode": {"oversampling": 1, "classifier": NETS},
    "r_anode": {"epochs": 2, "average_best": 1, "flow": {"hidden": [8], "blocks": 1}},
    "cwola": {"classifier": NETS},
}


@pytest.mark.parametrize("method", METHODS)
def test_another_score_is_trained_anew_from_the_same_stars(
    scanned: Path, small: ScanConfig, tmp_path: Path, method: str
) -> None:
    options = small.model_dump(mode="json")
    options["score"] = {"method": method, **METHODS[method]}
    options["regions"]["scans"] = ["pm_lam"]
    out, where = Path(shutil.copytree(scanned, tmp_path / "run")), tile(small.sky)[0].id
    before = pq.read_table(RunFolder(out).scores(where, "pm_lam"))
    events: list[Event] = []
    records = patch(parse_config(options, "changed"), out, where, watch=events.append)
    assert {record.outcome for record in records} == {"done"}
    assert [e.stage for e in events if e.kind == "start"] == ["train", "score", "lines"]
    shares = [e.done / e.total for e in events if e.kind == "advance"]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)
    after = pq.read_table(RunFolder(out).scores(where, "pm_lam"))
    assert after["source_id"] == before["source_id"]
    assert np.isfinite(after["log_ratio"].to_numpy()).all()
    assert not np.array_equal(after["log_ratio"], before["log_ratio"])


def test_a_candidate_of_several_trainings_has_a_consistency(
    scanned: Path, small: ScanConfig, tmp_path: Path
) -> None:
    once = read_table(RunFolder(scanned).scores(tile(small.sky)[0].id, "pm_phi"))
    assert "log_ratio_0" not in once.colnames
    assert np.isnan(open_run(scanned).candidates()["consistency"]).all()
    options = small.model_dump(mode="json")
    options["train"]["retrainings"] = 2
    options["regions"]["scans"] = ["pm_lam"]
    out = Path(shutil.copytree(scanned, tmp_path / "run"))
    assert scan(parse_config(options, "twice"), out, workers=1).is_good
    table = open_run(out).candidates()
    assert table["consistency"][0] == 1
    assert set(table["consistency"]) <= {0, 0.5, 1}
    weight = table["sigma"] * table["consistency"]
    assert (np.diff(weight) <= 0).all()
    members = open_run(out).members(table["candidate"][0])
    each = np.array([members["log_ratio_0"], members["log_ratio_1"]])
    assert np.isfinite(each).all()
    listed = members["log_ratio"]
    assert (listed <= each.max(axis=0) + 1e-9).all()
    assert np.abs(each.mean(axis=0) - listed).max() < 1
    run, where = RunFolder(out), tile(small.sky)[0].id
    lists = [read_arrow(run.protoclusters(where, number)) for number in (None, 0, 1)]
    assert len({str(one.to_pydict()) for one in lists}) == 3
