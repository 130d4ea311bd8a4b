"""A scan run by Snakemake: the command, and what is left of an earlier one."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import viamachinae
from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError, install_extra
from viamachinae.pipeline.done_files import forget_unsettled
from viamachinae.pipeline.plan_file import kept_plan
from viamachinae.pipeline.prepare import prepare
from viamachinae.pipeline.status import standing, write_status
from viamachinae.pipeline.workflow_options import is_idle, split_config
from viamachinae.store.records import GOOD
from viamachinae.store.run import RunFolder

Place = Literal["local", "slurm"]
PLACES: tuple[Place, ...] = get_args(Place)
Say = Callable[[str], None]

# What is tried in turn where patches fail for good: to go on with the others of their jobs, then,
# where jobs ended as a whole, to link what stands.
_DESPITE = ("leave_out_failed=1", "link_only=1")


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


def snakemake_command(out: Path, place: Place, extra: Sequence[str] = (), *own: str) -> list[str]:
    """The command that runs the workflow on a run folder.

    Parameters
    ----------
    out : Path
        With the resolved configuration in it.
    place : {"local", "slurm"}
        Which profile to take.
    extra : sequence of str
        Options for Snakemake; a ``--config`` among them is added to ours.
    *own : str
        Further settings of ours, as KEY=VALUE.
    """
    folder, out = workflow_folder(), out.resolve()
    given, extra = split_config(extra)
    # Snakemake works in the run folder; relative paths in the configuration start here.
    settings = [f"scan={RunFolder(out).config}", f"out={out}", f"here={Path.cwd()}", *given, *own]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(folder / "Snakefile")]
    command += ["--workflow-profile", str(folder / "profiles" / place), "--directory", str(out)]
    if place == "slurm":
        command += ["--slurm-jobname-prefix", job_name(out)]
    return [*command, *extra, "--config", *settings]


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

    Where some patches fail for good, the others are brought to their end and linked all the same,
    by a second command; and by a third, which only links, where jobs end as a whole again.

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
    if is_idle(extra):
        return _look(config, out, where, extra, say)
    locks = "--nolock" not in extra
    if locks:
        refuse_locked(out)
    prepare(config, out)
    if locks:
        # Preparing takes its time, in which another may have started.
        refuse_locked(out)
    if where == "slurm" and (left := cancel_leftovers(out)):
        say(f"cancelled the jobs of an earlier run that were still queued: {' '.join(left)}")
    forget_unsettled(RunFolder(out))
    code = _run(snakemake_command(out, where, extra), where, say)
    for setting in _DESPITE:
        # A negative code is the signal that killed it: that says nothing of the patches.
        if code > 0 and any(one.patch and one.outcome in GOOD for one in standing(out)):
            code = _run(snakemake_command(out, where, extra, setting), where, say)
    forget_unsettled(RunFolder(out))
    write_status(config, out)
    if config.nulls.skies:
        say(null_skies_by_hand(out, where))
    return all(one.is_good and one.record is not None for one in standing(out))


def _look(config: ScanConfig, out: Path, place: Place, extra: Sequence[str], say: Say) -> bool:
    """Let Snakemake look at a run, and leave alone what a scan that is at work on it reads."""
    run = RunFolder(out)
    if not run.config.is_file():
        prepare(config, out)
    with tempfile.TemporaryDirectory(prefix="viamachinae-") as folder:
        plan = Path(folder) / "plan.json"
        if run.plan.is_file():
            shutil.copy(run.plan, plan)
        kept_plan(plan, config)
        return _run(snakemake_command(out, place, extra, f"plan={plan}"), place, say) == 0


def null_skies_by_hand(out: Path, place: Place) -> str:
    """How the null skies that a configuration asks for are made: not by the workflow of a scan."""
    run, skies = shlex.quote(str(out)), shlex.quote(str(RunFolder(out).nulls))
    return (
        f"nulls.skies: make the null skies with: viamachinae null {run} --prepare; for sky in "
        f'{skies}/*; do viamachinae scan "$sky/config.yaml" --out "$sky" --on {place}; done; '
        f"viamachinae null {run}"
    )


def refuse_locked(out: Path) -> None:
    """Keep away from a run folder, and from the jobs, of a Snakemake that is at work.

    Raises
    ------
    BadInputError
        If a Snakemake holds a lock on it.
    """
    if any((out / ".snakemake" / "locks").glob("*")):
        words = ["viamachinae", "scan", str(RunFolder(out).config), "--out", str(out)]
        raise BadInputError(
            f"{out}: another Snakemake is at work on it, or was killed; if none is, unlock it "
            f"with: {shlex.join([*words, '--on', 'local', '--', '--unlock'])}"
        )


def _run(command: list[str], place: Place, say: Say) -> int:
    say(shlex.join(command))
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
