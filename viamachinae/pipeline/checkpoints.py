"""Checkpoints of one training: the last two, whole, beside the outputs and not among them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from viamachinae.disk import FULL_DISK, atomic
from viamachinae.flows.checkpoint import load_checkpoint, save_checkpoint
from viamachinae.pipeline.stopping import asked, end_if_asked

logger = logging.getLogger(__name__)

KEPT = 2


class Checkpoints:
    """Keeps the state of a training as long as it lasts.

    Two processes that train the same at once do no harm: they write the same states, each file
    is whole, and whichever ends first leaves the other to end with the same bytes.

    Parameters
    ----------
    folder : Path
    key : str
        Hash of all that decides the training; a checkpoint with another one is not taken.
    seconds : float
        Time from one checkpoint to the next.
    """

    def __init__(self, folder: Path, key: str, seconds: float) -> None:
        self.folder, self.key, self.seconds = folder, key, seconds
        self.last = time.monotonic()

    def due(self) -> bool:
        """Whether it is time, or the process was asked to end."""
        return asked() or time.monotonic() - self.last >= self.seconds

    def save(self, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        """Write a checkpoint, and end the process if it was asked to.

        A full disk costs the checkpoint alone: the training may yet end well.
        """
        number = max((int(path.stem) for path in self._files()), default=0) + 1
        try:
            with atomic(self.folder / f"{number:06d}.safetensors") as temporary:
                save_checkpoint(temporary, tensors, {"key": self.key, **header})
        except OSError as error:
            if error.errno not in FULL_DISK:
                raise
            logger.warning("%s: no space left for a checkpoint; going on", self.folder)
        for old in self._files()[:-KEPT]:
            old.unlink(missing_ok=True)
        self.last = time.monotonic()
        end_if_asked()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The newest checkpoint with the same key that can be read, or None."""
        for path in reversed(self._files()):
            try:
                tensors, header = load_checkpoint(path)
            except (ValueError, OSError):
                continue
            if header.pop("key", None) == self.key:
                logger.info("%s: going on from a checkpoint", self.folder.parent)
                return tensors, header
        return None

    def part(self, name: str) -> Checkpoints:
        """The checkpoints of one of several fits that follow each other, in a folder of theirs."""
        return Checkpoints(self.folder / name, self.key, self.seconds)

    def clear(self) -> None:
        """Remove all checkpoints; folders stay, for another process may be writing to them."""
        for path in self.folder.rglob("[0-9]*.safetensors"):
            path.unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.safetensors"))
