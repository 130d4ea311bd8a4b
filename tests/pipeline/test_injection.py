from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from astropy.table import Table

from viamachinae.options import read_config
from viamachinae.pipeline.injection import inject

NAMES = ["source_id", "phot_g_mean_mag", "bp_rp", "pmra", "pmra_error", "parallax_error"]


def columns(path: Path) -> Table:
    table = pq.read_table(path, columns=NAMES).sort_by("source_id")
    return Table({name: table[name].to_numpy() for name in NAMES})


def test_into_real_stars(sky_data: Path, tmp_path: Path) -> None:
    """Injected stars have the errors that real ones of their magnitude have."""
    real = sky_data / "dr3_cone_ra45_dec0_r0.5.parquet"
    (tmp_path / "scan.yaml").write_text(
        "name: real\n"
        "sky: {tiling: centres, centres: [[45.0, 0.0]], radius_deg: 0.5,"
        " evaluation_radius_deg: 0.4}\n"
        f"query: {{source: files, path: {real}}}\n"
        "validation: {streams: {n_stars: [1000], length_deg: [5.0], width_deg: [0.05]}}\n"
    )
    written = inject(read_config(tmp_path / "scan.yaml", []), tmp_path / "stars.parquet")
    before, after = columns(real), columns(written.stars)
    old, new = after[: len(before)], after[len(before) :]
    for name in NAMES:
        np.testing.assert_array_equal(old[name], before[name])
    assert set(new["source_id"]) == set(written.streams[0].source_id)
    assert len(new) == 1000
    for bright, faint in [(17, 18), (18, 19), (19, 20), (20, 20.7)]:
        of_new, of_old = (
            one[(one["phot_g_mean_mag"] > bright) & (one["phot_g_mean_mag"] < faint)]
            for one in (new, old)
        )
        for name in ("pmra_error", "parallax_error"):
            ratio = np.nanmedian(of_new[name]) / np.nanmedian(of_old[name])
            assert 0.75 < ratio < 1.35, (name, bright, ratio)
