"""How much memory can be had, and how much a stage took at most, of the machine and of the GPU."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import Any

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def free_bytes(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Memory that this process can still have; None where the system does not tell.

    That is what the kernel can give, caches included, or what is left of the limit of a control
    group (version 2) that it is in, as of a container or of a job on a cluster.
    """
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    free = int(available.split()[1]) * 1024
    for group in _groups(proc, cgroups):
        # A group without a limit says "max", the outermost one has none.
        with contextlib.suppress(OSError, ValueError):
            free = min(free, _left(group))
    return free


def _groups(proc: Path, cgroups: Path) -> list[Path]:
    """The folders of the control group of this process, and of those around it."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    path = cgroups / own.lstrip("/")
    return [path, *(up for up in path.parents if up.is_relative_to(cgroups))]


def _left(group: Path) -> int:
    """What is left of a group's limit; its caches of files can be given up."""
    limit = int((group / "memory.max").read_text())
    used = int((group / "memory.current").read_text())
    words = (line.split() for line in (group / "memory.stat").read_text().splitlines())
    cached = next((int(value) for name, value in words if name == "inactive_file"), 0)
    return max(limit - used + cached, 0)


class PeakMemory:
    """Measures from its making on.

    On Linux the kernel's high-water mark is set back first; elsewhere it is that of the whole
    life of the process.
    """

    def __init__(self) -> None:
        # Where that cannot be, the mark of the process's life is an upper bound.
        with contextlib.suppress(OSError):
            _RESET.write_text("5")
        if torch := _torch_on_gpu():
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
        torch = _torch_on_gpu()
        return int(torch.cuda.max_memory_allocated()) if torch else 0


def _torch_on_gpu() -> Any:
    """Torch, where it is loaded and has worked on a GPU; asking more would take memory on one."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None
