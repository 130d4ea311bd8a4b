"""A patch as linking takes it, read from its files."""

from __future__ import annotations

import numpy as np

from viamachinae.link.streams import LinkedPatch
from viamachinae.sky import Patch
from viamachinae.store.files import column_names, read_arrow, read_table
from viamachinae.store.run import RunFolder


def linked_patch(run: RunFolder, patch: Patch, retraining: int | None = None) -> LinkedPatch:
    """Lines, protoclusters and the stars of these, of a patch whose lines were found.

    With the number of a `retraining`, those that it gives alone.
    """
    protoclusters = read_arrow(run.protoclusters(patch.id, retraining))
    columns = ["source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp"]
    path = run.stars(patch.id)
    if "ebv" in column_names(path):
        columns += ["colour", "mag"]
    stars = read_table(path, columns)
    wanted = np.unique(protoclusters["source_id"].combine_chunks().flatten().to_numpy())
    return LinkedPatch(
        patch,
        read_arrow(run.lines(patch.id, retraining)),
        protoclusters,
        stars[np.isin(stars["source_id"], wanted)],
    )
