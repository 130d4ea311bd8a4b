"""The dust in a scan: a changed map, and patches left out."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import healpy
import numpy as np
import pytest

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import parse_config
from viamachinae.pipeline.extent import Extent
from viamachinae.pipeline.linked import linked_patch
from viamachinae.pipeline.patch import patch
from viamachinae.pipeline.prepare import prepare
from viamachinae.pipeline.status import status, write_status
from viamachinae.sky import tile
from viamachinae.store.files import read_table, write_table
from viamachinae.store.run import RunFolder


def write_map(path: Path, ebv: float, beyond: float | None = None) -> Path:
    """E(B-V) west of RA 154 deg and, where given, east of it."""
    ra, _ = healpy.pix2ang(32, np.arange(healpy.nside2npix(32)), lonlat=True)
    values = np.where(ra < 154, ebv, ebv if beyond is None else beyond)
    healpy.write_map(path, values, coord="C", dtype=np.float64, overwrite=True)
    return path


def behind(small: ScanConfig, path: Path, **sky: object) -> ScanConfig:
    options = small.model_dump(mode="json")
    ebv = {"source": "healpix", "path": str(path)}
    options["preprocess"]["ebv"] = ebv
    if sky:
        options["sky"] |= {"ebv": ebv, **sky}
    return parse_config(options, "dusty")


def test_a_changed_map_prepares_the_stars_anew(small: ScanConfig, tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.fits", 0.1)
    config, run = behind(small, path), RunFolder(tmp_path / "run")
    first = tile(config.sky)[0].id

    def prepared() -> tuple[str, float]:
        (record,) = patch(config, run.root, first, Extent(("preprocess",)))
        stars = read_table(run.stars(first))
        return record.inputs["source"], float(np.median(stars["ebv"]))

    before, ebv = prepared()
    assert ebv == pytest.approx(0.1)
    assert prepared() == (before, ebv)
    write_map(path, 0.2)
    after, ebv = prepared()
    assert after != before
    assert ebv == pytest.approx(0.2)
    rules = [row["rule"] for row in json.loads(run.cutflow(first).read_text())["rules"]]
    assert "has_ebv" in rules
    path.unlink()
    with pytest.raises(BadInputError, match=r"map\.fits"):
        prepare(config, run.root)


def test_linking_takes_photometry_free_of_extinction(
    small: ScanConfig, scanned: Path, tmp_path: Path
) -> None:
    run = RunFolder(Path(shutil.copytree(scanned, tmp_path / "run")))
    first = tile(small.sky)[0]
    assert "mag" not in linked_patch(run, first).stars.colnames
    stars = read_table(run.stars(first.id))
    stars["ebv"], stars["mag"] = np.full(len(stars), 0.1), stars["phot_g_mean_mag"] - 0.2
    write_table(run.stars(first.id), stars)
    linked = linked_patch(run, first).stars
    np.testing.assert_allclose(linked["mag"], linked["phot_g_mean_mag"] - 0.2)
    assert "colour" in linked.colnames


def test_patches_left_out_for_dust_are_told(
    small: ScanConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_map(tmp_path / "map.fits", 0.1, beyond=0.5)
    config, run = behind(small, path, max_ebv=0.3), RunFolder(tmp_path / "run")
    dusty = tile(small.sky)[1].id
    assert [one.id for one in tile(config.sky)] == [tile(small.sky)[0].id]
    with caplog.at_level(logging.WARNING, logger="viamachinae.pipeline"):
        prepare(config, run.root)
    assert f"patch {dusty} is left out: E(B-V) 0.50 mag exceeds" in caplog.text
    write_status(config, run.root)
    (row,) = json.loads(run.status.read_text())
    assert (row["patch"], row["stage"], row["outcome"]) == (dusty, "tile", "no_work")
    assert "exceeds sky.max_ebv" in row["reason"]
    assert [record.patch for record in status(run.root)] == [dusty]
