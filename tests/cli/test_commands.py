"""Every verb through the front door, and what bad input gets: one sentence and exit code 2."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
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


def refused(ended: subprocess.CompletedProcess[str], *words: str) -> None:
    assert ended.returncode == 2, ended.stderr
    sentence = ended.stderr.strip()
    assert sentence.startswith("viamachinae: ")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    for word in words:
        assert word in sentence


def stars(n: int = 4000) -> Table:
    rng = np.random.default_rng(1)
    return Table(
        {
            "source_id": np.arange(n),
            "ra": rng.uniform(147, 153, n),
            "dec": rng.uniform(27, 33, n),
            "pmra": rng.normal(-6, 3, n),
            "pmdec": rng.normal(-6, 3, n),
            "phot_g_mean_mag": rng.uniform(15, 20, n),
            "bp_rp": rng.uniform(0.5, 1.0, n),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with a configuration and a catalogue."""
    write_table(tmp_path / "stars.parquet", stars())
    config = {
        "name": "try",
        "sky": {
            "tiling": "centres",
            "centres": [[150.0, 30.0]],
            "radius_deg": 3.0,
            "evaluation_radius_deg": 3.0,
        },
        "query": {"source": "files", "path": "stars.parquet"},
        "regions": {"min_stars": 1000, "stride_masyr": 4, "scans": ["pm_phi"]},
        "train": {"preset": "demo", "epochs": 2, "average_last": 1, "flow": {"hidden": [8]}},
    }
    (tmp_path / "scan.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_scan_patch_link_status(folder: Path) -> None:
    ended = viamachinae("scan", "scan.yaml", "--quiet", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    run = folder / "runs" / "try"
    assert (run / "index.html").is_file()
    patch = next((run / "patches").iterdir()).name
    shown = viamachinae("status", run, cwd=folder)
    assert shown.returncode == 0
    assert patch in shown.stdout
    assert "done" in shown.stdout
    again = viamachinae("patch", "scan.yaml", patch, "--log-json", cwd=folder)
    assert again.returncode == 0
    events = [json.loads(line) for line in again.stderr.splitlines() if line.startswith("{")]
    kinds = {event["kind"] for event in events if "kind" in event}
    assert kinds == {"skip"}
    assert viamachinae("link", "scan.yaml", cwd=folder).returncode == 0
    written = viamachinae("inspect", run, "--static", cwd=folder)
    assert written.returncode == 0, written.stderr
    assert "are up to date" in written.stderr
    held = viamachinae("compare", run, run, cwd=folder)
    assert held.returncode == 0, held.stderr
    refused(viamachinae("inspect", folder, "--static", cwd=folder), "finished scan")
    refused(viamachinae("compare", run, folder, cwd=folder), "not a run folder")
    planned = viamachinae("plan", "scan.yaml", cwd=folder)
    assert planned.returncode == 0, planned.stderr
    assert patch in planned.stdout
    for_machines = viamachinae("plan", "scan.yaml", "--json", cwd=folder)
    assert [one["patch"] for one in json.loads(for_machines.stdout)["patches"]] == [patch]


@pytest.mark.parametrize("option", ["--schema", "--defaults", "--table"])
def test_config(tmp_path: Path, option: str) -> None:
    ended = viamachinae("config", option, cwd=tmp_path)
    assert ended.returncode == 0
    assert "theta_cell_deg" in ended.stdout
    refused(viamachinae("config", cwd=tmp_path), "--schema")


def test_ingest(tmp_path: Path) -> None:
    columns = ("source_id,ra,dec,pmra,pmdec,G", "4472832130942575872,269.4485,4.7394,-801,10362,8")
    (tmp_path / "barnard.csv").write_text("\n".join([*columns, ""]))
    words = ["--columns", "pmra,pmdec,phot_g_mean_mag=G", "--workers", "1"]
    ended = viamachinae("ingest", "barnard.csv", "--out", "lake", *words, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "1 stars of 1 tables in 1 pixels" in ended.stderr
    assert "hats_nrows=1" in (tmp_path / "lake" / "hats.properties").read_text()
    refused(viamachinae("ingest", "absent.csv", "--out", "x", cwd=tmp_path), "absent.csv", "exist")
    refused(viamachinae("ingest", "barnard.csv", "--out", ".", cwd=tmp_path), "not empty")


def test_simulate(tmp_path: Path) -> None:
    config = {
        "sky": {
            "tiling": "centres",
            "centres": [[150.0, 30.0]],
            "radius_deg": 1.0,
            "evaluation_radius_deg": 1.0,
        },
        "query": {"galaxy": {"fraction": 0.1}},
    }
    (tmp_path / "sky.yaml").write_text(yaml.safe_dump(config))
    ended = viamachinae("simulate", "sky.yaml", "--out", "sky.parquet", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "sky.parquet").is_file()
    assert (tmp_path / "sky.truth.parquet").is_file()
    refused(viamachinae("simulate", "sky.yaml", "--out", "sky.csv", cwd=tmp_path), "sky.csv")


def test_missing_column(folder: Path) -> None:
    table = stars()
    table.rename_column("pmra", "mu_ra")
    write_table(folder / "stars.parquet", table)
    ended = viamachinae("scan", "scan.yaml", "--quiet", cwd=folder)
    refused(ended, "stars.parquet", "pmra", "query.columns")
    assert not (folder / "runs").exists()
    mended = viamachinae(
        "scan", "scan.yaml", "--quiet", "--set", "query.columns.pmra=mu_ra", cwd=folder
    )
    assert mended.returncode == 0, mended.stderr


def test_proper_motions_that_are_all_nan(folder: Path) -> None:
    table = stars()
    table["pmdec"] = np.nan
    write_table(folder / "stars.parquet", table)
    refused(viamachinae("scan", "scan.yaml", "--quiet", cwd=folder), "stars.parquet", "pmdec")


def test_no_star_in_the_patch(folder: Path) -> None:
    ended = viamachinae(
        "scan", "scan.yaml", "--quiet", "--set", "sky.centres=[[10, -60]]", cwd=folder
    )
    refused(ended, "stars.parquet", "no usable star", "sky")


def test_unknown_option(folder: Path) -> None:
    ended = viamachinae("scan", "scan.yaml", "--quiet", "--set", "train.epocs=3", cwd=folder)
    refused(ended, "train.epocs", "epochs")


def test_patch_that_the_tiling_lacks(folder: Path) -> None:
    tiling = ["--set", "sky={tiling: healpix, patches: [l1.0_b+2.0]}"]
    refused(viamachinae("scan", "scan.yaml", *tiling, cwd=folder), "l1.0_b+2.0", "sky.patches")
    twice = ["--set", "sky.centres=[[150, 30], [150, 30]]"]
    refused(viamachinae("scan", "scan.yaml", *twice, cwd=folder), "sky.centres")


def test_dust_that_cannot_be_had(folder: Path) -> None:
    column = ["--set", "preprocess.ebv={source: column, column_name: red}"]
    refused(viamachinae("scan", "scan.yaml", *column, cwd=folder), "stars.parquet", "'red'", "ebv")
    path = ["--set", "preprocess.ebv={source: healpix, path: dust.fits}"]
    refused(viamachinae("plan", "scan.yaml", *path, cwd=folder), "dust.fits", "No such file")
    (folder / "dust.fits").write_text("no map")
    refused(viamachinae("scan", "scan.yaml", *path, cwd=folder), "dust.fits", "HEALPix")
    cut = ["--set", "sky.max_ebv=0.2"]
    refused(viamachinae("scan", "scan.yaml", *cut, cwd=folder), "max_ebv", "map")


def test_truncated_file(folder: Path) -> None:
    path = folder / "stars.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    refused(viamachinae("scan", "scan.yaml", "--quiet", cwd=folder), "stars.parquet")


def test_absent_files(folder: Path) -> None:
    refused(viamachinae("scan", "none.yaml", cwd=folder), "none.yaml")
    (folder / "stars.parquet").unlink()
    refused(viamachinae("scan", "scan.yaml", "--quiet", cwd=folder), "stars.parquet")


def test_help_is_quick_to_import() -> None:
    """The command line answers --help without torch."""
    code = "import sys, viamachinae.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_scan_killed_at_any_moment_goes_on_to_the_same_end(folder: Path) -> None:
    """kill -9 of the scan, three times; the workers end by themselves, the rest is resumed."""
    words = ["scan", "scan.yaml", "--quiet", "--set", "regions.scans=[pm_phi, pm_lam]"]
    words += ["--set", "sky.centres=[[149, 30], [151, 30]]", "--set", "train.epochs=8"]
    assert viamachinae(*words, "--out", "whole", cwd=folder).returncode == 0
    for trial in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", ENTRY, *words, "--out", "killed"], cwd=folder
        )
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if len(list(folder.glob("killed/patches/**/records/*.json"))) > 2 * trial:
                break
            time.sleep(0.05)
        process.kill()
        process.wait()
    assert viamachinae(*words, "--out", "killed", cwd=folder).returncode == 0
    whole, killed = (
        {
            path.relative_to(folder / run): path.read_bytes()
            for path in (folder / run).rglob("*")
            if path.suffix in (".parquet", ".ecsv", ".safetensors")
        }
        for run in ("whole", "killed")
    )
    assert len(whole) > 10
    assert whole == killed
    assert not list(folder.glob("killed/**/*.tmp"))


def test_ctrl_c_leaves_a_run_that_goes_on(folder: Path) -> None:
    words = ["scan", "scan.yaml", "--log-json", "--set", "train.epochs=4000"]
    command = [sys.executable, "-c", ENTRY, *words]
    # Who starts the tests in the background has made them deaf to Ctrl-C; this child is not.
    hearing = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, text=True, preexec_fn=hearing
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if '"stage": "train"' in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "goes on from here" in rest
    assert "Traceback" not in rest
    ended = viamachinae("scan", "scan.yaml", "--log-json", cwd=folder)
    assert ended.returncode == 0
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [e["kind"] for e in events if e.get("stage") == "preprocess"] == ["skip"]
