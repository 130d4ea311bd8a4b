"""The columns of a file under Gaia's names: naming, types, units and missing values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import astropy.units as u
import numpy as np
from numpy.typing import NDArray

from viamachinae.catalog.release import GaiaColumn
from viamachinae.errors import BadInputError

_LISTED = 12

# How a user tells which column of a file stands for one of Gaia's.
Naming = Callable[[str], str]


def in_config(name: str) -> str:
    """The option of the configuration that names the file's column for Gaia's `name`."""
    return f"query.columns: {{{name}: <name>}}"


def masked_to_nan(values: NDArray[Any]) -> NDArray[Any]:
    """Masked means NaN: the one way in which missing values enter this package.

    Parameters
    ----------
    values : array, masked array or astropy column of shape (n,)
        Numbers or booleans, in any byte order.

    Returns
    -------
    array of shape (n,)
        float64 for floats, and for other types where a value is missing; else int64 or bool.
    """
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    plain = np.asarray(np.ma.getdata(values))
    if plain.dtype.kind == "f" or (mask is not None and mask.any()):
        numbers = plain.astype(np.float64)
        if mask is not None:
            numbers[mask] = np.nan
        return numbers
    return plain.astype(np.bool_ if plain.dtype.kind == "b" else np.int64)


def gaia_names(path: str, held: Iterable[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Every name by which a column of the file may be asked, to the file's own name for it.

    Parameters
    ----------
    path : str
        The file, for messages.
    held : iterable of str
        The file's own column names.
    columns : mapping
        Gaia's name to the file's name (``query.columns``).

    Raises
    ------
    BadInputError
        If a name stands for two columns, or `columns` points at a column that is not there.
    """
    held = list(held)
    refuse_repeated(path, held)
    for gaia, own in columns.items():
        if own not in held:
            raise BadInputError(
                f"{path} has no column '{own}', which query.columns gives for {gaia}; "
                f"{_what_is_there(gaia, held)}, so correct query.columns: {{{gaia}: <name>}}"
            )
    cure = "let query.columns give each column and each name once"
    refuse_repeated(path, columns.values(), cure)
    renamed = {own: gaia for gaia, own in columns.items()}
    refuse_repeated(path, [renamed.get(own, own) for own in held], cure)
    return {own: own for own in held} | dict(columns)


def refuse_repeated(
    path: str, names: Iterable[str], cure: str = "rename or remove one of them"
) -> None:
    """Refuse names that stand for more than one column.

    Raises
    ------
    BadInputError
        Naming the file, the name and the cure.
    """
    for name, times in Counter(names).items():
        if times > 1:
            raise BadInputError(f"{path} has {times} columns for the name '{name}'; {cure}")


def missing_column(
    path: str, name: str, held: Iterable[str], naming: Naming = in_config
) -> BadInputError:
    """The error for a column that the file lacks; tells what is there and how to name it."""
    return BadInputError(
        f"{path} has no column '{name}'; {_what_is_there(name, list(held))}, so name the file's "
        f"column with {naming(name)}"
    )


def _what_is_there(name: str, held: list[str]) -> str:
    by_lower = {own.lower(): own for own in held}
    near = get_close_matches(name.lower(), by_lower, cutoff=0.7)
    if near:
        return "near matches are " + ", ".join(by_lower[lower] for lower in near)
    rest = f" and {len(held) - _LISTED} more" if len(held) > _LISTED else ""
    return "its columns are " + ", ".join(held[:_LISTED]) + rest


def check_type(
    path: str, own: str, dtype: np.dtype[Any], due: GaiaColumn | None, naming: Naming = in_config
) -> None:
    """Refuse text where a number is due, and floats where a whole number is.

    Raises
    ------
    BadInputError
        Naming the file, the column and the type that it should have.
    """
    held = "text" if dtype.kind in "USO" else dtype.name
    if due is not None and due.dtype.kind == "i" and dtype.kind not in "iu":
        raise BadInputError(
            f"{path} holds {held} in its column '{own}' where int64 is due (a float cannot keep "
            "Gaia's 19 digits); write the column anew as int64, or remove it so that row numbers "
            "serve"
        )
    if dtype.kind not in "fiub":
        wanted = due.name if due is not None else own
        raise BadInputError(
            f"{path} holds {held} in its column '{own}' where numbers are due; write the column "
            f"anew as numbers, or name another with {naming(wanted)}"
        )


def unit_factor(
    path: str, own: str, unit: Any, due: GaiaColumn | None, naming: Naming = in_config
) -> float:
    """What values in the file's `unit` are multiplied by to be in Gaia's unit.

    A file or column that states no unit, or one that astropy does not know, is taken to be in
    Gaia's.

    Raises
    ------
    BadInputError
        If the unit measures something else.
    """
    unknown = unit is None or isinstance(unit, u.UnrecognizedUnit)
    if unknown or due is None or due.unit is None:
        return 1.0
    try:
        return float(unit.to(due.unit))
    except u.UnitConversionError as error:
        raise BadInputError(
            f"{path} gives its column '{own}' in {unit}, which is no unit for {due.name} "
            f"({due.unit}); correct the unit, or name another column with {naming(due.name)}"
        ) from error
