"""The stages of one patch, from its stars to its protoclusters: the unit of work on a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from viamachinae.config import Scan, ScanConfig
from viamachinae.pipeline.estimate import Foreseen
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.extent import WHOLE, Extent, Place, recorded
from viamachinae.pipeline.sources import input_fingerprint, open_source
from viamachinae.pipeline.stage import StageName
from viamachinae.pipeline.tasks.work import Work
from viamachinae.sky import patches_named
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder


def patch(
    config: ScanConfig,
    out: Path,
    patch_id: str,
    extent: Extent = WHOLE,
    *,
    watch: Watcher = unwatched,
    fingerprint: str | None = None,
) -> list[Record]:
    """Bring a patch up to date; what an earlier run did is kept.

    Parameters
    ----------
    config : ScanConfig
    out : Path
        The run folder.
    patch_id : str
        As in the tiling.
    extent : Extent
        The stages to run; by default all.
    watch : callable
        Is told how the stages fare.
    fingerprint : str, optional
        What `input_fingerprint` gives, where the caller knows it already.

    Returns
    -------
    list of Record
        How each of these stages ended, in order.

    Raises
    ------
    BadInputError
        If the tiling does not hold the patch, or the source cannot be used.
    """
    run, (where,) = RunFolder(out), patches_named(config.sky, [patch_id])
    work = Work(run, config, where, watch, Foreseen(config, run, patch_id))
    records = _through_stages(work, extent, fingerprint)
    work.memory.warn_after(records)
    return records


def _through_stages(work: Work, extent: Extent, fingerprint: str | None) -> list[Record]:
    wanted, where = extent.places(work.config), work.patch.id
    ended: dict[Place, Record] = {}
    for stage, scan in WHOLE.places(work.config):
        if (stage, scan) in wanted:
            ended[stage, scan] = _bring_up_to_date(work, stage, scan, ended, fingerprint)
        else:
            ended[stage, scan] = recorded(work.run, stage, where, scan)
    return [ended[place] for place in wanted]


def _bring_up_to_date(
    work: Work,
    stage: StageName,
    scan: Scan | None,
    ended: Mapping[Place, Record],
    fingerprint: str | None,
) -> Record:
    """One stage; `ended` are the records of those before it."""
    # Each is loaded here: torch takes seconds and much memory, and half of them do without.
    if stage == "preprocess":
        from viamachinae.pipeline.tasks.preprocess import preprocess_stars

        known = fingerprint or input_fingerprint(work.config, open_source(work.config))
        return preprocess_stars(work, known)
    prepared = ended["preprocess", None]
    if scan is None:
        from viamachinae.pipeline.tasks.lines import lines

        return lines(work, prepared, [one for (name, _), one in ended.items() if name == "score"])
    if stage == "train":
        from viamachinae.pipeline.tasks.train import train

        return train(work, scan, prepared)
    from viamachinae.pipeline.tasks.score import score

    return score(work, scan, prepared, ended["train", scan])
