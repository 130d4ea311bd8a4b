"""LSDB, the reader that HATS catalogues are made for, opens a lake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from viamachinae.query.lake import Lake

lsdb = pytest.importorskip("lsdb")


@pytest.mark.filterwarnings("default")
def test_lsdb_finds_the_same_stars(lake: Lake) -> None:
    from hats.io.validation import is_valid_catalog

    assert is_valid_catalog(Path(lake.name), strict=True)
    catalogue = lsdb.open_catalog(lake.name)
    found = catalogue.cone_search(150.0, 20.0, 3 * 3600.0).compute()
    ours = lake.read_disc(150, 20, 3, ["source_id", "pmra", "bp_rp"]).to_pandas()
    found = found.sort_values("source_id")
    assert found["source_id"].to_list() == ours["source_id"].to_list()
    for name in ("pmra", "bp_rp"):
        np.testing.assert_array_equal(found[name].to_numpy(float, na_value=np.nan), ours[name])
