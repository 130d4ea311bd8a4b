"""What null skies say of a scan: columns of its candidates, and a curve for the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import ScanConfig
from viamachinae.link.streams import LinkedPatch
from viamachinae.pipeline.null_skies import NullSky, gathered, highest, roi_sigmas
from viamachinae.score.features import OTHER_PM
from viamachinae.validate.calibration import calibrated, curve
from viamachinae.validate.nulls import empty_rois

Floats = NDArray[np.float64]


def calibrate(
    config: ScanConfig,
    skies: Sequence[NullSky],
    linked: Sequence[LinkedPatch],
    candidates: Table,
    members: Table,
) -> tuple[Table, dict[str, object]]:
    """Calibrate the candidates of a scan on its null skies.

    Parameters
    ----------
    skies : sequence of NullSky
        One at least, each linked at the cuts of the scan.
    linked : sequence of LinkedPatch
        All patches of the scan whose lines were found.
    candidates, members : Table
        Of the scan.

    Returns
    -------
    Table
        The candidates with the columns of `validate.calibration.COLUMNS`.
    dict
        What ``calibration.json`` holds.
    """
    null, confidence = gathered(skies), config.nulls.confidence
    cut = config.link.protoclusters.min_sigma
    found = np.asarray(candidates["sigma"], dtype=np.float64)
    steps = curve(found, null, len(linked), cut, confidence)
    content: dict[str, object] = {
        "kind": skies[0].kind,
        "skies": [sky.name for sky in skies],
        "n_patches": len(linked),
        "n_null_patches": null.n_patches,
        "confidence": confidence,
        "cut": cut,
        "curve": {name: steps[name].tolist() for name in steps.colnames},
        "lines": {
            "null": summary(roi_sigmas(skies)),
            "empty": summary(empty_sigmas(config, linked, members)),
            "scan": summary(_sigmas(linked)),
        },
        "highest": [highest(one) for one in linked],
    }
    return calibrated(candidates, null, len(linked), confidence), content


def _sigmas(linked: Sequence[LinkedPatch]) -> Floats:
    return np.concatenate([*(np.asarray(one.lines["sigma"]) for one in linked), np.empty(0)])


def empty_sigmas(config: ScanConfig, linked: Sequence[LinkedPatch], members: Table) -> Floats:
    """sigma_L of the scan's regions of interest that hold no line star of any candidate.

    Those of a patch are held against the line stars inside its evaluation disc.
    """
    size = config.regions.width_masyr, config.link.roi.window_masyr
    line = members[np.asarray(members["on_line"], dtype=np.bool_)]
    kept = [np.empty(0)]
    for one in linked:
        ra, dec = np.asarray(line["ra"]), np.asarray(line["dec"])
        inside = one.patch.separation_deg(ra, dec) < one.patch.evaluation_radius_deg
        stars = line[inside]
        places = one.patch.to_frame(*(np.asarray(stars[name]) for name in _STAR))
        scan, sigma = np.asarray(one.lines["scan"]), np.asarray(one.lines["sigma"])
        for name, other in OTHER_PM.items():
            rows = scan == name
            region, window = (np.asarray(one.lines[key])[rows] for key in ("region", "window"))
            pm = getattr(places, name), getattr(places, other)
            kept.append(sigma[rows][empty_rois(region, window, size, pm)])
    return np.concatenate(kept)


_STAR = ("ra", "dec", "pmra", "pmdec")


def summary(sigma: Floats) -> dict[str, float | int | None]:
    """Number, median, 99th percentile and maximum; None of nothing."""
    if not len(sigma):
        return {"n": 0, "median": None, "p99": None, "max": None}
    median, p99, most = (float(value) for value in np.percentile(sigma, [50, 99, 100]))
    return {"n": len(sigma), "median": median, "p99": p99, "max": most}
