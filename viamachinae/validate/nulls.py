"""Null skies as configurations, and what of the scan itself holds no stream.

A null sky goes through the scan's own stages, tiling and linking, so that overlapping windows,
signal regions, scans and patches count in it as they do in the scan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from viamachinae.config import (
    UNDECIDING,
    CentreTiling,
    NullKind,
    ScanConfig,
    SimulateQuery,
    SkyConfig,
)
from viamachinae.score.seeds import seed_sequence
from viamachinae.sky import Patch, tile

Floats = NDArray[np.float64]


def null_config(
    config: ScanConfig, kind: NullKind, draw: int, n_patches: int | None = None
) -> ScanConfig:
    """The configuration of a null sky of a scan.

    Parameters
    ----------
    config : ScanConfig
        Of the scan.
    kind : {"shuffled", "spread", "simulated"}
        ``shuffled`` takes the scan's stars, positions dealt out anew, and ``spread`` spreads
        them evenly within pixels; ``simulated`` takes a smooth galaxy with a seed of its own:
        that of a simulated scan without its streams, else that of ``nulls.galaxy``.
    draw : int
        Number of the null sky, from 0.
    n_patches : int, optional
        Take part of the tiling alone, see `cap`.
    """
    nulls = config.nulls.model_copy(update={"kind": kind, "draw": draw, "skies": 0})
    min_sigma = min(config.link.protoclusters.min_sigma, nulls.min_sigma)
    protoclusters = config.link.protoclusters.model_copy(update={"min_sigma": min_sigma})
    changes: dict[str, Any] = {
        "name": f"{config.name}-{kind}-{draw}",
        "link": config.link.model_copy(update={"protoclusters": protoclusters}),
        "nulls": nulls,
    }
    if kind == "simulated":
        query = config.query
        galaxy = query.galaxy if isinstance(query, SimulateQuery) else config.nulls.galaxy
        changes["query"] = SimulateQuery(galaxy=galaxy)
        changes["seed"] = int(seed_sequence(config.seed, "null", draw).generate_state(1)[0])
    if n_patches is not None:
        rng = np.random.default_rng(seed_sequence(config.seed, "null patches", draw))
        changes["sky"] = restricted(config.sky, cap(tile(config.sky), n_patches, rng))
    return config.model_copy(update=changes)


def cap(patches: list[Patch], n: int, rng: np.random.Generator) -> list[Patch]:
    """A patch drawn at random and the ``n - 1`` nearest to it, in the order of the tiling.

    Neighbours stay together, so that candidates join across patches as in the scan; only at
    the rim of the cap does a patch lack some of its own.
    """
    middle = patches[int(rng.integers(len(patches)))]
    ra, dec = (np.array([getattr(one, name) for one in patches]) for name in ("ra", "dec"))
    nearest = np.argsort(middle.separation_deg(ra, dec), kind="stable")[:n]
    return [patches[i] for i in np.sort(nearest)]


def restricted(sky: SkyConfig, patches: list[Patch]) -> SkyConfig:
    """The tiling with these of its patches alone."""
    if isinstance(sky, CentreTiling):
        return sky.model_copy(update={"centres": [(one.ra, one.dec) for one in patches]})
    return sky.model_copy(update={"patches": [one.id for one in patches]})


def compared(config: ScanConfig) -> dict[str, Any]:
    """What of a null sky's configuration must be as the scan's for the two to be comparable.

    All but names, the look of the report, which patches there are, where flows train, and how
    often and with what confidence null skies are looked at.
    """
    content = config.model_dump(
        mode="json",
        exclude={
            "name": True,
            "inspect": True,
            "sky": {"patches", "centres"},
            "nulls": {"skies", "patches", "confidence"},
            "train": UNDECIDING,
            "link": {"candidates", "crossmatch", "ridge", "orbits"},
        },
    )
    return dict(content)


def empty_rois(
    region: Floats, window: Floats, size: tuple[float, float], pm: tuple[Floats, Floats]
) -> NDArray[np.bool_]:
    """Regions of interest that hold no line star of any candidate: the scan as its own null.

    Parameters
    ----------
    region, window : float64 arrays of shape (n_rois,)
        Lower edges in the scanned and in the other proper motion, mas/yr.
    size : tuple of float
        Widths of signal region and window, mas/yr.
    pm : tuple of two float64 arrays of shape (n_stars,)
        Scanned and other proper motion of the line stars of all candidates in the patch, mas/yr.

    Returns
    -------
    bool array of shape (n_rois,)
    """
    empty = np.ones(len(region), dtype=np.bool_)
    for scanned, other in zip(*pm, strict=True):
        in_region = (scanned >= region) & (scanned < region + size[0])
        empty &= ~(in_region & (other >= window) & (other < window + size[1]))
    return empty
