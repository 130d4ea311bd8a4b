"""The report: the files of each candidate, its dossier, and the page of the scan."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.table import Row, Table

from viamachinae.catalog.ridge_lines import Ridge, ridge_at
from viamachinae.config import ArchiveQuery, FilesQuery, LakeQuery, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.inspect.candidate import Candidate
from viamachinae.inspect.dossier import dossier
from viamachinae.inspect.exports import ranked
from viamachinae.inspect.false_candidates import FalseCandidates
from viamachinae.inspect.files import candidate_files
from viamachinae.inspect.footprint import has_moc
from viamachinae.inspect.formats import fits_table, votable_xml
from viamachinae.inspect.page import PatchRecord, Report, page
from viamachinae.inspect.vetting import Vetting, current
from viamachinae.options import read_config, to_yaml
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.line_views import half_width_deg
from viamachinae.pipeline.stage import Advance, Ending, Stage, Task, run_task
from viamachinae.pipeline.status import outcome_of, patch_records, reason_of, write_status
from viamachinae.pipeline.vetting import read_vetting
from viamachinae.pipeline.views import Seen, gather_views
from viamachinae.preprocess.photometry import photometric_names
from viamachinae.sky import Patch, tile
from viamachinae.store.files import (
    content_hash,
    count_rows,
    file_hash,
    read_json,
    read_table,
    write_bytes,
)
from viamachinae.store.records import Record, provenance, read_record
from viamachinae.store.run import RunFolder

logger = logging.getLogger("viamachinae.pipeline")

INSPECT = Stage(
    "inspect",
    (
        *("inspect", "link", "sky", "dust", "catalog", "preprocess", "flows", "score"),
        *("pipeline/inspect", "pipeline/views", "pipeline/line_views", "pipeline/references"),
        "pipeline/member_columns",
    ),
    lambda config: config.model_dump(mode="json"),
)


def inspect(out: Path, watch: Watcher = unwatched) -> Record:
    """Bring the report of a run up to date, verdicts included.

    Raises
    ------
    BadInputError
        If `out` is no run folder whose patches were linked, or its vetting.csv is damaged.
    """
    run = RunFolder(out)
    linked = read_record(run.record("link"))
    if not run.config.is_file() or linked is None:
        raise BadInputError(f"{out}: is not the folder of a finished scan; scan or link first")
    config = read_config(run.config)
    patches = tile(config.sky)
    records = {patch.id: patch_records(config, run, patch.id) for patch in patches}
    record = write_report(config, run, patches, records, linked, watch)
    write_status(config, out)
    return record


def write_report(
    config: ScanConfig,
    run: RunFolder,
    patches: Sequence[Patch],
    records: Mapping[str, list[Record]],
    linked: Record,
    watch: Watcher,
) -> Record:
    """Write files, dossiers and page, unless they stand.

    Parameters
    ----------
    records : mapping of str to list of Record
        Of all patches, by id.
    linked : Record
        Of the stage link.
    """
    written = _Written()

    def do(advance: Advance) -> Ending:
        _write(config, run, patches, records, written, advance)
        return "done", ""

    outer: dict[str, str] = {patch: outcome_of(ended) for patch, ended in records.items()}
    outer["footprints"] = str(has_moc())
    if run.vetting.is_file():
        outer["vetting"] = file_hash(run.vetting)
    task = Task(INSPECT, run, config, [linked], written.paths, do, outer=outer)
    return run_task(task, watch)


@dataclass
class _Written:
    """The files that the report has so far: which they are shows only as they are made."""

    paths: list[Path] = field(default_factory=list)

    def keep(self, path: Path, content: bytes) -> None:
        write_bytes(path, content)
        self.paths.append(path)


def _write(
    config: ScanConfig,
    run: RunFolder,
    patches: Sequence[Patch],
    records: Mapping[str, list[Record]],
    written: _Written,
    advance: Advance,
) -> None:
    candidates = ranked(Table.read(run.candidates, format="ascii.ecsv"))
    members, lineage = read_table(run.members), read_table(run.lineage)
    verdicts = current(read_vetting(run), candidates, members)
    seen = gather_views(config, run, {patch.id: patch for patch in patches}, members, lineage)
    if len(candidates) and not has_moc():
        logger.info("no footprint.moc.fits: install the extra `moc` (mocpy) for footprints")
    about = f"Stream candidates of the scan {config.name}"
    written.keep(run.candidates.with_suffix(".fits"), fits_table(candidates))
    written.keep(run.candidates.with_suffix(".vot"), votable_xml(candidates, about))
    for done, row in enumerate(candidates):
        name = str(row["candidate"])
        own = members[members["candidate"] == name]
        files = candidate_files(row, own, half_width_deg(config))
        for file, content in files.items():
            written.keep(run.candidate(name) / file, content)
        if name in seen:
            shown = _candidate(config, run, row, own, lineage, seen[name], verdicts, [*files])
            written.keep(run.candidate(name) / "index.html", dossier(shown).encode())
        advance(done + 1, len(candidates))
    report = Report(
        name=config.name,
        provenance=_provenance(config),
        patches=[_patch_record(run, patch, records[patch.id]) for patch in patches],
        candidates=candidates,
        members=members,
        max_figures=config.inspect.max_figures,
        verdicts=verdicts,
        false=_false_candidates(run),
    )
    written.keep(run.page, page(report).encode())
    _remove_others(run, written.paths)


def _candidate(
    config: ScanConfig,
    run: RunFolder,
    row: Row,
    members: Table,
    lineage: Table,
    seen: Seen,
    verdicts: Mapping[str, Vetting],
    files: Sequence[str],
) -> Candidate:
    names = photometric_names(config.preprocess)
    name, patch = str(row["candidate"]), seen.view.patch.id
    root = shlex.quote(str(run.root))
    return Candidate(
        row=row,
        members=members,
        lineage=lineage[lineage["candidate"] == name],
        view=seen.view,
        background=seen.background,
        references=seen.references,
        ridge=_ridge(config, row),
        photometry=(names["colour"], names["mag"]),
        command=f"viamachinae patch {root}/config.yaml {patch} --out {root}",
        run_name=config.name,
        verdict=verdicts.get(name),
        files=files,
    )


def _ridge(config: ScanConfig, row: Row) -> Ridge | None:
    """The ridge line at the distance that was fitted, where one was."""
    if "distance_kpc" not in row.colnames or not np.isfinite(row["distance_kpc"]):
        return None
    return ridge_at(config.link.ridge.feh, config.link.ridge.age_gyr, float(row["distance_kpc"]))


def _false_candidates(run: RunFolder) -> FalseCandidates | None:
    """What null skies say, as `link` left it."""
    if not run.calibration.is_file():
        return None
    content = read_json(run.calibration)
    return FalseCandidates(
        n_skies=len(content["skies"]),
        **{
            name: content[name]
            for name in ("kind", "n_null_patches", "n_patches", "confidence", "curve", "lines")
        },
    )


def _remove_others(run: RunFolder, written: Sequence[Path]) -> None:
    """Remove the files of candidates that are no more; what others put there stays."""
    kept = set(written)
    ours = {path.name for path in written} | {"index.html", "footprint.moc.fits"}
    for folder in run.candidate("").glob("VM_*"):
        for path in folder.iterdir():
            if path.name in ours and path not in kept:
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def _provenance(config: ScanConfig) -> dict[str, str]:
    return {
        **{name: text for name, text in provenance().items() if name not in ("host", "machine")},
        "source": _source(config),
        "seed": str(config.seed),
        "configuration": f"config.yaml ({content_hash(to_yaml(config))})",
    }


def _source(config: ScanConfig) -> str:
    query = config.query
    if isinstance(query, LakeQuery):
        return query.path
    if isinstance(query, ArchiveQuery):
        return f"{query.release} from the archive ({query.endpoint})"
    if isinstance(query, FilesQuery):
        paths = query.path
        return ", ".join(map(str, paths if isinstance(paths, list) else [paths]))
    return "simulated sky"


def _patch_record(run: RunFolder, patch: Patch, records: list[Record]) -> PatchRecord:
    stars = run.stars(patch.id)
    taken = any((one.stage, one.outcome) == ("preprocess", "done") for one in records)
    n_stars = count_rows(stars) if taken and stars.is_file() else None
    seconds = sum(record.seconds for record in records)
    return PatchRecord(patch, outcome_of(records), reason_of(records), n_stars, seconds)
