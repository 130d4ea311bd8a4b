"""Kill what a scan on SLURM is made of, again and again, and see that nothing is lost.

    python tests/slurm/chaos.py FOLDER [--kills 50] [--seed 0]

Starts a SLURM of its own (up.sh) in FOLDER, scans twelve small patches in one process, then by
`viamachinae scan --on slurm` under a rain of kill -9 on workers, on Snakemake and on slurmd. After
each kill every final file must be absent or whole, as its record has it; the finished scan must
have the same bytes as the one without kills. Prints the kills as a table.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.slurm.conftest import BATCHES, HERE, QUICK, results, twelve_patches, viamachinae
from viamachinae.flows.checkpoint import load_checkpoint


def processes(run: Path, kind: str, slurm: Path) -> list[int]:
    """Processes of a kind that belong to this run or to this SLURM."""
    if kind == "slurmd":
        pid = slurm / "run" / "slurmd.pid"
        return [int(pid.read_text())] if pid.is_file() else []
    found, parents = [], {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")")[1].split()[1])
        except (OSError, IndexError):
            continue
        # Of jobs the command names the run; of the controller as well, but not the jobs' target.
        if str(run) in " ".join(words):
            is_controller = "snakemake" in words and "--target-jobs" not in words
            is_work = "patch" in words or "link" in words
            if (kind == "Snakemake" and is_controller) or (kind == "worker" and is_work):
                found.append(int(entry.name))
    if kind == "worker":
        found += [child for child, parent in parents.items() if parent in found]
    return found


def check_whole(run: Path) -> None:
    """Every final file can be read to its end."""
    for path in run.rglob("*"):
        try:
            if path.suffix == ".parquet":
                pq.read_table(path)
            elif path.suffix == ".safetensors":
                load_checkpoint(path)
            elif path.suffix == ".json" and ".snakemake" not in path.parts:
                yaml.safe_load(path.read_text())
        except FileNotFoundError:
            continue  # replaced or taken back meanwhile


def kill_one(run: Path, slurm: Path, rng: random.Random) -> str | None:
    """Kill a process of a random kind; which, or None if there was none."""
    kind = rng.choices(["worker", "Snakemake", "slurmd"], [8, 1, 1])[0]
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


def scan_under_fire(config: Path, run: Path, slurm: Path, n_kills: int, seed: int) -> Counter[str]:
    """Start the scan until it ends well, killing meanwhile."""
    rng, kills = random.Random(seed), Counter[str]()
    words = ["scan", config, "--out", run, "--on", "slurm", "--"]
    with (run.parent / "chaos.log").open("w") as log:
        while True:
            kills["starts of the scan"] += 1
            subprocess.run(viamachinae(*words, "--unlock"), stdout=log, stderr=log, check=False)
            command = viamachinae(*words, *QUICK, "--retries", "5", *BATCHES)
            with subprocess.Popen(command, stdout=log, stderr=log) as scan:
                while scan.poll() is None:
                    time.sleep(rng.uniform(0.5, 4.0))
                    done = sum(kills.values()) - kills["starts of the scan"] >= n_kills
                    kind = None if done else kill_one(run, slurm, rng)
                    if kind is not None:
                        kills[kind] += 1
                        check_whole(run)
                if scan.returncode == 0:
                    return kills


def main() -> None:
    """Run it; exit with 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    config = folder / "twelve.yaml"
    config.write_text(yaml.safe_dump(twelve_patches()))
    whole, killed, slurm = folder / "whole", folder / "killed", folder / "slurm"
    subprocess.run(viamachinae("scan", config, "--out", whole, "--quiet"), check=True)
    subprocess.run([HERE / "up.sh", slurm], check=True)
    try:
        kills = scan_under_fire(config, killed, slurm, options.kills, options.seed)
    finally:
        subprocess.run([HERE / "down.sh", slurm], check=True)
    for kind, number in sorted(kills.items()):
        print(f"| {kind} | {number} |")
    same = results(whole) == results(killed)
    print("identical" if same else "DIFFERENT")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
