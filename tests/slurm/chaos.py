"""Kill what a scan on SLURM is made of, again and again, and see that nothing is lost.

    python tests/slurm/chaos.py FOLDER [--kills 50] [--every 4] [--seed 0]

Starts a SLURM of its own (up.sh) in FOLDER, scans twelve small patches in one process, then by
`viamachinae scan --on slurm` under a rain of kill -9 on workers, on Snakemake and on slurmd. After
each kill every final file must be absent or whole, and as its record has it; the finished scan
must have the same bytes as the one without kills. Prints the kills as a table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.slurm.conftest import BATCHES, HERE, QUICK, patches, results, viamachinae
from viamachinae.flows.checkpoint import load_checkpoint
from viamachinae.store.files import file_hash
from viamachinae.store.records import read_record

KINDS = {"worker": 8, "Snakemake": 1, "slurmd": 1}
# How long to wait for a process of the kind that is to be killed.
PATIENCE_S = 20.0
# Once the rain is over, so many starts must do.
DRY_STARTS = 3


def processes(run: Path, kind: str, slurm: Path) -> list[int]:
    """Processes of a kind that belong to this run or to this SLURM."""
    if kind == "slurmd":
        pid = slurm / "run" / "slurmd.pid"
        return [int(pid.read_text())] if pid.is_file() else []
    found, children = [], {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = int((entry / "stat").read_text().rsplit(")")[1].split()[1])
        except (OSError, IndexError):
            continue
        if any("spawn_main" in word for word in words):
            children[int(entry.name)] = parent
        # Of jobs the command names the run; of the controller as well, but not the jobs' target.
        if any(str(run) in word for word in words):
            is_controller = "snakemake" in words and "--target-jobs" not in words
            is_work = "patch" in words or "link" in words
            if (kind == "Snakemake" and is_controller) or (kind == "worker" and is_work):
                found.append(int(entry.name))
    return found + [child for child, parent in children.items() if parent in found]


def check_whole(run: Path) -> int:
    """Read every final file to its end, and hold patches' files against records; how many."""
    n_files = 0
    for path in run.rglob("*"):
        try:
            if path.suffix == ".parquet":
                pq.read_table(path)
            elif path.suffix == ".safetensors":
                load_checkpoint(path)
            elif path.suffix == ".json" and ".snakemake" not in path.parts:
                json.loads(path.read_text())
            else:
                continue
        except FileNotFoundError:
            continue  # replaced or taken back meanwhile
        n_files += 1
    for path in run.glob("patches/**/records/*.json"):
        record = read_record(path)
        for name, digest in record.outputs.items() if record else ():
            if file_hash(run / name) != digest:
                raise SystemExit(f"{name}: is not what {path} says")
    return n_files


def kill_one(run: Path, slurm: Path, rng: random.Random) -> str | None:
    """Kill a process of a random kind, some moments after one is there; None if none came.

    Without the wait slurmd, which is always there, would be killed most.
    """
    (kind,) = rng.choices(list(KINDS), list(KINDS.values()))
    patience = time.monotonic() + PATIENCE_S
    while not processes(run, kind, slurm) and time.monotonic() < patience:
        time.sleep(0.1)
    time.sleep(rng.uniform(0, 2))
    candidates = processes(run, kind, slurm)
    if not candidates:
        return None
    try:
        os.kill(rng.choice(candidates), signal.SIGKILL)
    except ProcessLookupError:
        return None
    if kind == "slurmd":
        time.sleep(1)
        subprocess.run(["slurmd"], check=True)
    return kind


@dataclass
class Storm:
    """What fell upon a scan, and what was looked at."""

    rng: random.Random
    n_kills: int
    every_s: float
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    files_read: int = 0

    def rage(self, scan: subprocess.Popen[bytes], run: Path, slurm: Path) -> None:
        """Kill at random moments until the scan has ended or the kills are used up."""
        while scan.poll() is None:
            time.sleep(self.rng.uniform(0.25, 2 * self.every_s))
            if self.kills.total() < self.n_kills and (kind := kill_one(run, slurm, self.rng)):
                self.kills[kind] += 1
                self.files_read += check_whole(run)
                print(f"{self.kills.total()} {kind}", flush=True)


def scan_under_fire(config: Path, run: Path, slurm: Path, storm: Storm) -> None:
    """Start the scan until it ends well, killing meanwhile."""
    words = ["scan", config, "--out", run, "--on", "slurm", "--"]
    dry = 0
    with (run.parent / "chaos.log").open("w") as log:
        while dry < DRY_STARTS:
            dry += storm.kills.total() >= storm.n_kills
            storm.starts += 1
            subprocess.run(viamachinae(*words, "--unlock"), stdout=log, stderr=log, check=False)
            command = viamachinae(*words, *QUICK, "--retries", "5", *BATCHES)
            with subprocess.Popen(command, stdout=log, stderr=log) as scan:
                storm.rage(scan, run, slurm)
            if scan.returncode == 0 and storm.kills.total() >= storm.n_kills:
                return
            if scan.returncode == 0:
                raise SystemExit(f"finished after {storm.kills.total()} kills: kill more often")
    raise SystemExit(f"{DRY_STARTS} starts without kills did not finish it")


def main() -> None:
    """Run it; exit with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--every", type=float, default=4.0, help="seconds between kills")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    config = folder / "sky.yaml"
    config.write_text(yaml.safe_dump(patches(scans=("pm_phi",))))
    whole, killed, slurm = folder / "whole", folder / "killed", folder / "slurm"
    storm = Storm(random.Random(options.seed), options.kills, options.every)
    subprocess.run(viamachinae("scan", config, "--out", whole, "--quiet"), check=True)
    subprocess.run([HERE / "up.sh", slurm], check=True)
    try:
        scan_under_fire(config, killed, slurm, storm)
    finally:
        subprocess.run([HERE / "down.sh", slurm], check=True)
    for kind in KINDS:
        print(f"| kills of a {kind} | {storm.kills[kind]} |")
    print(f"| starts of the scan | {storm.starts} |")
    print(f"| files read after kills | {storm.files_read} |")
    expected = results(whole)
    same = expected == results(killed)
    print(f"{len(expected)} files: {'identical' if same else 'DIFFERENT'}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
