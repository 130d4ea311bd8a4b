"""The verbs that a cluster needs, through the front door."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.table import Table

from viamachinae.store.files import write_table

ENTRY = "from viamachinae.cli import main; main()"


def viamachinae(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ENTRY, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "HOME": str(cwd)},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a catalogue and a configuration of two patches."""
    rng, n = np.random.default_rng(1), 4000
    stars = Table({"source_id": np.arange(n), "ra": rng.uniform(147, 153, n)})
    stars["dec"] = rng.uniform(27, 33, n)
    stars["pmra"], stars["pmdec"] = rng.normal(-6, 3, (2, n))
    stars["phot_g_mean_mag"], stars["bp_rp"] = rng.uniform(15, 20, n), rng.uniform(0.5, 1, n)
    write_table(tmp_path / "stars.parquet", stars)
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
    (tmp_path / "scan.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


@pytest.mark.slow
def test_shares_status_rerun_provenance(folder: Path) -> None:
    for share in ("1/2", "2/2", "2/2"):
        ended = viamachinae("patch", "scan.yaml", "--array", share, "--quiet", cwd=folder)
        assert ended.returncode == 0, ended.stderr
    assert viamachinae("link", "scan.yaml", "--quiet", cwd=folder).returncode == 0
    shown = viamachinae("status", "runs/try", "--json", cwd=folder)
    rows = json.loads(shown.stdout)
    assert len(rows) == 2 * 4 + 2
    assert {row["outcome"] for row in rows} == {"done"}
    assert all(row["memory_bytes"] > 5e7 and row["device"] == "cpu" for row in rows)
    patch = rows[0]["patch"]
    watched = viamachinae("status", "runs/try", "--watch", cwd=folder).stdout
    for stage in ("preprocess", "train", "score", "lines"):
        (row,) = [line for line in watched.splitlines() if stage in line]
        assert " 2 " in row
    flows = folder / "runs/try/patches" / patch / "pm_phi/flows.safetensors"
    before = flows.read_bytes()
    ended = viamachinae("rerun", "runs/try", patch, "--from", "train", "--log-json", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    assert [e["stage"] for e in events if e.get("kind") == "start"] == ["train", "score", "lines"]
    assert flows.read_bytes() == before
    ended = viamachinae("rerun", "runs/try", "--failed", "--quiet", cwd=folder)
    assert "done again: nothing" in ended.stderr
    told = yaml.safe_load(viamachinae("provenance", flows, cwd=folder).stdout)
    assert told["made_by"]["stage"] == "train"
    again = [*told["command"].split()[1:], "--out", "again"]
    assert viamachinae(*again, "--quiet", cwd=folder).returncode == 0
    assert (folder / "again" / told["file"]).read_bytes() == before
    assert viamachinae("provenance", "runs/try", "--crate", cwd=folder).returncode == 0
    assert (folder / "runs/try/ro-crate-metadata.json").is_file()


@pytest.mark.slow
def test_sigterm_saves_and_the_same_command_goes_on(folder: Path) -> None:
    patch = "l193.5_b+52.5"
    words = ["scan", "scan.yaml", "--log-json", "--workers", "2", "--set", "train.epochs=300"]
    with subprocess.Popen(
        [sys.executable, "-c", ENTRY, *words], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if '"kind": "advance"' in line:
                patch = json.loads(line)["patch"]
                break
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert process.returncode == 75
    assert "Traceback" not in rest
    states = folder / "runs/try/patches" / patch / "pm_phi/checkpoints"
    assert len(list(states.glob("*.safetensors"))) == 1
    ended = viamachinae(*words, cwd=folder)
    assert ended.returncode == 0
    assert "going on from a checkpoint" in ended.stderr
    assert not list(states.iterdir())
    whole = viamachinae(*words, "--out", "whole", cwd=folder)
    assert whole.returncode == 0
    flows = f"patches/{patch}/pm_phi/flows.safetensors"
    assert (folder / "runs/try" / flows).read_bytes() == (folder / "whole" / flows).read_bytes()


def test_what_makes_no_sense(folder: Path) -> None:
    for words, sentence in [
        (["patch", "scan.yaml"], "name patches, or give --array I/N"),
        (["patch", "scan.yaml", "--array", "3/2"], "--array 3/2"),
        (["scan", "scan.yaml", "--on", "moon"], "--on moon"),
        (["scan", "scan.yaml", "--", "--dry-run"], "need --on local or --on slurm"),
        (["rerun", "."], "."),
    ]:
        ended = viamachinae(*words, cwd=folder)
        assert ended.returncode == 2, ended.stderr
        assert sentence in ended.stderr
