"""The null skies that lie in a run folder, and what they give at the cuts of the scan."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from viamachinae.config import NullKind, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.link.candidates import significances
from viamachinae.link.protoclusters import at_least
from viamachinae.link.streams import LinkedPatch
from viamachinae.options import read_config
from viamachinae.pipeline.events import Watcher
from viamachinae.pipeline.linked import linked_patch
from viamachinae.pipeline.stage import Advance, Ending, Stage, Task, run_task
from viamachinae.pipeline.status import patch_records
from viamachinae.sky import Patch, tile
from viamachinae.store.files import read_arrow, read_json, write_json
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder
from viamachinae.validate.calibration import Null
from viamachinae.validate.nulls import compared, null_config

logger = logging.getLogger("viamachinae.pipeline")

# What decides the candidates of a null sky beside its patches: the cuts of the scan.
NULL = Stage(
    "null",
    ("link", "sky", "dust", "catalog", "inspect/comparison", "score/features", "score/seeds"),
    lambda config: [
        config.link.candidates.model_dump(mode="json"),
        config.link.protostreams.model_dump(mode="json"),
        config.link.protoclusters.min_sigma,
    ],
)


@dataclass(frozen=True)
class NullSky:
    """A null sky: its name, folder, kind, the patches that ended with lines, their records."""

    name: str
    run: RunFolder
    kind: NullKind
    patches: Sequence[Patch]
    records: Sequence[Record]


def standing_nulls(config: ScanConfig, run: RunFolder, records: Iterable[Record]) -> list[NullSky]:
    """The null skies of a run that can be held against it, of one kind.

    Those of another configuration, or made by other code than the scan's own `records`, are
    refused, which is said once for each. Of several kinds that of ``nulls.kind`` is taken, or,
    where there is none of it, the first by name.
    """
    code = {(record.stage, record.provenance.get("code")) for record in records}
    found = []
    for path in sorted(run.nulls.glob("*/config.yaml")):
        sky = _null_sky(config, RunFolder(path.parent), code)
        if sky is None:
            logger.warning(
                "%s: is a null sky of another configuration or version and is left out; "
                "`viamachinae null %s` brings it up to date",
                path.parent,
                run.root,
            )
        elif sky.patches:
            found.append(sky)
    kinds = {sky.kind for sky in found}
    kind = config.nulls.kind if config.nulls.kind in kinds or not found else found[0].kind
    return [sky for sky in found if sky.kind == kind]


def _null_sky(
    config: ScanConfig, folder: RunFolder, code: set[tuple[str, str | None]]
) -> NullSky | None:
    """A null sky as it stands; None where it is not one of this scan."""
    try:
        made = read_config(folder.config)
    except BadInputError:  # options of another version
        return None
    if made.nulls.draw is None:
        return None
    wanted = null_config(config, made.nulls.kind, made.nulls.draw)
    patches = {patch.id: patch for patch in tile(made.sky)}
    if compared(made) != compared(wanted) or not set(patches) <= {p.id for p in tile(config.sky)}:
        return None
    found: list[Record] = []
    held = []
    for patch in patches.values():
        records = patch_records(made, folder, patch.id)
        if any(record.stage == "lines" and record.outcome in _LINKED for record in records):
            held.append(patch)
            found += records
    if not {(record.stage, record.provenance.get("code")) for record in found} <= code:
        return None
    return NullSky(folder.root.name, folder, made.nulls.kind, held, found)


_LINKED = ("done", "partial")


def null_records(config: ScanConfig, skies: Sequence[NullSky], watch: Watcher) -> list[Record]:
    """Bring up to date what each null sky gives at the cuts of the scan."""
    return [_link_null(config, sky, watch) for sky in skies]


def _link_null(config: ScanConfig, sky: NullSky, watch: Watcher) -> Record:
    def do(_: Advance) -> Ending:
        linked = [linked_patch(sky.run, patch) for patch in sky.patches]
        write_json(sky.run.null_candidates, _content(config, linked))
        return "done", ""

    needed = [record for record in sky.records if record.stage in ("preprocess", "lines")]
    outputs = [sky.run.null_candidates]
    return run_task(Task(NULL, sky.run, config, needed, outputs, do), watch)


def _content(config: ScanConfig, linked: Sequence[LinkedPatch]) -> dict[str, object]:
    """Candidates of a null sky at the cuts of the scan, and the best of each patch at any."""
    cut, shared = config.link.protoclusters.min_sigma, config.link.protostreams.min_shared
    kept = [
        LinkedPatch(one.patch, one.lines, at_least(one.protoclusters, cut, shared), one.stars)
        for one in linked
    ]
    sigma, home = significances(kept, config.link.candidates)
    ids = [one.patch.id for one in linked]
    return {
        "cut": cut,
        "candidates": [
            {"sigma": float(value), "patch": ids[at]} for value, at in zip(sigma, home, strict=True)
        ],
        "patches": [{"patch": one.patch.id, "highest": highest(one)} for one in linked],
    }


def highest(linked: LinkedPatch) -> float | None:
    """The greatest significance in a patch: of a protocluster or, below their cut, of a line."""
    sigma = [*linked.protoclusters["sigma"].to_pylist(), *linked.lines["sigma"].to_pylist()]
    return max(sigma, default=None)


def gathered(skies: Sequence[NullSky]) -> Null:
    """All null skies together; to be called once each has its record of `null_records`."""
    sigma, patch = list[float](), list[int]()
    begin = 0
    for sky in skies:
        number = {one.id: begin + i for i, one in enumerate(sky.patches)}
        for row in read_json(sky.run.null_candidates)["candidates"]:
            sigma.append(row["sigma"])
            patch.append(number[row["patch"]])
        begin += len(sky.patches)
    return Null(np.array(sigma, dtype=np.float64), np.array(patch, dtype=np.int64), begin)


def roi_sigmas(skies: Sequence[NullSky]) -> NDArray[np.float64]:
    """sigma_L of the best line of each region of interest of all null skies."""
    parts = [
        np.asarray(read_arrow(sky.run.lines(patch.id), ["sigma"])["sigma"])
        for sky in skies
        for patch in sky.patches
    ]
    return np.concatenate([*parts, np.empty(0)])
