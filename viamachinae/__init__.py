"""Find stellar streams in Gaia data with conditional normalizing flows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from viamachinae.config import ScanConfig
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


def scan(
    config: ScanConfig | Mapping[str, Any] | str | Path,
    out: str | Path,
    workers: int | None = None,
) -> Results:
    """Scan all patches of a configuration, and open the run; what an earlier run did is kept.

    A patch that fails does not stop the others: `Results.outcomes` says how each ended.

    Parameters
    ----------
    config : ScanConfig, mapping or path
        Options as in a YAML file, or the file.
    out : path
        The run folder; made where it does not exist.
    workers : int, optional
        Patches at once; by default one a core, and one where a GPU is used.

    Raises
    ------
    viamachinae.errors.BadInputError
        If an option does not fit, or the input cannot be used or holds no star in any patch.
    """
    from viamachinae.options import parse_config, read_config
    from viamachinae.pipeline.results import open_run
    from viamachinae.pipeline.scan import scan as scan_patches

    if isinstance(config, str | Path):
        config = read_config(Path(config))
    elif isinstance(config, Mapping):
        config = parse_config(dict(config), "config")
    scan_patches(config, Path(out), workers)
    return open_run(out)
