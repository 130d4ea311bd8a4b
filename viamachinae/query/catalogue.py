"""An opened file of stars: its columns, and its rows part by part, whatever its format."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from viamachinae.errors import BadInputError


class Part(NamedTuple):
    """A run of rows that is read at once."""

    first_row: int
    n_rows: int


@dataclass(frozen=True)
class CatalogueFile:
    """An opened file of stars.

    Attributes
    ----------
    path : Path
        Where it is.
    names : list of str
        Its column names in order, repeated ones included.
    dtypes : mapping
        Type by column; what is no number has the kind of text, objects or dates.
    units : mapping
        Unit by column, None or absent where the file states none.
    parts : list of Part
        All its rows.
    read : callable
        From the position in `parts` and column names to arrays by name; missing means NaN.
    span : callable
        From the position in `parts` and a column name to its least and largest value there,
        None where that is not known without reading.
    """

    path: Path
    names: list[str]
    dtypes: Mapping[str, np.dtype[Any]]
    units: Mapping[str, Any]
    parts: list[Part]
    read: Callable[[int, Sequence[str]], dict[str, NDArray[Any]]]
    span: Callable[[int, str], tuple[float, float] | None]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return sum(part.n_rows for part in self.parts)


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn whatever a parser raises on a damaged file into one sentence.

    Raises
    ------
    BadInputError
        Naming the file and what the parser found.
    """
    try:
        with warnings.catch_warnings():
            # Parsers warn of oddities in headers, as Gaia's own have; units are checked later.
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message=".*truncated.*")
            yield
    except (BadInputError, MemoryError):
        raise
    except Exception as error:  # six parsers, each with errors of its own
        found = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInputError(
            f"{path} cannot be read ({found}); it may be truncated or damaged, so copy or "
            "download it again"
        ) from error
