"""Stars of an archive are taken where the scan is started: nodes may have no network."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.slurm.conftest import jobs_of, patches, results, scan_by_slurm, scan_whole
from tests.tap.front import MemoryTap, serving
from viamachinae.options import read_config
from viamachinae.pipeline.simulate import simulate

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


@pytest.mark.usefixtures("slurm")
def test_patches_are_prepared_where_the_network_is(tmp_path: Path) -> None:
    options = patches(4, ("pm_phi",))
    config, stars = tmp_path / "simulated.yaml", tmp_path / "stars.parquet"
    config.write_text(yaml.safe_dump(options))
    simulate(read_config(config), stars)
    rows = pq.read_table(stars).sort_by("source_id")
    with serving(MemoryTap(rows)) as front:
        query = {"source": "archive", "client": "pyvo", "endpoint": front.plain, "pause_s": 0.1}
        for name in ("one", "many"):
            (tmp_path / name).mkdir()
            options["query"] = {**query, "lake": str(tmp_path / name / "lake")}
            if name == "one":
                _, whole = scan_whole(tmp_path / name, options)
        config.write_text(yaml.safe_dump(options))
        scan_by_slurm(config, tmp_path / "run")
    assert results(tmp_path / "run") == results(whole)
    # Training, lines, linking, report.
    assert len(jobs_of(tmp_path / "run")) == 4
