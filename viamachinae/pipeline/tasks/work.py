"""What all stages of a patch need to know."""

from __future__ import annotations

from dataclasses import dataclass

from viamachinae.config import ScanConfig
from viamachinae.pipeline.estimate import Foreseen
from viamachinae.pipeline.events import Watcher
from viamachinae.sky import Patch
from viamachinae.store.run import RunFolder


@dataclass(frozen=True)
class Work:
    """A patch at work.

    Attributes
    ----------
    run : RunFolder
    config : ScanConfig
    patch : Patch
    watch : callable
        Is told how the stages fare.
    memory : Foreseen
    """

    run: RunFolder
    config: ScanConfig
    patch: Patch
    watch: Watcher
    memory: Foreseen
