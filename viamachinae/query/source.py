"""What every source of stars offers: files, simulated skies, archives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from astropy.table import Table


class Source(Protocol):
    """A catalogue from which the stars of a disc can be taken.

    Attributes
    ----------
    name : str
        What messages call it, for example the path of its file.
    """

    name: str

    def columns(self) -> frozenset[str]:
        """Names of the columns that it can give, under Gaia's names."""

    def stars(self, ra: float, dec: float, radius_deg: float, columns: Sequence[str]) -> Table:
        """All stars within `radius_deg` of the ICRS point (`ra`, `dec`), each once.

        Returns
        -------
        astropy.table.Table
            The asked `columns` with units where they have one, sorted by ``source_id`` (int64);
            floats are float64 with NaN where the catalogue has no value.

        Raises
        ------
        UnprocessableError
            If data that this disc alone needs are missing or cannot be read.
        BadInputError
            If a column is missing or mistyped, or the data cannot be read.
        """

    def count(self, ra: float, dec: float, radius_deg: float) -> int:
        """Number of stars in the disc: exact where that is cheap, else expected."""

    def fingerprint(self) -> str:
        """Hash of all that decides what `stars` returns."""
