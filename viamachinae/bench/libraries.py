"""Who takes part."""

from __future__ import annotations

from viamachinae.bench.engines import OwnEngine
from viamachinae.bench.flowjax import FlowJax
from viamachinae.bench.library import Library, missing
from viamachinae.bench.nflows import NFLOWS
from viamachinae.bench.normflows import NORMFLOWS
from viamachinae.bench.zuko import ZUKO
from viamachinae.flows import Architecture

OURS: tuple[Library, ...] = (OwnEngine("torch"), OwnEngine("native"))
PEERS: tuple[Library, ...] = (ZUKO, NFLOWS, NORMFLOWS, FlowJax())
LIBRARIES = {library.name: library for library in (*OURS, *PEERS)}


def who_can(architecture: Architecture) -> tuple[list[Library], dict[str, str]]:
    """The libraries that can take part with a shape, and why the others cannot, by name."""
    reasons = {
        name: missing(library.packages) or library.cannot(architecture)
        for name, library in LIBRARIES.items()
    }
    able = [library for name, library in LIBRARIES.items() if not reasons[name]]
    return able, {name: reason for name, reason in reasons.items() if reason}
