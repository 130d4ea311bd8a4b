"""Files that tell a workflow that stages of some patches have ended; from the records alone."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from viamachinae.pipeline.extent import Extent
from viamachinae.store.files import read_json, write_json
from viamachinae.store.records import SETTLED, Record
from viamachinae.store.run import RunFolder


def write_done(
    path: Path, extent: Extent, records: dict[str, list[Record]], leave_out_failed: bool = False
) -> bool:
    """Write a file that says that nothing is left to do, if that is so.

    A workflow takes it as the output of a rule.

    Parameters
    ----------
    leave_out_failed : bool
        Write it in any case: it names the patches that failed, and the others can go on.

    Returns
    -------
    bool
        Whether it is written: else some stage has not ended, or may end otherwise next time.
    """
    if not leave_out_failed and not all(
        record.outcome in SETTLED for one in records.values() for record in one
    ):
        return False
    content = {
        "stages": extent.stages,
        "patches": {
            patch: {f"{r.scan or 'all'}/{r.stage}": r.outcome for r in one}
            for patch, one in records.items()
        },
    }
    write_json(path, content)
    return True


def forget_unsettled(run: RunFolder) -> None:
    """Remove the files that name a patch that failed, so that a workflow tries it again."""
    for path in run.workflow.glob("*.done"):
        patches = read_json(path)["patches"].values()
        if any(outcome not in SETTLED for stages in patches for outcome in stages.values()):
            _forget(run, path)


def forget_done(run: RunFolder, patch: str, stages: Collection[str]) -> None:
    """Remove the files that say that these stages of a patch have ended."""
    for path in run.workflow.glob("*.done"):
        done = read_json(path)
        if patch in done["patches"] and not set(stages).isdisjoint(done["stages"]):
            _forget(run, path)


def _forget(run: RunFolder, path: Path) -> None:
    """Remove such a file, and the one for which a workflow asks for it: see common.smk."""
    path.unlink(missing_ok=True)
    (run.workflow / "linked").unlink(missing_ok=True)
