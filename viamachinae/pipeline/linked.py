"""A patch as linking takes it, read from its files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from viamachinae.link.streams import LinkedPatch
from viamachinae.sky import Patch
from viamachinae.store.files import column_names, read_arrow, read_table
from viamachinae.store.run import RunFolder


def linked_patch(run: RunFolder, patch: Patch) -> LinkedPatch:
    """Lines, protoclusters and the stars of these, of a patch whose lines were found."""
    return linked_trainings(run, patch, [None])[0]


def linked_trainings(
    run: RunFolder, patch: Patch, numbers: Sequence[int | None]
) -> list[LinkedPatch]:
    """A patch as some trainings give it alone, by their numbers, or as all do (None).

    Its stars, by far the most of what is read, are read once.
    """
    protoclusters = [read_arrow(run.protoclusters(patch.id, number)) for number in numbers]
    columns = ["source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp"]
    path = run.stars(patch.id)
    if "ebv" in column_names(path):
        columns += ["colour", "mag"]
    stars = read_table(path, columns)
    lists = [table["source_id"].combine_chunks().flatten() for table in protoclusters]
    wanted = np.unique(np.concatenate(lists))
    stars = stars[np.isin(stars["source_id"], wanted)]
    return [
        LinkedPatch(patch, read_arrow(run.lines(patch.id, number)), table, stars)
        for number, table in zip(numbers, protoclusters, strict=True)
    ]
