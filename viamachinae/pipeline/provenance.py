"""Where a file of a run comes from: what made it, from what, and the command to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import read_config
from viamachinae.score.trained import engine_of
from viamachinae.store.files import file_hash, read_json
from viamachinae.store.records import Record, read_record
from viamachinae.store.run import RunFolder


@dataclass(frozen=True)
class Origin:
    """Where a file comes from.

    Attributes
    ----------
    run : RunFolder
    file : str
        Its path below the run folder.
    record : Record
        Of the stage that made it.
    config : ScanConfig
        The configuration it was made with.
    """

    run: RunFolder
    file: str
    record: Record
    config: ScanConfig

    @property
    def is_unchanged(self) -> bool:
        """Whether the file is still what the stage wrote."""
        path = self.run.root / self.file
        return path.is_file() and file_hash(path) == self.record.outputs[self.file]

    def command(self) -> str:
        """The command that makes it again, with ``--out`` where it is not to be in runs/NAME.

        It goes to the folder that it was given in first, for paths of the configuration may be
        relative to that.
        """
        made = self.record.provenance
        kept = self.run.kept_config(made["config"])
        words = ["viamachinae", "scan", str(kept)]
        if self.record.patch is not None:
            words[1:] = ["patch", str(kept), self.record.patch, "--stage", self.record.stage]
        there = f"cd {shlex.quote(made['folder'])} && " if "folder" in made else ""
        return there + shlex.join(words)

    def rows_by_cut(self) -> dict[str, int]:
        """Stars left after each rule, in the patch, or in all patches that were linked together.

        Of the latter those that two patches share count in both.
        """
        total: dict[str, int] = {}
        for patch in self._patches():
            for rule in read_json(self.run.cutflow(patch))["rules"]:
                if rule["applied"]:
                    total[rule["rule"]] = total.get(rule["rule"], 0) + rule["n_after"]
        return total

    def _patches(self) -> list[str]:
        """The patches whose stars are in it, of which a cut-flow is there."""
        if self.record.patch is not None:
            found = {self.record.patch}
        else:
            linked = read_record(self.run.record("link"))
            parts = [Path(name).parts for name in (linked.inputs if linked else {})]
            found = {part[1] for part in parts if part[0] == "patches"}
        return [patch for patch in sorted(found) if self.run.cutflow(patch).is_file()]

    def engine(self) -> str:
        """The flow engine that trained the flows of the patch and scan; empty if none is there."""
        patch, scan = self.record.patch, self.record.scan
        if patch is None or scan is None:
            return ""
        try:
            return engine_of(self.run.flows(patch, scan))
        except (OSError, ValueError):
            return ""

    def as_plain(self) -> dict[str, Any]:
        """All of it, as JSON and YAML can say it."""
        record, made = self.record, self.record.provenance
        machine = ("host", "machine", "ended", "folder", "config", "code")
        return {
            "file": self.file,
            "unchanged": self.is_unchanged,
            "hash": record.outputs[self.file],
            "made_by": {
                "stage": record.stage,
                "patch": record.patch,
                "scan": record.scan,
                "outcome": record.outcome,
                "ended": made.get("ended", ""),
                "seconds": record.seconds,
                "host": made.get("host", ""),
                "machine": made.get("machine", ""),
                "device": record.device,
                "engine": self.engine(),
                "folder": made.get("folder", ""),
                "memory_bytes": record.memory_bytes,
            },
            "versions": {name: text for name, text in made.items() if name not in machine},
            "code": made.get("code", ""),
            "seed": self.config.seed,
            "release": self.config.query.release,
            "query": self.config.query.model_dump(mode="json"),
            "rows_by_cut": self.rows_by_cut(),
            "parents": record.inputs,
            "configuration": self.config.model_dump(mode="json"),
            "command": self.command(),
        }


def provenance_of(path: Path) -> Origin:
    """Where a file comes from.

    Raises
    ------
    BadInputError
        If it does not stand in a run folder, or no stage recorded that it made it.
    """
    path = path.resolve()
    root = next((up for up in path.parents if RunFolder(up).config.is_file()), None)
    grid = next((up for up in path.parents if (up / "validation.yaml").is_file()), None)
    if root is None and grid is not None:
        raise BadInputError(
            f"{path}: belongs to a grid of injections, of which records stand in {grid / 'points'} "
            f"alone; `viamachinae validate {grid / 'validation.yaml'} --out {grid}` makes it again"
        )
    if root is None:
        raise BadInputError(f"{path}: does not stand in a run folder, whose records would tell")
    run, name = RunFolder(root), path.relative_to(root).as_posix()
    for record in all_records(run):
        if name in record.outputs:
            return Origin(run, name, record, _config_of(run, record))
    raise BadInputError(f"{path}: no stage recorded that it made this file")


def all_records(run: RunFolder) -> Iterator[Record]:
    """Every record of a run; its null skies are runs of their own."""
    paths = run.root.glob("**/records/*.json")
    for path in sorted(path for path in paths if not path.is_relative_to(run.nulls)):
        record = read_record(path)
        if record is not None:
            yield record


def _config_of(run: RunFolder, record: Record) -> ScanConfig:
    kept = run.kept_config(record.provenance.get("config", ""))
    return read_config(kept if kept.is_file() else run.config)
