"""The files by which HATS readers know a catalogue: properties, partitions, Parquet footers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from viamachinae.disk import atomic
from viamachinae.query.catalogue import reading
from viamachinae.query.lake.layout import (
    COMMON_METADATA,
    DATASET,
    METADATA,
    PARTITION_INFO,
    PROPERTIES,
    Partition,
    partition_info_text,
    properties_text,
)
from viamachinae.query.lake.records import PixelRecord

# Raised whenever a lake is no longer written, or read, as before.
FORMAT_VERSION = 1


def hats_properties(release: str, order: int, records: Sequence[PixelRecord]) -> dict[str, str]:
    """What the standard wants to know of a lake; no date, so that the same stars say the same."""
    return {
        "obs_collection": f"viamachinae_{release}",
        "dataproduct_type": "object",
        "hats_nrows": str(sum(one.rows for one in records)),
        "hats_col_ra": "ra",
        "hats_col_dec": "dec",
        "hats_npix_suffix": ".parquet",
        "hats_order": str(order),
        "hats_max_rows": str(max((one.rows for one in records), default=0)),
        "hats_estsize": str(sum(one.bytes for one in records) // 1024),
        "hats_builder": f"viamachinae lake format {FORMAT_VERSION}",
        "hats_version": "v1.0",
        "obs_regime": "Optical",
        "obs_ack": "ESA/Gaia/DPAC",
    }


def write_metadata(
    root: Path, schema: pa.Schema, partitions: Sequence[Partition], properties: Mapping[str, str]
) -> None:
    """Write all of them, each atomically; the same partitions give the same bytes.

    Raises
    ------
    BadInputError
        If a partition cannot be read.
    """
    with atomic(root / COMMON_METADATA) as temporary:
        pa.parquet.write_metadata(schema, temporary)
    footers = [_footer(root, one) for one in partitions]
    with atomic(root / METADATA) as temporary:
        pa.parquet.write_metadata(schema, temporary, metadata_collector=footers)
    texts = {PARTITION_INFO: partition_info_text(partitions)}
    texts |= dict.fromkeys(PROPERTIES, properties_text(properties))
    for name, text in texts.items():
        with atomic(root / name) as temporary:
            temporary.write_text(text)


def _footer(root: Path, partition: Partition) -> pa.parquet.FileMetaData:
    path = root / DATASET / partition.path()
    with reading(path):
        footer = pa.parquet.read_metadata(path)
    footer.set_file_path(partition.path())
    return footer
