"""A run described as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1): JSON-LD beside the files."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

import viamachinae
from viamachinae.pipeline.provenance import all_records
from viamachinae.pipeline.status import run_config
from viamachinae.store.files import write_json
from viamachinae.store.records import Record
from viamachinae.store.run import RunFolder

SPECIFICATION = "https://w3id.org/ro/crate/1.1"
METADATA = "ro-crate-metadata.json"
SOFTWARE = "#viamachinae"

Entity = dict[str, Any]


def write_crate(out: Path) -> Path:
    """Describe a run in its own folder, which thereby becomes an RO-Crate.

    Every file that a stage recorded is a File with its hash; every stage is a CreateAction with
    the files that it took and made, the software and when it ended.

    Returns
    -------
    Path
        The metadata file.

    Raises
    ------
    BadInputError
        If `out` is no run folder.
    """
    config, run = run_config(out), RunFolder(out)
    records = list(all_records(run))
    files = {name: digest for record in records for name, digest in record.outputs.items()}
    kept = [path for path in (run.config, run.truth, run.status) if path.is_file()]
    kept += sorted(run.root.glob("configs/*.yaml"))
    others = [path.relative_to(out).as_posix() for path in kept]
    parts = [_file(out, name, digest) for name, digest in sorted(files.items())]
    parts += [_file(out, name, None) for name in others]
    actions = [_action(record, files) for record in records]
    ended = max((record.provenance.get("ended", "") for record in records), default="")
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": config.name,
        "description": f"A scan for stellar streams by viamachinae, run {config.name}.",
        "datePublished": ended,
        "license": "The run folder states no licence; that of the catalogue it is made from holds.",
        "hasPart": [{"@id": part["@id"]} for part in parts],
        "mentions": [{"@id": action["@id"]} for action in actions],
    }
    about: Entity = {"@id": METADATA, "@type": "CreativeWork"}
    about |= {"conformsTo": {"@id": SPECIFICATION}, "about": {"@id": "./"}}
    graph = [about, root, _software(records), *parts, *actions]
    write_json(out / METADATA, {"@context": f"{SPECIFICATION}/context", "@graph": graph})
    return out / METADATA


def _file(out: Path, name: str, digest: str | None) -> Entity:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    entity: Entity = {"@id": name, "@type": "File", "name": name, "encodingFormat": kind}
    if (out / name).is_file():
        entity["contentSize"] = str((out / name).stat().st_size)
    if digest is not None:
        entity["identifier"] = f"blake2b-128:{digest}"
    return entity


def _software(records: list[Record]) -> Entity:
    versions = sorted({r.provenance.get("viamachinae", "") for r in records} - {""})
    return {
        "@id": SOFTWARE,
        "@type": "SoftwareApplication",
        "name": "viamachinae",
        "version": ", ".join(versions) or viamachinae.__version__,
    }


def _action(record: Record, files: dict[str, str]) -> Entity:
    place = "/".join(filter(None, (record.patch, record.scan, record.stage)))
    good = record.outcome in ("done", "no_work", "partial")
    return {
        "@id": f"#{place}",
        "@type": "CreateAction",
        "name": place,
        "description": record.reason or record.outcome,
        "actionStatus": {
            "@id": f"http://schema.org/{'CompletedActionStatus' if good else 'FailedActionStatus'}"
        },
        "endTime": record.provenance.get("ended", ""),
        "instrument": {"@id": SOFTWARE},
        "object": [{"@id": name} for name in record.inputs if name in files],
        "result": [{"@id": name} for name in record.outputs],
    }
