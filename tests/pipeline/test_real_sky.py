"""GD-1 in real Gaia DR2 stars, end to end; the labels are for checking alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from viamachinae.options import read_config
from viamachinae.pipeline.scan import scan
from viamachinae.store.files import read_table

CONFIG = Path(__file__).parents[2] / "workflows" / "config" / "gd1.yaml"


@pytest.mark.slow
def test_gd1_is_the_first_candidate(sky_data: Path, tmp_path: Path) -> None:
    stars = sky_data / "gd1_pmbox_dr2.parquet"
    result = scan(read_config(CONFIG, [f"query.path={stars}"]), tmp_path)
    assert result.is_good
    first = Table.read(tmp_path / "candidates.ecsv")[0]
    assert first["n_patches"] >= 2
    assert (first["match"], first["match_name"]) == ("known", "GD-1")
    assert first["match_separation_deg"] < 0.5
    assert first["match_pm_difference"] < 0.5
    assert not first["clump"]
    assert not first["edge"]
    members = read_table(tmp_path / "members.parquet")
    line = members[(members["candidate"] == first["candidate"]) & members["on_line"]]
    truth = pq.read_table(stars, columns=["source_id", "is_pwb18_member"])
    labelled = truth["source_id"].to_numpy()[
        truth["is_pwb18_member"].to_numpy(zero_copy_only=False)
    ]
    assert np.isin(line["source_id"], labelled).mean() >= 0.5
