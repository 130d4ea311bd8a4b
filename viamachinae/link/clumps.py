"""Compact clumps: star clusters and small galaxies pass for lines, at every angle (ours).

A line that fills its disc has few of its stars in any one place; of the stars that a cluster puts
on a line nearly all lie together. What tells them apart is the largest share of line stars in a
small disc about one of them: it asks for no centre and no length, and needs no clump to hold
the median star.
"""

from __future__ import annotations

from scipy.spatial import cKDTree

from viamachinae.link.hough import Floats


def densest_share(points: Floats, radius: float) -> float:
    """Largest share of points within a radius of one of them.

    Parameters
    ----------
    points : float64 array of shape (n, n_dimensions)
        Stars, each once.
    radius : float
        In the unit of the points.

    Returns
    -------
    float
        1 / n to 1; NaN where there is no point.
    """
    if not len(points):
        return float("nan")
    tree = cKDTree(points)
    within = tree.query_ball_point(points, radius, return_length=True)
    return float(within.max() / len(points))
