"""Done-records: what a stage made, from what, and how it ended.

A stage is up to date when its record holds the same key (configuration and code) and the same
input hashes, and its outputs still have the recorded hashes. A file's existence proves nothing.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import viamachinae
from viamachinae.store.files import file_hash, read_json, write_json

Outcome = Literal["done", "no_work", "unprocessable", "partial", "upstream_failed", "failed"]

# Worst last: a patch ends as its worst stage does.
OUTCOMES: tuple[Outcome, ...] = (
    "done",
    "no_work",
    "partial",
    "unprocessable",
    "upstream_failed",
    "failed",
)
GOOD: frozenset[Outcome] = frozenset({"done", "no_work"})
# The same input would end the same way, so that running again is pointless.
SETTLED: frozenset[Outcome] = frozenset({"done", "no_work", "partial", "unprocessable"})


@dataclass(frozen=True)
class Record:
    """How a stage of a patch ended.

    Attributes
    ----------
    stage, patch, scan : str
        What ran; `patch` and `scan` are None for stages above them.
    outcome, reason : str
        The outcome and, unless it is plainly done, one sentence on why.
    seconds : float
        Wall time.
    key : str
        Hash of the configuration and of the code that made the outputs.
    inputs, outputs : dict
        Paths below the run folder (or names of outer inputs) to hashes.
    provenance : dict
        Versions, machine, time, and the name of the configuration.
    device : str
        The processor that did the work; empty where nothing was computed.
    memory_bytes, device_memory_bytes : int
        Most memory of the process, and of torch on a GPU; 0 where unknown.
    """

    stage: str
    patch: str | None
    scan: str | None
    outcome: Outcome
    reason: str
    seconds: float
    key: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    provenance: dict[str, str] = field(default_factory=dict)
    device: str = ""
    memory_bytes: int = 0
    device_memory_bytes: int = 0

    def is_current(self, root: Path, key: str, inputs: dict[str, str]) -> bool:
        """Whether running the stage again would give what stands in `root`."""
        return (
            self.outcome in SETTLED
            and self.key == key
            and self.inputs == inputs
            and all(_stands(root / name, digest) for name, digest in self.outputs.items())
        )


def _stands(path: Path, digest: str) -> bool:
    return path.is_file() and file_hash(path) == digest


def worst(outcomes: list[Outcome]) -> Outcome:
    """The outcome of a whole whose parts ended so.

    A part without work does not matter beside one that is done.
    """
    if "done" in outcomes:
        outcomes = [outcome for outcome in outcomes if outcome != "no_work"]
    return max(outcomes, key=OUTCOMES.index, default="no_work")


def write_record(path: Path, record: Record) -> None:
    """Write a record; it comes after the outputs that it vouches for."""
    write_json(path, asdict(record))


def read_record(path: Path) -> Record | None:
    """Read a record; None where there is none, or where it is not one of ours."""
    try:
        content: dict[str, Any] = read_json(path)
        return Record(**content)
    except (FileNotFoundError, TypeError, ValueError):
        return None


_SOURCES = {".py", ".cpp", ".h", ".ecsv", ".j2"}


@cache
def code_hash(rooms: tuple[str, ...]) -> str:
    """Hash of the sources of some rooms (folders or modules) of the package."""
    package = Path(viamachinae.__file__).parent
    digest = hashlib.blake2b(digest_size=16)
    for room in rooms:
        single = package / f"{room}.py"
        files = [single] if single.is_file() else sorted((package / room).rglob("*"))
        for source in (file for file in files if file.suffix in _SOURCES):
            digest.update(source.relative_to(package).as_posix().encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()


# What the numbers in the outputs depend on beside our own code.
PACKAGES = (
    *("numpy", "scipy", "torch", "triton", "safetensors"),
    *("astropy", "healpy", "pyarrow", "gala"),
)


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = {"viamachinae": viamachinae.__version__}
    for name in PACKAGES:
        # Some are there in some installations alone.
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return tuple(found.items())


def provenance() -> dict[str, str]:
    """Versions of what the results depend on, and the machine.

    The version of CUDA is there where torch is loaded: what never loads it never uses CUDA.
    """
    torch = sys.modules.get("torch")
    cuda = torch.version.cuda if torch is not None else None
    return {
        "python": platform.python_version(),
        **dict(_versions()),
        **({"cuda": cuda} if cuda else {}),
        "host": platform.node(),
        "machine": platform.platform(),
    }
