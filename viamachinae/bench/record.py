"""What was measured on one machine, kept in a folder from run to run."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from viamachinae.bench.libraries import LIBRARIES
from viamachinae.bench.likelihood import Likelihood
from viamachinae.bench.speed import Case, Speed

NUMBERS = "speed.json"


@dataclass
class Record:
    """Measurements that may stand beside each other: one machine, the same packages."""

    machine: dict[str, str]
    speeds: list[Speed] = field(default_factory=list)
    likelihoods: list[Likelihood] = field(default_factory=list)
    absent: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, speeds: list[Speed]) -> None:
        """Take in the cells of a case, in place of older ones."""
        new = {row[:4] for row in speeds}
        self.speeds = [row for row in self.speeds if row[:4] not in new] + speeds

    def add_likelihood(self, likelihood: Likelihood) -> None:
        """Take in one library's, in place of an older one."""
        kept = [row for row in self.likelihoods if row[:2] != likelihood[:2]]
        self.likelihoods = [*kept, likelihood]

    def has(self, case: Case) -> bool:
        """Whether all cells of a case were measured."""
        there = {row[:4] for row in self.speeds}
        return all((case.shape, case.work, case.batch, stack) in there for stack in case.stacks)

    def save(self, folder: Path) -> None:
        """Write the numbers into a folder."""
        with whole(folder / NUMBERS) as temporary:
            temporary.write_text(json.dumps(self.__dict__, indent=1) + "\n")

    @classmethod
    def open(cls, folder: Path | None, machine: dict[str, str]) -> Record:
        """What the folder holds from this machine; numbers from another one are left behind."""
        path = None if folder is None else folder / NUMBERS
        if path is None or not path.exists():
            return cls(machine)
        kept: dict[str, Any] = json.loads(path.read_text())
        if kept["machine"] != machine:
            return cls(machine)
        speeds = [Speed(*row) for row in kept["speeds"]]
        likelihoods = [Likelihood(*row) for row in kept["likelihoods"]]
        return cls(machine, speeds, likelihoods, kept["absent"])


def this_machine(workers: int) -> dict[str, str]:
    """The processor, the number of cores at work and the versions of all that takes part."""
    packages = ["viamachinae", "torch", *(p for lib in LIBRARIES.values() for p in lib.packages)]
    versions = {package: _version(package) for package in packages}
    return {
        "processor": _processor(),
        "cores": str(workers),
        "python": platform.python_version(),
        **{package: found for package, found in versions.items() if found},
    }


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, which gets that name once it is written whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
