"""The verbs that a cluster needs, through the front door."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import COMMAND, call
from viamachinae.options import read_config
from viamachinae.store.files import write_text
from viamachinae.store.run import RunFolder


@pytest.mark.slow
def test_shares_status_rerun_provenance(folder: Path) -> None:
    for share in ("1/2", "2/2", "2/2"):
        ended = call("patch", "scan.yaml", "--array", share, "--quiet", cwd=folder)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert call("link", "scan.yaml", "--quiet", cwd=folder).returncode == 0
    shown = call("status", "runs/try", "--json", cwd=folder)
    rows = json.loads(shown.stdout)
    assert len(rows) == 2 * 4 + 2
    assert {row["outcome"] for row in rows} == {"done"}
    assert all(row["memory_bytes"] > 5e7 and row["device"] == "cpu" for row in rows)
    patch = rows[0]["patch"]
    watched = call("status", "runs/try", "--watch", cwd=folder).stdout
    for stage in ("preprocess", "train", "score", "lines"):
        (row,) = [line for line in watched.splitlines() if stage in line]
        assert " 2 " in row
    flows = folder / "runs/try/patches" / patch / "pm_phi/flows.safetensors"
    before = flows.read_bytes()
    ended = call("rerun", "runs/try", patch, "--from", "train", "--log-json", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [e["stage"] for e in events if e.get("kind") == "start"] == ["train", "score", "lines"]
    assert flows.read_bytes() == before
    ended = call("rerun", "runs/try", "--failed", cwd=folder)
    assert "done again: nothing" in ended.stderr
    told = yaml.safe_load(call("provenance", flows, cwd=folder).stdout)
    assert told["made_by"]["stage"] == "train"
    there, _, command = told["command"].partition(" && ")
    assert there == f"cd {folder}"
    again = [*command.split()[1:], "--out", "again"]
    assert call(*again, "--quiet", cwd=folder).returncode == 0
    assert (folder / "again" / told["file"]).read_bytes() == before
    assert call("provenance", "runs/try", "--crate", cwd=folder).returncode == 0
    assert (folder / "runs/try/ro-crate-metadata.json").is_file()


@pytest.mark.slow
def test_sigterm_saves_and_the_same_command_goes_on(folder: Path) -> None:
    patch = "l193.5_b+52.5"
    words = ["scan", "scan.yaml", "--log-json", "--workers", "2", "--set", "train.epochs=300"]
    with subprocess.Popen(
        [*COMMAND, *words], cwd=folder, stderr=subprocess.PIPE, text=True
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
    ended = call(*words, cwd=folder)
    assert ended.returncode == 0
    assert "going on from a checkpoint" in ended.stderr
    assert not list(states.iterdir())
    whole = call(*words, "--out", "whole", cwd=folder)
    assert whole.returncode == 0
    flows = f"patches/{patch}/pm_phi/flows.safetensors"
    assert (folder / "runs/try" / flows).read_bytes() == (folder / "whole" / flows).read_bytes()


def test_what_has_no_record_is_told_of(finished: Path) -> None:
    run = RunFolder(finished / "runs/try")
    assert "nothing ended badly" in call("status", run.root, "--bad", cwd=finished).stderr
    for path in run.root.glob("patches/*/records/lines.json"):
        path.unlink()
    write_text(run.workflow / "logs" / "0000.lines.log", "slurmstepd: out of memory\n")
    told = call("status", run.root, "--bad", cwd=finished)
    assert "2 stages of 2 patches have not ended" in told.stderr
    assert "out of memory" in told.stdout


def test_linking_without_the_report_and_with_other_options(finished: Path) -> None:
    run = RunFolder(finished / "runs/try")
    run.page.unlink()
    words = ["link", "scan.yaml", "--quiet", "--set", "link.candidates.min_shared=0.5"]
    assert call(*words, "--no-report", cwd=finished).returncode == 0
    assert not run.page.exists()
    assert read_config(run.config).link.candidates.min_shared == 0.5
    # A report that fails leaves the candidates.
    run.candidates.with_suffix(".fits").unlink()
    run.candidates.with_suffix(".fits").mkdir()
    assert call("inspect", run.root, "--static", cwd=finished).returncode == 3
    assert run.candidates.is_file()
    run.candidates.with_suffix(".fits").rmdir()
    assert call("inspect", run.root, "--static", cwd=finished).returncode == 0
    assert run.page.is_file()


def test_what_makes_no_sense(folder: Path) -> None:
    for words, sentence in [
        (["patch", "scan.yaml"], "name patches, or give --array I/N"),
        (["patch", "scan.yaml", "--array", "3/2"], "--array 3/2"),
        (["scan", "scan.yaml", "--on", "moon"], "--on moon"),
        (["scan", "scan.yaml", "--", "--dry-run"], "need --on local or --on slurm"),
        (["rerun", "."], "."),
        (["status", ".", "--watch", "--bad"], "--watch, --json, --bad: give one of them"),
        (["link", "scan.yaml"], "no patch of the configuration is done"),
        (["patch", "scan.yaml", "--array", "1/2", "--leave-out-failed"], "needs --done FILE"),
    ]:
        ended = call(*words, cwd=folder)
        assert ended.returncode == 2, ended.stderr
        assert sentence in ended.stderr
