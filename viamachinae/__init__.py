"""Find stellar streams in Gaia data with conditional normalizing flows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from viamachinae.pipeline.results import Results

__version__ = "0.1.0"


def open(run: str | Path, kind: Literal["astropy", "pandas"] = "astropy") -> Results:  # noqa: A001
    """Open the folder of a run: candidates, members, scores and stars as tables.

    Parameters
    ----------
    run : path
        The folder.
    kind : {"astropy", "pandas"}
        Tables of astropy, or frames of pandas, which lose their units.

    Raises
    ------
    viamachinae.errors.BadInputError
        If it is no run folder, or pandas is asked for and not installed.
    """
    # Not above: a program that wants the version alone must not wait for torch.
    from viamachinae.pipeline.results import open_run

    return open_run(run, kind)
