"""Kill what a scan on SLURM is made of, again and again, and see that nothing is lost.

    python tests/slurm/chaos.py FOLDER [--kills 50] [--every 4] [--seed 0]

Starts a SLURM of its own (up.sh) in FOLDER, scans twelve small patches in one process, then by
`viamachinae scan --on slurm` under a rain of kill -9 on workers, jobs, Snakemake and slurmd, in as
many run folders as the kills last for. After each kill every final file must be absent or
whole, and as its record has it; a finished scan must have the same bytes as the one without kills.
Prints the kills as a table.
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

# Of ten kills: a worker has a patch, a job some workers in turn, Snakemake all jobs.
KINDS = {"worker": 7, "job": 1, "Snakemake": 1, "slurmd": 1}
# Training that takes most of a job; a checkpoint comes every second.
EPOCHS = 30
# So long at most from one kill to the next, if nothing new is written.
PATIENCE_S = 60.0
# Once the rain is over, so many starts must do.
DRY_STARTS = 3


def processes(run: Path, kind: str, slurm: Path) -> dict[int, str]:
    """Processes of a kind that belong to this run or to this SLURM, and what each is at."""
    if kind == "slurmd":
        pid = slurm / "run" / "slurmd.pid"
        return {int(pid.read_text()): kind} if pid.is_file() else {}
    jobs, parents, controllers = dict[int, str](), dict[int, int](), dict[int, str]()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parent = int((entry / "stat").read_text().rsplit(")")[1].split()[1])
        except (OSError, IndexError):
            continue
        pid = int(entry.name)
        if any("spawn_main" in word for word in words):
            parents[pid] = parent
        # Of jobs the command names the run; of the controller as well, but not the jobs' target.
        if not any(str(run) in word for word in words):
            continue
        if "snakemake" in words and "--target-jobs" not in words:
            controllers[pid] = kind
        elif "--only" in words:
            jobs[pid] = words[words.index("--only") + 1]
        elif verb := {"link", "inspect"} & set(words):
            jobs[pid] = verb.pop()
    workers = {pid: jobs[parent] for pid, parent in parents.items() if parent in jobs}
    return {"Snakemake": controllers, "job": jobs, "worker": workers}[kind]


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
    """Kill a process of a random kind while jobs are at work; what it was at, or None."""
    (kind,) = rng.choices(list(KINDS), list(KINDS.values()))
    there = processes(run, kind, slurm)
    if not there or not processes(run, "job", slurm):
        return None
    pid = rng.choice(list(there))
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return None
    if kind == "slurmd":
        time.sleep(1)
        subprocess.run(["slurmd"], check=True)
    return kind if kind == there[pid] else f"{kind} at {there[pid]}"


def writes(run: Path) -> set[tuple[str, int]]:
    """Every file below the patches and what the workflow is told, with the time of its writing."""
    found = set()
    for path in [*run.glob("patches/**/*"), *run.glob("candidates/**/*"), *run.glob("workflow/*")]:
        try:
            found.add((str(path), path.stat().st_mtime_ns))
        except FileNotFoundError:
            continue  # a temporary name
    return found


@dataclass
class Storm:
    """What fell upon a scan, and what was looked at.

    Its clock is the work done, so that kills fall everywhere in it however slow the machine is.
    """

    rng: random.Random
    n_kills: int
    every: int
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    files_read: int = 0

    def rage(self, scan: subprocess.Popen[bytes], run: Path, slurm: Path) -> None:
        """Kill at random moments until the scan has ended or the kills are used up."""
        while scan.poll() is None and self.kills.total() < self.n_kills:
            self._wait(scan, run)
            if scan.poll() is None and (kind := kill_one(run, slurm, self.rng)):
                self.kills[kind] += 1
                self.files_read += check_whole(run)
                print(f"{self.kills.total()} {kind}", flush=True)
        scan.wait()

    def _wait(self, scan: subprocess.Popen[bytes], run: Path) -> None:
        seen, awaited = writes(run), self.rng.randint(0, 2 * self.every)
        patience = time.monotonic() + PATIENCE_S
        while scan.poll() is None and time.monotonic() < patience:
            time.sleep(self.rng.uniform(0, 0.5))
            if len(writes(run) - seen) >= awaited:
                return


def scan_under_fire(config: Path, run: Path, slurm: Path, storm: Storm) -> None:
    """Start the scan until it ends well, killing meanwhile."""
    words = ["scan", config, "--out", run, "--on", "slurm", "--"]
    dry = 0
    with run.with_suffix(".log").open("w") as log:
        while dry < DRY_STARTS:
            dry += storm.kills.total() >= storm.n_kills
            storm.starts += 1
            if list(run.glob(".snakemake/locks/*")):
                subprocess.run(viamachinae(*words, "--unlock"), stdout=log, stderr=log, check=True)
            command = viamachinae(*words, *QUICK, "--retries", "20", *BATCHES)
            with subprocess.Popen(command, stdout=log, stderr=log) as scan:
                storm.rage(scan, run, slurm)
            if scan.returncode == 0:
                return
    raise SystemExit(f"{DRY_STARTS} starts without kills did not finish it")


def main() -> None:
    """Run it; exit with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--every", type=int, default=4, help="files written between kills")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    sky = patches(scans=("pm_phi",))
    sky["train"]["epochs"] = EPOCHS
    config, whole, slurm = folder / "sky.yaml", folder / "whole", folder / "slurm"
    config.write_text(yaml.safe_dump(sky))
    storm = Storm(random.Random(options.seed), options.kills, options.every)
    subprocess.run(viamachinae("scan", config, "--out", whole, "--quiet"), check=True)
    expected, killed = results(whole), list[Path]()
    subprocess.run([HERE / "up.sh", slurm], check=True)
    begin = time.monotonic()
    try:
        while storm.kills.total() < storm.n_kills:
            killed.append(folder / f"killed-{len(killed)}")
            scan_under_fire(config, killed[-1], slurm, storm)
    finally:
        minutes = (time.monotonic() - begin) / 60
        subprocess.run([HERE / "down.sh", slurm], check=True)
    same = all(results(run) == expected for run in killed)
    for kind, number in sorted(storm.kills.items()):
        print(f"| kills of a {kind} | {number} |")
    print(f"| scans | {len(killed)} |")
    print(f"| starts of them | {storm.starts} |")
    print(f"| files read after kills | {storm.files_read} |")
    print(f"| minutes | {minutes:.0f} |")
    print(f"{len(expected)} files of each: {'identical' if same else 'DIFFERENT'}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
