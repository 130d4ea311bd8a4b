"""Which stages of a patch to bring up to date; the others are taken as they are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from viamachinae.config import Scan, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.pipeline.stage import STAGE_NAMES, StageName
from viamachinae.store.records import Record, read_record
from viamachinae.store.run import RunFolder

# A stage of a patch, and the scan of those that have one.
Place = tuple[StageName, Scan | None]


@dataclass(frozen=True)
class Extent:
    """Stages, and scans of those that have one.

    Attributes
    ----------
    stages : tuple of StageName
    scans : tuple of Scan, optional
        By default all of the configuration.
    """

    stages: tuple[StageName, ...] = STAGE_NAMES
    scans: tuple[Scan, ...] | None = None

    def places(self, config: ScanConfig) -> list[Place]:
        """Stage and scan of every record that work to this extent leaves, in order."""
        scans = config.regions.scans if self.scans is None else self.scans
        every: list[Place] = [("preprocess", None)]
        for scan in scans:
            every += [("train", scan), ("score", scan)]
        every.append(("lines", None))
        return [place for place in every if place[0] in self.stages]


WHOLE = Extent()


def parse_extent(
    config: ScanConfig, stage: str | None, only: str | None, scan: str | None
) -> Extent:
    """The extent that options of the command line describe.

    Parameters
    ----------
    stage : str, optional
        The last stage.
    only : str, optional
        Names of stages, with commas.
    scan : str, optional
        One scan.

    Raises
    ------
    BadInputError
        If they name what does not exist, or contradict each other.
    """
    if stage is not None and only is not None:
        raise BadInputError("--stage and --only: give one of the two")
    stages: list[StageName] = list(STAGE_NAMES)
    if stage is not None:
        stages = stages[: stages.index(_known("--stage", stage)) + 1]
    if only is not None:
        wanted = [_known("--only", name) for name in only.split(",")]
        stages = [name for name in stages if name in wanted]
    if scan is None:
        return Extent(tuple(stages))
    scans = [one for one in config.regions.scans if one == scan]
    if not scans:
        raise BadInputError(f"--scan {scan}: must be one of {', '.join(config.regions.scans)}")
    if "lines" in stages:
        raise BadInputError("--scan: lines are found in all scans together; leave one of them out")
    return Extent(tuple(stages), tuple(scans))


def _known(option: str, name: str) -> StageName:
    for stage in STAGE_NAMES:
        if stage == name:
            return stage
    raise BadInputError(f"{option} {name}: must be one of {', '.join(STAGE_NAMES)}")


def recorded(run: RunFolder, stage: StageName, patch: str, scan: Scan | None = None) -> Record:
    """The record of a stage that is not to be run now; of one that never ended, a failed one."""
    record = read_record(run.record(stage, patch, scan))
    if record is not None:
        return record
    return Record(stage, patch, scan, "failed", "has not ended yet", 0.0, "", {}, {})


def share(patches: Sequence[str], text: str) -> list[str]:
    """The i-th of n shares of the patches, as ``i/n`` with 1 <= i <= n.

    Raises
    ------
    BadInputError
        If the text says something else.
    """
    number, slash, count = text.partition("/")
    if not (slash and number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise BadInputError(f"--array {text}: write i/n with i from 1 to n, as in 3/20")
    return list(patches[int(number) - 1 :: int(count)])
