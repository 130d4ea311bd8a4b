"""Every verb through the front door, and what bad input gets: one sentence and exit code 2."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.cli.conftest import COMMAND, Ended, call, refused, results, stars
from viamachinae.pipeline.results import open_run
from viamachinae.store.files import write_table


def test_scan_patch_link_status(finished: Path) -> None:
    folder, run = finished, finished / "runs" / "try"
    assert (run / "index.html").is_file()
    patch = next((run / "patches").iterdir()).name
    shown = call("status", run, cwd=folder)
    assert shown.returncode == 0
    assert patch in shown.stdout
    assert "done" in shown.stdout
    again = call("patch", "scan.yaml", patch, "--log-json", cwd=folder)
    assert again.returncode == 0
    events = [json.loads(line) for line in again.stderr.splitlines()]
    kinds = {event["kind"] for event in events if "kind" in event}
    assert kinds == {"skip"}
    assert call("link", "scan.yaml", cwd=folder).returncode == 0
    written = call("inspect", run, "--static", cwd=folder)
    assert written.returncode == 0, written.stderr
    assert "are up to date" in written.stderr
    held = call("compare", run, run, cwd=folder)
    assert held.returncode == 0, held.stderr
    refused(call("inspect", folder, "--static", cwd=folder), "finished scan")
    refused(call("compare", run, folder, cwd=folder), "not a run folder")


def test_plan(folder: Path) -> None:
    planned = call("plan", "scan.yaml", "--json", cwd=folder)
    assert planned.returncode == 0, planned.stderr
    patches = [one["patch"] for one in json.loads(planned.stdout)["patches"]]
    assert len(patches) == 2
    shown = call("plan", "scan.yaml", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert all(patch in shown.stdout for patch in patches)


@pytest.mark.parametrize("option", ["--schema", "--defaults", "--table"])
def test_config(tmp_path: Path, option: str) -> None:
    ended = call("config", option, cwd=tmp_path)
    assert ended.returncode == 0
    assert "theta_cell_deg" in ended.stdout
    refused(call("config", cwd=tmp_path), "--schema")


def lake_of_one_star(folder: Path) -> Ended:
    columns = ("source_id,ra,dec,pmra,pmdec,G", "4472832130942575872,269.4485,4.7394,-801,10362,8")
    (folder / "barnard.csv").write_text("\n".join([*columns, ""]))
    words = ["--columns", "pmra,pmdec,phot_g_mean_mag=G", "--workers", "1"]
    return call("ingest", "barnard.csv", "--out", "lake", *words, cwd=folder)


def test_ingest(tmp_path: Path) -> None:
    ended = lake_of_one_star(tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "1 stars of 1 tables in 1 pixels" in ended.stderr
    assert "hats_nrows=1" in (tmp_path / "lake" / "hats.properties").read_text()
    refused(call("ingest", "absent.csv", "--out", "x", cwd=tmp_path), "absent.csv", "exist")
    refused(call("ingest", "barnard.csv", "--out", ".", cwd=tmp_path), "not empty")


def test_a_lake_that_lacks_pixels(folder: Path) -> None:
    """No other patch is there to go on with."""
    lake_of_one_star(folder)
    lake = ["query={source: lake, path: lake}", "preprocess.features=[phi, lam, pm, mag]"]
    settings = [word for one in lake for word in ("--set", one)]
    ended = call("inject", "scan.yaml", "--out", "sky.parquet", *settings, cwd=folder)
    assert ended.returncode == 3
    assert ended.stderr.startswith("viamachinae: ")
    assert ended.stderr.count("\n") == 1
    assert "lake" in ended.stderr


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
    ended = call("simulate", "sky.yaml", "--out", "sky.parquet", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "sky.parquet").is_file()
    assert (tmp_path / "sky.truth.parquet").is_file()
    refused(call("simulate", "sky.yaml", "--out", "sky.csv", cwd=tmp_path), "sky.csv")


def test_missing_column(folder: Path) -> None:
    table = stars()
    table.rename_column("pmra", "mu_ra")
    write_table(folder / "stars.parquet", table)
    ended = call("scan", "scan.yaml", "--quiet", cwd=folder)
    refused(ended, "stars.parquet", "pmra", "query.columns")
    assert not (folder / "runs").exists()
    mend = ["--set", "query.columns.pmra=mu_ra", "--workers", 1]
    mended = call("scan", "scan.yaml", "--quiet", *mend, cwd=folder)
    assert mended.returncode == 0, mended.stderr


def test_proper_motions_that_are_all_nan(folder: Path) -> None:
    table = stars()
    table["pmdec"] = np.nan
    write_table(folder / "stars.parquet", table)
    ended = call("scan", "scan.yaml", "--quiet", "--workers", 1, cwd=folder)
    refused(ended, "stars.parquet", "pmdec")


def test_no_star_in_the_patch(folder: Path) -> None:
    centres = ["--set", "sky.centres=[[10, -60]]"]
    ended = call("scan", "scan.yaml", "--quiet", *centres, cwd=folder)
    refused(ended, "stars.parquet", "no usable star", "sky")


def test_patches_in_which_nothing_is_scanned(folder: Path) -> None:
    """The stars of a thin catalogue are taken, but no signal region is full enough."""
    thin = ["--set", "regions.min_stars=100000", "--workers", 1]
    ended = call("scan", "scan.yaml", *thin, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    why = "hold fewer than 100000 stars"
    assert "nothing was scanned in 2 of 2 patches; in l" in ended.stderr
    assert why in ended.stderr
    run = folder / "runs" / "try"
    assert set(open_run(run).outcomes().values()) == {"no_work"}
    page = (run / "index.html").read_text()
    assert page.count("no_work</td>") == 2
    assert page.count(why) == 2
    assert 'data-label="Stars">–' not in page
    patch = next((run / "patches").iterdir()).name
    shown = call("patch", "scan.yaml", patch, *thin, cwd=folder)
    assert f"{patch}: no_work: " in shown.stderr
    assert why in shown.stderr


def test_unknown_option(folder: Path) -> None:
    ended = call("scan", "scan.yaml", "--quiet", "--set", "train.epocs=3", cwd=folder)
    refused(ended, "train.epocs", "epochs")


def test_patch_that_the_tiling_lacks(folder: Path) -> None:
    tiling = ["--set", "sky={tiling: healpix, patches: [l1.0_b+2.0]}"]
    refused(call("scan", "scan.yaml", *tiling, cwd=folder), "l1.0_b+2.0", "sky.patches")
    twice = ["--set", "sky.centres=[[150, 30], [150, 30]]"]
    refused(call("scan", "scan.yaml", *twice, cwd=folder), "sky.centres")


def test_dust_that_cannot_be_had(folder: Path) -> None:
    column = ["--set", "preprocess.ebv={source: column, column_name: red}"]
    refused(call("scan", "scan.yaml", *column, cwd=folder), "stars.parquet", "'red'", "ebv")
    path = ["--set", "preprocess.ebv={source: healpix, path: dust.fits}"]
    refused(call("plan", "scan.yaml", *path, cwd=folder), "dust.fits", "No such file")
    (folder / "dust.fits").write_text("no map")
    refused(call("scan", "scan.yaml", *path, cwd=folder), "dust.fits", "HEALPix")
    cut = ["--set", "sky.max_ebv=0.2"]
    refused(call("scan", "scan.yaml", *cut, cwd=folder), "max_ebv", "map")


def test_truncated_file(folder: Path) -> None:
    path = folder / "stars.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    refused(call("scan", "scan.yaml", "--quiet", cwd=folder), "stars.parquet")


def test_absent_files(folder: Path) -> None:
    refused(call("scan", "none.yaml", cwd=folder), "none.yaml")
    (folder / "stars.parquet").unlink()
    refused(call("scan", "scan.yaml", "--quiet", cwd=folder), "stars.parquet")


def test_help_is_quick_to_import() -> None:
    """The command line answers --help without torch."""
    code = "import sys, viamachinae.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_as_the_shell_sees_it(folder: Path) -> None:
    """What bad input gets is the same where no test stands between."""
    bare = {"PATH": os.defpath, "HOME": str(folder)}
    ended = subprocess.run(
        [*COMMAND, "scan", "none.yaml"], cwd=folder, env=bare, capture_output=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stdout == b""
    assert ended.stderr.startswith(b"viamachinae: none.yaml: ")
    assert ended.stderr.count(b"\n") == 1


@pytest.mark.slow
def test_a_scan_killed_at_any_moment_goes_on_to_the_same_end(folder: Path) -> None:
    """kill -9 of the scan, three times; the workers end by themselves, the rest is resumed."""
    words = ["scan", "scan.yaml", "--quiet", "--set", "regions.scans=[pm_phi, pm_lam]"]
    words += ["--set", "train.epochs=8"]
    assert call(*words, "--workers", 1, "--out", "whole", cwd=folder).returncode == 0
    for trial in range(3):
        process = subprocess.Popen(
            [*COMMAND, *words, "--workers", "2", "--out", "killed"], cwd=folder
        )
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if len(list(folder.glob("killed/patches/**/records/*.json"))) > 2 * trial:
                break
            time.sleep(0.05)
        process.kill()
        process.wait()
    assert call(*words, "--workers", 1, "--out", "killed", cwd=folder).returncode == 0
    whole, killed = results(folder / "whole"), results(folder / "killed")
    assert len(whole) > 10
    assert whole == killed
    assert not list(folder.glob("killed/**/*.tmp"))


def test_ctrl_c_leaves_a_run_that_goes_on(folder: Path) -> None:
    words = ["scan", "scan.yaml", "--log-json", "--set", "sky.centres=[[149.0, 30.0]]"]
    # Who starts the tests in the background has made them deaf to Ctrl-C; this child is not.
    hearing = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        [*COMMAND, *words, "--set", "train.epochs=4000"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hearing,
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
    ended = call(*words, cwd=folder)
    assert ended.returncode == 0
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [e["kind"] for e in events if e.get("stage") == "preprocess"] == ["skip"]
