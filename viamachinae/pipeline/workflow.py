"""A scan run by Snakemake: the command, and what is left of an earlier one."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import viamachinae
from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError, install_extra
from viamachinae.pipeline.prepare import prepare
from viamachinae.pipeline.status import standing, write_status
from viamachinae.store.run import RunFolder

Place = Literal["local", "slurm"]
PLACES: tuple[Place, ...] = get_args(Place)
Say = Callable[[str], None]

# With these Snakemake runs nothing, so that nothing has to be made ready or finished.
_IDLE = {"-n", "--dry-run", "--dryrun", "--unlock", "--lint", "--list-rules", "--summary"}


def workflow_folder() -> Path:
    """Where the Snakefile is: beside the package in a checkout, or where pip put it.

    Raises
    ------
    BadInputError
        If it is not there.
    """
    beside = Path(viamachinae.__file__).parents[1] / "workflows"
    installed = Path(sys.prefix) / "share" / "viamachinae" / "workflows"
    for folder in (beside, installed):
        if (folder / "Snakefile").is_file():
            return folder
    raise BadInputError(f"{installed}: has no Snakefile; install viamachinae again")


def snakemake_command(
    out: Path, place: Place, extra: Sequence[str] = (), leave_out_failed: bool = False
) -> list[str]:
    """The command that runs the workflow on a run folder.

    Parameters
    ----------
    out : Path
        With the resolved configuration in it.
    place : {"local", "slurm"}
        Which profile to take.
    extra : sequence of str
        Options for Snakemake; a ``--config`` among them is added to ours.
    leave_out_failed : bool
        Link what is done, although some patches failed.
    """
    folder, out = workflow_folder(), out.resolve()
    given, extra = _split_config(extra)
    # Snakemake works in the run folder; relative paths in the configuration start here.
    settings = [f"scan={RunFolder(out).config}", f"out={out}", f"here={Path.cwd()}", *given]
    if leave_out_failed:
        settings.append("leave_out_failed=1")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(folder / "Snakefile")]
    command += ["--workflow-profile", str(folder / "profiles" / place), "--directory", str(out)]
    if place == "slurm":
        command += ["--slurm-jobname-prefix", job_name(out)]
    return [*command, *extra, "--config", *settings]


def _split_config(extra: Sequence[str]) -> tuple[list[str], list[str]]:
    """The values of --config among the options, and the others."""
    if "--config" not in extra:
        return [], list(extra)
    first = list(extra).index("--config")
    stop = first + 1
    while stop < len(extra) and not extra[stop].startswith("-"):
        stop += 1
    return list(extra[first + 1 : stop]), [*extra[:first], *extra[stop:]]


def job_name(out: Path) -> str:
    """What the names of all jobs of a run begin with."""
    return f"vm-{hashlib.blake2b(str(out.resolve()).encode(), digest_size=6).hexdigest()}"


def cancel_leftovers(out: Path) -> list[str]:
    """Cancel the jobs of this run that an earlier Snakemake, killed, left in SLURM's queue.

    A new Snakemake does not know them and would start their work a second time: harmless, but
    dear.

    Returns
    -------
    list of str
        Their numbers.
    """
    if shutil.which("squeue") is None:
        return []
    listed = subprocess.run(
        ["squeue", "--noheader", "--me", "--format=%i %j"],
        capture_output=True,
        text=True,
        check=False,
    )
    jobs = [line.split(maxsplit=1) for line in listed.stdout.splitlines()]
    own = [job[0] for job in jobs if job[-1].startswith(job_name(out))]
    if own:
        subprocess.run(["scancel", *own], check=False)
    return own


def run_workflow(config: ScanConfig, out: Path, place: str, extra: Sequence[str], say: Say) -> bool:
    """Scan by Snakemake.

    Where some patches fail for good, what is done is linked all the same, by a second command.

    Parameters
    ----------
    extra : sequence of str
        Options for Snakemake, as it takes them.
    say : callable
        Is told every command before it starts.

    Returns
    -------
    bool
        Whether every stage of every patch ended well.

    Raises
    ------
    BadInputError
        If the place is unknown, Snakemake is not installed or holds a lock on the run folder, or
        the source cannot be used.
    """
    where = next((name for name in PLACES if name == place), None)
    if where is None:
        raise BadInputError(f"--on {place}: must be one of {', '.join(PLACES)}")
    if importlib.util.find_spec("snakemake") is None:
        raise BadInputError(f"--on: needs Snakemake; install it with {install_extra('cluster')}")
    is_idle = bool(_IDLE & set(extra))
    if not is_idle and "--nolock" not in extra:
        _refuse_locked(out, where)
    prepare(config, out)
    if is_idle:
        return _run(snakemake_command(out, where, extra), where, say) == 0
    if where == "slurm" and (left := cancel_leftovers(out)):
        say(f"cancelled the jobs of an earlier run that were still queued: {' '.join(left)}")
    code = _run(snakemake_command(out, where, extra), where, say)
    # A negative code is the signal that killed it: that says nothing of the patches.
    if code > 0 and any(one.stage == "lines" and one.record for one in standing(out)):
        _run(snakemake_command(out, where, extra, leave_out_failed=True), where, say)
    write_status(config, out)
    return all(one.is_good and one.record is not None for one in standing(out))


def _refuse_locked(out: Path, place: Place) -> None:
    """Keep away from the jobs of another Snakemake, which are not to be cancelled."""
    if any((out / ".snakemake" / "locks").glob("*")):
        raise BadInputError(
            f"{out}: another Snakemake is at work on it, or was killed; if none is, unlock it "
            f"with: viamachinae scan {RunFolder(out).config} --out {out} --on {place} -- --unlock"
        )


def _run(command: list[str], place: Place, say: Say) -> int:
    say(" ".join(command))
    # Jobs find `viamachinae` beside this interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    # In a process group of its own it is told once to end, by us, and in the way that suits.
    process = subprocess.Popen(command, env={**os.environ, "PATH": path}, process_group=0)
    try:
        return process.wait()
    except BaseException:
        _stop(process, place)
        raise


def _stop(process: subprocess.Popen[bytes], place: Place) -> None:
    """Make Snakemake end with its jobs, which save their state.

    At SIGINT it cancels what is in SLURM's queue; at SIGTERM it would wait for that. Here it waits
    for its jobs in any case, so that these are told as well.
    """
    if place == "slurm":
        process.send_signal(signal.SIGINT)
    else:
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()
