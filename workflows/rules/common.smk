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
# Go on without patches that failed; they stay to be done.
LEAVE_OUT_FAILED = bool(int(config.get("leave_out_failed", 0)))
# Start no job of a patch: link what is recorded as it stands.
LINK_ONLY = bool(int(config.get("link_only", 0)))

# Memory of a job beside that of its worker: Snakemake, which is there twice in a SLURM job, and
# the process that started the worker (measured, rounded up).
OVERHEAD_MB = 600
# The plan's estimate is what is likely, not the most there may be (ours).
MARGIN = 1.25
# Minutes of a job beside its training.
MINUTES = 10


# A dry run may bring a plan of its own: that in OUT may be another scan's at work.
PLAN_FILE = Path(config.get("plan", OUT / "plan.json"))
if workflow.is_main_process and "plan" not in config:
    shell("viamachinae plan {SCAN:q} --out {PLAN_FILE:q} > /dev/null")

PLAN = json.loads(PLAN_FILE.read_text())

# Stars come from an archive: to one patch after the other, where there is a network.
DOWNLOADS = PLAN["total"]["download_bytes"] > 0


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


# Removed with the files of patches that are to be done again: while the candidates are there,
# Snakemake would not miss those. With this gone it links, and so asks for them.
LINKED = OUT / "workflow" / "linked"


def log_of(stage):
    return OUT / "workflow" / "logs" / f"{{batch}}.{stage}.log"


def patches(wildcards):
    return [row["patch"] for row in BATCHES[wildcards.batch]]


def megabytes(wildcards, attempt):
    """Memory of a job, whose worker may take up to three times as much with more attempts."""
    worker = MARGIN * max(row["memory_bytes"] for row in BATCHES[wildcards.batch]) / 1e6
    # Who is allowed more attempts is short of time.
    return ceil(OVERHEAD_MB + min(attempt, 3) * worker)


def short(wildcards, attempt):
    """Minutes of a job that trains nothing, more at each attempt."""
    return attempt * MINUTES


def minutes(wildcards, attempt):
    """Minutes of a job that trains one scan, more at each attempt."""
    seconds = sum(row["seconds"] for row in BATCHES[wildcards.batch])
    return ceil(attempt * (MINUTES + 2 * seconds / 60 / len(PLAN["scans"])))


def linkable(wildcards):
    """What the patches have to have done before they are linked."""
    return [] if LINK_ONLY else expand(done("lines"), batch=BATCHES)


def work(options):
    """The command of a job that brings its patches up to date."""
    if LEAVE_OUT_FAILED:
        options += " --leave-out-failed"
    return (
        "viamachinae patch {params.scan:q} {params.patches} --out {params.out:q} --only "
        + options
        + " --done {output:q} --log-json > {log:q} 2>&1"
    )


wildcard_constraints:
    batch=r"\d+",
    scan="|".join(PLAN["scans"]),
