"""How much memory a stage took at most, of the machine and of the GPU."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

import torch

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class PeakMemory:
    """Measures from its making on.

    On Linux the kernel's high-water mark is set back first; elsewhere it is that of the whole
    life of the process.
    """

    def __init__(self) -> None:
        # Where that cannot be, the mark of the process's life is an upper bound.
        with contextlib.suppress(OSError):
            _RESET.write_text("5")
        if _on_gpu():
            torch.cuda.reset_peak_memory_stats()

    def host_bytes(self) -> int:
        """Most resident memory of the process."""
        try:
            lines = _STATUS.read_text().splitlines()
            mark = next(line for line in lines if line.startswith("VmHWM"))
            return int(mark.split()[1]) * 1024
        except (OSError, StopIteration):
            unit = 1 if sys.platform == "darwin" else 1024
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def device_bytes(self) -> int:
        """Most memory that torch held on the GPU; 0 without one."""
        return torch.cuda.max_memory_allocated() if _on_gpu() else 0


def _on_gpu() -> bool:
    """Whether torch has worked on a GPU; asking more would take memory on one."""
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def device_name(device: torch.device) -> str:
    """The processor in words."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
