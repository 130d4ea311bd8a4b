"""A real SLURM on loopback, and scans of patches so small that jobs cost more than work."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from viamachinae.options import read_config
from viamachinae.pipeline.scan import scan
from viamachinae.pipeline.workflow import job_name

HERE = Path(__file__).parent
ENTRY = "from viamachinae.cli import main; main()"
# Few jobs, and a scheduler that looks often, for a test is in more of a hurry than a scan.
QUICK = ["--latency-wait", "10", "--slurm-init-seconds-before-status-checks", "2"]
BATCHES = ["--config", "stars_per_job=8000"]


def patches(n_patches: int = 12, scans: tuple[str, ...] = ("pm_lam", "pm_phi")) -> dict[str, Any]:
    """Options of a scan with a rich stream across some of its patches, twelve at most."""
    track = {
        "kind": "great_circle",
        "ra": 152.0,
        "dec": 33.0,
        "position_angle_deg": 80.0,
        "pmra": -7.0,
        "pmdec": -10.0,
        "distance_kpc": 8.0,
    }
    stream = {"name": "rich", "track": track, "n_stars": 500, "length_deg": 20, "width_deg": 0.2}
    centres = [[ra, dec] for dec in (30, 34, 38) for ra in (146, 150, 154, 158)]
    return {
        "name": "sky",
        "sky": {
            "tiling": "centres",
            "radius_deg": 3.0,
            "evaluation_radius_deg": 3.0,
            "centres": centres[:n_patches],
        },
        "query": {"galaxy": {"fraction": 0.02, "max_mag": 20.2}, "streams": [stream]},
        "regions": {
            "stride_masyr": 3,
            "range_masyr": [-15, -3],
            "min_stars": 50,
            "scans": list(scans),
        },
        "train": {
            "preset": "demo",
            "epochs": 4,
            "average_last": 2,
            "flow": {"hidden": [16]},
            "checkpoint_seconds": 1,
            # So few stars and epochs give densities that are far off.
            "health": {"max_median_log_ratio": 1e3},
        },
        "link": {"roi": {"n_stars": 40, "stride_masyr": 2}},
    }


def viamachinae(*words: object) -> list[str]:
    """The command line of a verb."""
    return [sys.executable, "-c", ENTRY, *map(str, words)]


def results(run: Path) -> dict[str, bytes]:
    """Every table and all flows of a run."""
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.suffix in (".parquet", ".ecsv", ".safetensors") and "checkpoints" not in path.parts
    }


def scan_by_slurm(config: Path, out: Path, *extra: str) -> None:
    """Scan as a user would, with options for Snakemake."""
    words = ["scan", config, "--out", out, "--on", "slurm", "--", *QUICK, *extra]
    ended = subprocess.run(viamachinae(*words), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "--workflow-profile" in ended.stderr


def jobs_of(out: Path) -> list[dict[str, str]]:
    """What SLURM knows of the jobs of a run, in the order of their submission."""
    listed = subprocess.run(
        ["scontrol", "--oneliner", "show", "jobs"], capture_output=True, text=True, check=True
    )
    rows = [
        dict(word.partition("=")[::2] for word in line.split())
        for line in listed.stdout.splitlines()
    ]
    own = [row for row in rows if row.get("JobName", "").startswith(job_name(out))]
    return sorted(own, key=lambda row: int(row["JobId"]))


@contextmanager
def running(*programs: str, **settings: str) -> Iterator[Path]:
    """State folder of a SLURM that runs while the block does; up.sh names the settings.

    Skips where it or one of the further programs is absent.
    """
    needed = ("slurmctld", "slurmd", "munged", *programs)
    absent = [name for name in needed if not shutil.which(name)]
    if absent or os.geteuid() != 0 or importlib.util.find_spec("snakemake") is None:
        pytest.skip(f"needs root, the extra `cluster` and {', '.join(needed)}")
    # Not below pytest's own folder, into which the user munge cannot look.
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as name:
        try:
            up = [str(HERE / "up.sh"), name]
            subprocess.run(up, check=True, timeout=120, env={**os.environ, **settings})
            yield Path(name)
        finally:
            subprocess.run([HERE / "down.sh", name], check=True, timeout=60)


@pytest.fixture(scope="module")
def slurm() -> Iterator[Path]:
    """A SLURM without accounting; more cores than GPUs, so that these can be what is short."""
    with running(FAKE_CORES="4", FAKE_GPUS="2") as folder:
        yield folder


def scan_whole(folder: Path, options: dict[str, Any]) -> tuple[Path, Path]:
    """A configuration as a file, and the run folder of a scan of it in one process."""
    config, out = folder / "sky.yaml", folder / "one"
    config.write_text(yaml.safe_dump(options))
    assert scan(read_config(config), out, workers=1).is_good
    return config, out


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Configuration and finished run of four patches."""
    return scan_whole(tmp_path_factory.mktemp("four"), patches(4, ("pm_phi",)))


@pytest.fixture(scope="session")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Configuration and finished run of twelve patches and two scans."""
    return scan_whole(tmp_path_factory.mktemp("twelve"), patches())
