"""A sky so small that a whole scan of it takes seconds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from viamachinae.config import ScanConfig
from viamachinae.options import parse_config
from viamachinae.pipeline.scan import scan


def small_options() -> dict[str, Any]:
    """Two overlapping patches with a rich stream across them."""
    track = {
        "kind": "great_circle",
        "ra": 154.0,
        "dec": 30.0,
        "position_angle_deg": 80.0,
        "pmra": -7.0,
        "pmdec": -10.0,
        "distance_kpc": 8.0,
    }
    return {
        "name": "small",
        "sky": {
            "tiling": "centres",
            "radius_deg": 6.0,
            "evaluation_radius_deg": 5.0,
            "centres": [[150.0, 30.0], [158.0, 30.0]],
        },
        "query": {
            "galaxy": {"fraction": 0.02, "max_mag": 20.2},
            "streams": [
                {"name": "rich", "track": track, "n_stars": 500, "length_deg": 20, "width_deg": 0.2}
            ],
        },
        "regions": {"stride_masyr": 3, "range_masyr": [-15, -3], "min_stars": 100},
        "train": {"preset": "demo", "epochs": 4, "average_last": 2, "flow": {"hidden": [16]}},
        "link": {"roi": {"n_stars": 60, "stride_masyr": 2}},
        # Drawing a dossier takes longer than all the rest: see `drawn`.
        "inspect": {"max_figures": 0},
    }


@pytest.fixture(scope="session")
def small() -> ScanConfig:
    """The small sky."""
    return parse_config(small_options(), "small")


@pytest.fixture(scope="session")
def scanned(small: ScanConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of a scan of the small sky; read it, or work on a copy."""
    out = tmp_path_factory.mktemp("scan")
    assert scan(small, out, workers=1).is_good
    return out


@pytest.fixture(scope="session")
def drawing() -> ScanConfig:
    """The small sky with a dossier of its first candidate."""
    return parse_config({**small_options(), "inspect": {"max_figures": 1}}, "small")


@pytest.fixture(scope="session")
def drawn(drawing: ScanConfig, scanned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of the same scan with that dossier; read it, or work on a copy."""
    out = Path(shutil.copytree(scanned, tmp_path_factory.mktemp("drawn") / "run"))
    scan(drawing, out, workers=1)
    return out
