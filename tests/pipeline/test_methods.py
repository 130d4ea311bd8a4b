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
from viamachinae.sky import tile
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
