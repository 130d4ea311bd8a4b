import json
from math import ceil
from pathlib import Path

import yaml
from snakemake.utils import validate


SCAN = Path(config["scan"]).resolve()
SETTINGS = yaml.safe_load(SCAN.read_text()) or {}
validate(SETTINGS, "../schemas/scan.schema.json", set_default=False)
OUT = Path(config.get("out", Path("runs") / SETTINGS.get("name", "scan"))).resolve()
# Where relative paths in the configuration start.
HERE = Path(config.get("here", ".")).resolve()
shell.prefix("set -euo pipefail; cd {HERE:q}; ")

# Stars that are worth a job: smaller patches share one.
STARS_PER_JOB = int(config.get("stars_per_job", 500_000))
# GPUs for a training job.
GPUS = int(config.get("gpus", 0))
# Link what is done although some patches failed; they stay to be done.
LEAVE_OUT_FAILED = bool(config.get("leave_out_failed", False))

# Memory of a job beside its stars, and that of a star, where the plan does not estimate it.
MEMORY_MB, STAR_KB = 1500, 1.0
# Minutes of a job beside its training.
MINUTES = 10


if workflow.is_main_process:
    shell("viamachinae plan {SCAN} --out {OUT}/plan.json > /dev/null")

PLAN = json.loads((OUT / "plan.json").read_text())


def batches(rows):
    """Patches that share a job, by the number of the job."""
    found, stars = [], 0
    for row in rows:
        if not found or stars + row["n_stars"] > STARS_PER_JOB:
            found.append([])
            stars = 0
        found[-1].append(row)
        stars += row["n_stars"]
    return {f"{number:04d}": rows for number, rows in enumerate(found)}


BATCHES = batches(PLAN["patches"])


def done(stage):
    """The file that tells Snakemake that a stage of a batch has ended; from our records alone."""
    return OUT / "workflow" / f"{{batch}}.{stage}.done"


def log_of(stage):
    return OUT / "workflow" / "logs" / f"{{batch}}.{stage}.log"


def patches(wildcards):
    return [row["patch"] for row in BATCHES[wildcards.batch]]


def megabytes(wildcards, attempt):
    """Memory of a job, more at each attempt, up to three times as much."""
    estimates = [
        row.get("memory_bytes", 1e6 * MEMORY_MB + 1e3 * STAR_KB * row["n_stars"])
        for row in BATCHES[wildcards.batch]
    ]
    # Who is allowed more attempts is short of time.
    return ceil(min(attempt, 3) * max(estimates) / 1e6)


def minutes(wildcards, attempt):
    """Time of a job that trains one scan, more at each attempt."""
    seconds = sum(row["seconds"] for row in BATCHES[wildcards.batch])
    return ceil(attempt * (MINUTES + 2 * seconds / 60 / len(PLAN["scans"])))


def linkable(wildcards):
    """What the patches have to have done before they are linked."""
    files = [Path(str(done("lines")).format(batch=batch)) for batch in BATCHES]
    return [file for file in files if file.exists() or not LEAVE_OUT_FAILED]


wildcard_constraints:
    batch=r"\d+",
    scan="|".join(PLAN["scans"]),
