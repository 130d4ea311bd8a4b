"""One stage: what its record says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from viamachinae.config import FilesQuery, ScanConfig
from viamachinae.pipeline.patch import patch
from viamachinae.pipeline.simulate import simulate
from viamachinae.sky import tile


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a device for CUDA")
def test_where_nothing_is_computed_the_device_may_be_absent(
    small: ScanConfig, tmp_path: Path
) -> None:
    empty = small.sky.model_copy(update={"centres": [(10.0, -60.0)]})
    train = small.train.model_copy(update={"device": "cuda"})
    stars = FilesQuery(source="files", path=tmp_path / "stars.parquet")
    simulate(small, tmp_path / "stars.parquet")
    config = small.model_copy(update={"sky": empty, "query": stars, "train": train})
    records = patch(config, tmp_path / "run", tile(empty)[0].id)
    assert {record.outcome for record in records} == {"no_work"}
    assert {record.device for record in records if record.stage != "preprocess"} == {""}
