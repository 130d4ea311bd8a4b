"""Above the patches: link what all of them found into stream candidates, and write the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.table import Table

from viamachinae.config import ArchiveQuery, FilesQuery, LakeQuery, ScanConfig
from viamachinae.inspect.exports import candidates_ecsv, members_parquet
from viamachinae.inspect.page import PatchRecord, Report, page
from viamachinae.link.candidates import find_candidates
from viamachinae.link.evidence import evidence
from viamachinae.link.streams import LinkedPatch
from viamachinae.options import to_yaml
from viamachinae.pipeline.events import Watcher, unwatched
from viamachinae.pipeline.stage import Advance, Ending, Stage, Task, run_task
from viamachinae.pipeline.status import outcome_of, patch_records
from viamachinae.preprocess.photometry import photometric_names
from viamachinae.sky import Patch, tile
from viamachinae.store.files import (
    content_hash,
    count_rows,
    read_arrow,
    read_table,
    write_bytes,
    write_table,
    write_text,
)
from viamachinae.store.records import Record, provenance
from viamachinae.store.run import RunFolder

# Parts of the configuration of link that only this stage reads; `clumps` is read by lines too.
ABOVE_PATCHES = {"candidates", "crossmatch", "ridge", "clumps"}
LINK = Stage(
    "link",
    ("link", "sky", "catalog"),
    lambda config: [config.link.model_dump(mode="json", include=ABOVE_PATCHES), config.seed],
)
INSPECT = Stage("inspect", ("inspect", "sky"), lambda config: config.model_dump(mode="json"))

# Stars drawn in grey behind a candidate: enough to show the density, few enough to see.
MAX_BACKGROUND = 4000


def link(config: ScanConfig, out: Path, watch: Watcher = unwatched) -> list[Record]:
    """Link the patches that are done into candidates.ecsv, members.parquet and index.html.

    Parameters
    ----------
    out : Path
        The run folder.

    Returns
    -------
    list of Record
        How link and inspect ended.
    """
    run = RunFolder(out)
    patches = tile(config.sky)
    records = {patch.id: patch_records(config, run, patch.id) for patch in patches}
    linked = _link(config, run, patches, records, watch)
    return [linked, _inspect(config, run, patches, records, linked, watch)]


def _link(
    config: ScanConfig,
    run: RunFolder,
    patches: list[Patch],
    records: dict[str, list[Record]],
    watch: Watcher,
) -> Record:
    lines = {
        patch: record
        for patch, ended in records.items()
        for record in ended
        if record.stage == "lines" and record.outcome in ("done", "partial")
    }
    stars = [record for patch in lines for record in records[patch] if record.stage == "preprocess"]

    def do(advance: Advance) -> Ending:
        linked = []
        for done, patch in enumerate(patches):
            if patch.id in lines:
                linked.append(_linked_patch(run, patch))
            advance(done + 1, len(patches))
        found = find_candidates(linked, config.link.candidates)
        write_bytes(run.members, members_parquet(found.members))
        write_table(run.lineage, found.lineage)
        write_text(run.candidates, candidates_ecsv(evidence(found, config.link, config.seed)))
        return "done", ""

    outputs = [run.candidates, run.members, run.lineage]
    return run_task(Task(LINK, run, config, [*stars, *lines.values()], outputs, do), watch)


def _linked_patch(run: RunFolder, patch: Patch) -> LinkedPatch:
    protoclusters = read_arrow(run.protoclusters(patch.id))
    columns = ["source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp"]
    stars = read_table(run.stars(patch.id), columns)
    wanted = np.unique(protoclusters["source_id"].combine_chunks().flatten().to_numpy())
    return LinkedPatch(
        patch,
        read_arrow(run.lines(patch.id)),
        protoclusters,
        stars[np.isin(stars["source_id"], wanted)],
    )


def _inspect(
    config: ScanConfig,
    run: RunFolder,
    patches: list[Patch],
    records: dict[str, list[Record]],
    linked: Record,
    watch: Watcher,
) -> Record:
    names = photometric_names(config.preprocess)

    def do(_: Advance) -> Ending:
        members = read_table(run.members)
        background = _surroundings(config, run, members)
        report = Report(
            name=config.name,
            provenance=_provenance(config),
            patches=[_patch_record(run, patch, records[patch.id]) for patch in patches],
            candidates=Table.read(run.candidates, format="ascii.ecsv"),
            members=members,
            background=background,
            max_figures=config.inspect.max_figures,
            photometry=(names["colour"], names["mag"]),
        )
        write_text(run.page, page(report))
        return "done", ""

    outcomes: dict[str, str] = {patch: outcome_of(ended) for patch, ended in records.items()}
    return run_task(Task(INSPECT, run, config, [linked], [run.page], do, outer=outcomes), watch)


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
    outcome = outcome_of(records)
    reason = next((record.reason for record in records if record.outcome == outcome), "")
    stars = run.stars(patch.id)
    n_stars = count_rows(stars) if outcome != "no_work" and stars.is_file() else None
    return PatchRecord(patch, outcome, reason, n_stars, sum(record.seconds for record in records))


def _surroundings(config: ScanConfig, run: RunFolder, members: Table) -> dict[str, Table]:
    """Fiducial stars about each candidate that gets figures, from its most significant patch.

    The members get the colour and the magnitude that the scan used, where it used any. The stars
    of each patch are read once.
    """
    lineage = read_table(run.lineage)
    for name in ("colour", "mag"):
        members[name] = np.full(len(members), np.nan)
    best = {}
    for name in list(dict.fromkeys(lineage["candidate"]))[: config.inspect.max_figures]:
        own = lineage[lineage["candidate"] == name]
        best[str(name)] = own["patch"][np.argmax(own["sigma"])]
    backgrounds: dict[str, Table] = {}
    for patch in np.unique(lineage["patch"]):
        stars = read_table(run.stars(str(patch)))
        _add_photometry(stars, members)
        fiducial = stars[stars["fiducial"]]
        thinned = fiducial[:: 1 + len(fiducial) // MAX_BACKGROUND]
        backgrounds |= {name: thinned for name, where in best.items() if where == patch}
    return backgrounds


def _add_photometry(stars: Table, members: Table) -> None:
    """Copy colour and magnitude of the stars of a patch to the members among them."""
    row = np.searchsorted(stars["source_id"], members["source_id"])
    row[row == len(stars)] = 0
    here = stars["source_id"][row] == members["source_id"]
    for name in {"colour", "mag"} & set(stars.colnames):
        members[name][here] = stars[name][row[here]]
