"""Tables as bytes for other programs: ECSV, FITS and VOTable, with units, meanings and UCDs.

The UCD of a column is the entry ``ucd`` of its metadata. The same table gives the same bytes.
"""

from __future__ import annotations

import io

import numpy as np
from astropy.io import fits, votable
from astropy.table import Column, Table


def ecsv(table: Table) -> str:
    """The text of an ECSV file."""
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue()


def fits_table(table: Table) -> bytes:
    """The bytes of a FITS file: one binary table, its columns described by TCOMMn and TUCDn.

    FITS knows ASCII alone: another character becomes a question mark.
    """
    hdu = fits.table_to_hdu(Table([_for_fits(column) for column in table.itercols()]))
    for number, column in enumerate(table.itercols(), 1):
        if column.description:
            hdu.header[f"TCOMM{number}"] = column.description
        if "ucd" in column.meta:
            hdu.header[f"TUCD{number}"] = column.meta["ucd"]
    sink = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(sink)
    return sink.getvalue()


def _for_fits(column: Column) -> Column:
    values = np.asarray(column)
    if values.dtype.kind == "U":
        values = np.char.encode(values, "ascii", "replace")
    return Column(values, column.name, unit=column.unit)


def votable_xml(table: Table, description: str) -> bytes:
    """The bytes of a VOTable, with its rows in the text.

    Parameters
    ----------
    description : str
        Of the whole table.
    """
    document = votable.from_table(table)
    resource = document.resources[0]
    resource.description = description
    (inside,) = resource.tables
    for parameter in inside.fields:
        parameter.ucd = table[parameter.name].meta.get("ucd")
        if parameter.datatype in ("char", "unicodeChar"):
            # A length of 1, as of a column of empty texts, is no longer to be said.
            parameter.arraysize = "*"
    sink = io.BytesIO()
    document.to_xml(sink)
    return sink.getvalue()
