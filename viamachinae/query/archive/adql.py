"""The text of the queries: which stars of a table, and how many of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from viamachinae.catalog.release import GaiaColumn, ReleaseSchema
from viamachinae.config import DownloadCuts
from viamachinae.query.pixels import source_id_range

# How many of its errors a parallax may be too large by chance.
PARALLAX_SIGMAS = 3


@dataclass(frozen=True)
class Selection:
    """Which columns of which stars are asked for.

    Attributes
    ----------
    schema : ReleaseSchema
        Names of the release.
    table : str
        Its table of sources at this archive.
    columns : tuple of str
        Asked for, under this package's names; ``source_id`` is among them.
    conditions : tuple of str
        All of these a star fulfils, besides being in the range asked for.
    """

    schema: ReleaseSchema
    table: str
    columns: tuple[str, ...]
    conditions: tuple[str, ...]

    def stars(self, first: int, last: int) -> str:
        """All columns of the stars whose source_id lies between two, both included."""
        names = ", ".join(self._selected(name) for name in self.columns)
        where = _and([_between(self.schema, (first, last)), *self.conditions])
        return f"SELECT {names}\nFROM {self.table} AS g{self._joins()}\nWHERE {where}"

    def counts(self, ranges: Sequence[tuple[int, int]], order: int) -> str:
        """Number of stars by pixel of an order, over ranges of source_id.

        The answer has the columns ``pixel`` and ``n_stars``; a pixel without stars is not in it.
        """
        first, last = source_id_range(order, 0)
        own = _qualified(self.schema.columns["source_id"])
        inside = " OR ".join(_between(self.schema, one) for one in ranges)
        where = _and([f"({inside})", *self.conditions])
        # A query within the query: ADQL 2.0 groups by columns, not by what is made of them.
        return (
            "SELECT pixel, COUNT(*) AS n_stars\n"
            f"FROM (SELECT {own} / {last - first + 1} AS pixel\n"
            f"FROM {self.table} AS g\nWHERE {where}) AS stars\nGROUP BY pixel"
        )

    def _selected(self, name: str) -> str:
        column = self.schema.columns[name]
        own = _qualified(column, self._side_tables())
        return own if column.own_name == name else f"{own} AS {name}"

    def _side_tables(self) -> list[str]:
        """Tables other than that of sources which hold a column asked for."""
        found = (self.schema.columns[name].table for name in self.columns)
        return [table for table in dict.fromkeys(found) if table]

    def _joins(self) -> str:
        """Side tables by source_id; a star that one of them lacks stays, without a value."""
        own = self.schema.columns["source_id"].own_name
        return "".join(
            f"\nLEFT OUTER JOIN {table} AS g{number} ON g.{own} = g{number}.{own}"
            for number, table in enumerate(self._side_tables(), start=1)
        )


def _qualified(column: GaiaColumn, side_tables: Sequence[str] = ()) -> str:
    number = str(side_tables.index(column.table) + 1) if column.table else ""
    return f"g{number}.{column.own_name}"


def _between(schema: ReleaseSchema, ids: tuple[int, int]) -> str:
    return f"{_qualified(schema.columns['source_id'])} BETWEEN {ids[0]} AND {ids[1]}"


def _and(conditions: Sequence[str]) -> str:
    return "\nAND ".join(conditions)


def conditions(
    schema: ReleaseSchema, cuts: DownloadCuts, with_values: Collection[str]
) -> tuple[str, ...]:
    """What the archive asks of a star before it sends it.

    Parameters
    ----------
    cuts : DownloadCuts
        Bounds on magnitude, colour and parallax.
    with_values : collection of str
        Columns without which a star is of no use, under this package's names.

    Returns
    -------
    tuple of str
        ADQL; a parallax that is negative, small or missing never takes a star away, however
        small its error.
    """
    own = {name: _qualified(schema.columns[name]) for name in sorted(with_values)}
    present = tuple(f"{column} IS NOT NULL" for column in own.values())
    return present + tuple(_bounds(schema, cuts))


def _bounds(schema: ReleaseSchema, cuts: DownloadCuts) -> Iterator[str]:
    names = ("phot_g_mean_mag", "bp_rp", "parallax", "parallax_error")
    mag, colour, parallax, error = (_qualified(schema.columns[name]) for name in names)
    if cuts.max_mag is not None:
        yield f"{mag} < {cuts.max_mag!r}"
    if cuts.min_colour is not None:
        yield f"{colour} > {cuts.min_colour!r}"
    if cuts.max_colour is not None:
        yield f"{colour} < {cuts.max_colour!r}"
    if cuts.max_parallax_mas is not None:
        zero_point = schema.parallax_zero_point
        offset = 0.0 if zero_point is None else -zero_point.value_mas
        least = f"{parallax} + {offset!r} - {PARALLAX_SIGMAS} * {error}"
        yield f"({least} < {cuts.max_parallax_mas!r} OR {parallax} IS NULL)"
