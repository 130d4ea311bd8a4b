"""The answer of a TAP service: a VOTable, read with all that it says of its completeness."""

from __future__ import annotations

import gzip
import warnings
import zlib
from io import BytesIO
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from astropy.io import votable

from viamachinae.query.archive.errors import LostJobError

_GZIP_MARK = b"\x1f\x8b"
# One at a time: the parser sets the filters of warnings, which all threads share.
_PARSING = Lock()


class Answer(NamedTuple):
    """What an archive answered.

    Attributes
    ----------
    table : pyarrow.Table
        Columns under their names in lower case; what the VOTable has no value for is null.
    is_cut : bool
        Whether the archive says that it left rows out.
    """

    table: pa.Table
    is_cut: bool


def read_votable(content: bytes) -> Answer:
    """Read a VOTable, compressed or not.

    Raises
    ------
    LostJobError
        If it is empty, cut off or otherwise damaged, or holds an error in place of rows.
    """
    try:
        if content.startswith(_GZIP_MARK):
            content = gzip.decompress(content)
        with _PARSING, warnings.catch_warnings():
            # Archives use units and attributes that the standard does not know.
            warnings.simplefilter("ignore")
            document = votable.parse(BytesIO(content), verify="ignore")
            table = document.get_first_table()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LostJobError(f"its answer is cut off ({error})") from error
    # The parser lets through whatever its XML, base64 and binary readers raise.
    except Exception as error:
        words = " ".join(str(error).split())[:120]
        raise LostJobError(f"its answer is no whole VOTable ({words})") from error
    status = [
        (str(info.value).upper(), str(info.content or ""))
        for resource in document.resources
        for info in resource.infos
        if info.name == "QUERY_STATUS"
    ]
    for value, words in status:
        if value == "ERROR":
            raise LostJobError(f"its answer is an error ({' '.join(words.split())[:200]})")
    return Answer(_to_arrow(table.array), any(value == "OVERFLOW" for value, _ in status))


def _to_arrow(rows: np.ma.MaskedArray) -> pa.Table:
    columns = {}
    for name in rows.dtype.names or ():
        values = np.ma.getdata(rows[name])
        native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
        columns[name.lower()] = pa.array(native, mask=np.ma.getmaskarray(rows[name]))
    return pa.table(columns)
