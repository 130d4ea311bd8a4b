"""Where things stand in a HATS catalogue, and its text files.

HATS (Hierarchical Adaptive Tiling Scheme) keeps the stars of a HEALPix pixel (NESTED, ICRS) in
one Parquet file, ``dataset/Norder=k/Dir=d/Npix=n.parquet`` with d = n rounded down to 10 000.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import NamedTuple

DATASET = "dataset"
METADATA = f"{DATASET}/_metadata"
COMMON_METADATA = f"{DATASET}/_common_metadata"
PARTITION_INFO = "partition_info.csv"
# Two names for one content, as old and new readers expect it.
PROPERTIES = ("hats.properties", "properties")
COLLECTION = "collection.properties"
_PER_DIRECTORY = 10_000
_PARTITION = re.compile(r"Norder=(\d+)/.*Npix=(\d+)")


class Partition(NamedTuple):
    """A pixel that has a file."""

    order: int
    pixel: int

    def path(self, suffix: str = ".parquet") -> str:
        """Path below ``dataset``."""
        directory = self.pixel // _PER_DIRECTORY * _PER_DIRECTORY
        return f"Norder={self.order}/Dir={directory}/Npix={self.pixel}{suffix}"


def partition_of(path: str) -> Partition | None:
    """The partition that a path names."""
    found = _PARTITION.search(path)
    return Partition(int(found[1]), int(found[2])) if found else None


def properties_text(properties: Mapping[str, str]) -> str:
    """A properties file, one ``key=value`` a line."""
    lines = [f"{key}={_escape(value)}" for key, value in properties.items()]
    return "\n".join(["#HATS catalog", *lines]) + "\n"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", " ")


def parse_properties(text: str) -> dict[str, str]:
    """The keys and values of a properties file."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (re.split(r"\s*[=:]\s*", line, maxsplit=1) for line in lines if line[:1] not in "#!")
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def partition_info_text(partitions: Iterable[Partition]) -> str:
    """The list of partitions as CSV."""
    lines = [f"{order},{pixel}" for order, pixel in partitions]
    return "\n".join(["Norder,Npix", *lines]) + "\n"


def parse_partition_info(text: str) -> list[Partition]:
    """The partitions of a list as CSV, whatever other columns it has."""
    rows = csv.DictReader(StringIO(text))
    return [Partition(int(row["Norder"]), int(row["Npix"])) for row in rows]
