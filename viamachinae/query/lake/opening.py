"""Open a HATS catalogue of whatever origin by its properties, partitions and schema."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet

from viamachinae.errors import BadInputError
from viamachinae.query.catalogue import reading
from viamachinae.query.lake.hats import HatsCatalogue, by_order
from viamachinae.query.lake.layout import (
    COLLECTION,
    COMMON_METADATA,
    DATASET,
    METADATA,
    PARTITION_INFO,
    PROPERTIES,
    Partition,
    parse_partition_info,
    parse_properties,
    partition_of,
)
from viamachinae.query.lake.place import Place


def open_hats(place: Place) -> HatsCatalogue:
    """Open a HATS catalogue, or the primary one of a HATS collection.

    Raises
    ------
    BadInputError
        If there is none.
    """
    collection = place.read_text(COLLECTION)
    if collection is not None:
        primary = parse_properties(collection).get("hats_primary_table_url", "")
        root, name = place.path(primary), f"{place.name}/{primary}"
        place = place._replace(root=root, name=name)
    texts = (place.read_text(name) for name in PROPERTIES)
    text = next((text for text in texts if text is not None), None)
    if text is None:
        raise BadInputError(
            f"{place.name} holds no HATS catalogue (no file hats.properties); correct query.path, "
            "or make a lake with `viamachinae ingest`"
        )
    properties = parse_properties(text)
    with reading(place.name):
        partitions = _partitions(place)
        suffix = properties.get("hats_npix_suffix", ".parquet")
        schema = _schema(place, f"{DATASET}/{partitions[0].path(suffix)}")
    return HatsCatalogue(
        place=place,
        partitions=by_order(partitions),
        schema=schema,
        suffix=suffix,
        position=(properties.get("hats_col_ra", "ra"), properties.get("hats_col_dec", "dec")),
    )


def _partitions(place: Place) -> list[Partition]:
    """All partitions: by the list of them, else by the metadata, else by what is there."""
    text = place.read_text(PARTITION_INFO)
    if text is not None:
        found = parse_partition_info(text)
    else:
        try:
            with place.open(METADATA) as stream:
                groups = pa.parquet.read_metadata(stream)
            paths = {groups.row_group(i).column(0).file_path for i in range(groups.num_row_groups)}
        except FileNotFoundError:
            paths = set(place.files(DATASET))
        found = [one for one in map(partition_of, sorted(paths)) if one is not None]
    if not found:
        raise BadInputError(f"{place.name} lists no partition of stars; copy or make it again")
    return found


def _schema(place: Place, first: str) -> pa.Schema:
    try:
        with place.open(COMMON_METADATA) as stream:
            return pa.parquet.read_schema(stream)
    except FileNotFoundError:
        path = first if not first.endswith("/") else min(place.files(first.rstrip("/")))
        with place.open(path) as stream:
            return pa.parquet.read_schema(stream)
