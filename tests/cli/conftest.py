"""The front door, opened in this process, and a tiny sky to try it on."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import yaml
from astropy.table import Table

from viamachinae.cli import main
from viamachinae.store.files import write_table

# For the few tests in which the process itself is tried.
COMMAND = [sys.executable, "-c", "from viamachinae.cli import main; main()"]


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def call(*words: object, cwd: Path) -> Ended:
    """Give a command line to the entry point, in this process, which stays as it was."""
    logger, answer = logging.getLogger("viamachinae"), signal.getsignal(signal.SIGTERM)
    level, code = logger.level, 0
    try:
        with (
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
            mock.patch.object(sys, "argv", ["viamachinae", *map(str, words)]),
            mock.patch.dict(os.environ, {"COLUMNS": "200"}),
        ):
            main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        logger.setLevel(level)
        signal.signal(signal.SIGTERM, answer)
    return Ended(code, out.getvalue(), err.getvalue())


def refused(ended: Ended, *words: str) -> None:
    """One sentence with these words, and exit code 2."""
    assert ended.returncode == 2, ended.stderr
    sentence = ended.stderr.strip()
    assert sentence.startswith("viamachinae: ")
    assert "\n" not in sentence
    for word in words:
        assert word in sentence


def results(run: Path) -> dict[str, bytes]:
    """Every table and all flows of a run."""
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.suffix in (".parquet", ".ecsv", ".safetensors") and "checkpoints" not in path.parts
    }


def stars(n: int = 4000) -> Table:
    """A catalogue without structure."""
    rng = np.random.default_rng(1)
    table = Table({"source_id": np.arange(n), "ra": rng.uniform(147, 153, n)})
    table["dec"] = rng.uniform(27, 33, n)
    table["pmra"], table["pmdec"] = rng.normal(-6, 3, (2, n))
    table["phot_g_mean_mag"], table["bp_rp"] = rng.uniform(15, 20, n), rng.uniform(0.5, 1, n)
    return table


def lay(folder: Path) -> None:
    """Write a configuration of two patches, and a catalogue that covers them."""
    write_table(folder / "stars.parquet", stars())
    config = {
        "name": "try",
        "sky": {
            "tiling": "centres",
            "centres": [[149.0, 30.0], [151.0, 30.0]],
            "radius_deg": 2.0,
            "evaluation_radius_deg": 2.0,
        },
        "query": {"source": "files", "path": "stars.parquet"},
        "regions": {"min_stars": 300, "stride_masyr": 4, "scans": ["pm_phi"]},
        "train": {"preset": "demo", "epochs": 2, "average_last": 1, "flow": {"hidden": [8]}},
    }
    (folder / "scan.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a configuration and a catalogue."""
    lay(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `folder`, with the scan done; work on a copy."""
    folder = tmp_path_factory.mktemp("cli")
    lay(folder)
    ended = call("scan", "scan.yaml", "--quiet", "--workers", 1, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture
def finished(scanned: Path, tmp_path: Path) -> Path:
    """A working folder in which the scan is done."""
    return Path(shutil.copytree(scanned, tmp_path / "finished"))
