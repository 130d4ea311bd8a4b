"""What the members of candidates get from the files of their patches and from the catalogue."""

from __future__ import annotations

import logging

import numpy as np
from astropy.table import Column, Table

from viamachinae.config import ArchiveQuery, ScanConfig
from viamachinae.errors import BadInputError, UnprocessableError
from viamachinae.pipeline.line_views import PatchFiles
from viamachinae.pipeline.sources import open_source
from viamachinae.score.columns import ratio_columns
from viamachinae.sky import Patch

logger = logging.getLogger("viamachinae.pipeline")

# Asked anew of the catalogue, as the stages do without them.
ASTROMETRY = (
    *("ra_error", "dec_error", "parallax", "parallax_error"),
    *("pmra_error", "pmdec_error", "pmra_pmdec_corr"),
)


class MemberColumns:
    """Columns that the members of all candidates get, patch by patch.

    They are colour and mag as the scan took them, those of `ASTROMETRY` that the catalogue has,
    the scores of each training where there are several, and regions and n_regions: the regions
    of interest in whose lists a member stands.

    Parameters
    ----------
    config : ScanConfig
    members : Table
        Is changed.
    """

    def __init__(self, config: ScanConfig, members: Table) -> None:
        self.config, self.members = config, members
        self.regions: list[list[str]] = [[] for _ in range(len(members))]
        for name in ("colour", "mag"):
            members[name] = Column(np.full(len(members), np.nan), unit="mag")

    def take(self, found: PatchFiles, own: Table) -> None:
        """Take what a patch knows; `own` are the rows of the lineage that belong to it."""
        self._add_stars(found.stars, {"colour", "mag"} & set(found.stars.colnames))
        self._add_astrometry(found.patch)
        self._add_regions(found, own)
        for name in ratio_columns(self.config.train.retrainings):
            self._add_scores(found, own, name)

    def end(self) -> None:
        """Add what is complete only after the last patch."""
        count = [len(one) for one in self.regions]
        self.members["n_regions"] = np.array(count, dtype=np.int64)
        text = [" ".join(one) for one in self.regions]
        self.members["regions"] = np.array(text, dtype=np.str_)

    def _add_stars(self, stars: Table, names: set[str]) -> None:
        """Copy columns of stars, sorted by source_id, to the members among them."""
        if not len(stars):
            return
        members = self.members
        row = np.searchsorted(stars["source_id"], members["source_id"])
        row[row == len(stars)] = 0
        here = stars["source_id"][row] == members["source_id"]
        for name in sorted(names):
            if name not in members.colnames:
                members[name] = np.full(len(members), np.nan)
                members[name].unit = stars[name].unit
            members[name][here] = stars[name][row[here]]

    def _add_astrometry(self, patch: Patch) -> None:
        if isinstance(self.config.query, ArchiveQuery):
            logger.info("members get no errors: the archive is not asked again for the report")
            return
        try:
            source = open_source(self.config)
            names = {name for name in ASTROMETRY if name in source.columns()}
            if names:
                columns = ["source_id", *sorted(names)]
                # Members are scored stars; a hair more, for distances are rounded in another way.
                radius_deg = min(patch.radius_deg, patch.evaluation_radius_deg + 0.001)
                self._add_stars(source.stars(patch.ra, patch.dec, radius_deg, columns), names)
        except (BadInputError, UnprocessableError) as error:
            logger.warning("members get neither parallaxes nor errors: %s", error)

    def _add_scores(self, found: PatchFiles, own: Table, name: str) -> None:
        """Give each member its largest score of one training in its candidate's signal regions."""
        members = self.members
        if name not in members.colnames:
            members[name] = Column(
                np.full(len(members), np.nan),
                description=f"As log_ratio, of training {name.removeprefix('log_ratio_')} alone",
            )
        for candidate, scan, region in set(own["candidate", "scan", "region"].iterrows()):
            scores = found.scores[scan]
            inside = np.asarray(scores["region"]) == region
            ids, values = (np.asarray(scores[column])[inside] for column in ("source_id", name))
            rows = np.flatnonzero(members["candidate"] == candidate)
            at = np.searchsorted(ids, members["source_id"][rows])
            at[at == len(ids)] = 0
            here = ids[at] == members["source_id"][rows]
            members[name][rows[here]] = np.fmax(members[name][rows[here]], values[at[here]])

    def _add_regions(self, found: PatchFiles, own: Table) -> None:
        """Name, for each member, the regions of its candidate in whose lists it stands."""
        members, ids = self.members, np.asarray(found.stars["source_id"])
        for candidate in np.unique(own["candidate"]):
            rows = np.flatnonzero(members["candidate"] == candidate)
            rois = own[own["candidate"] == candidate]
            for roi in rois[np.unique(np.asarray(rois["roi"]), return_index=True)[1]]:
                at = int(np.searchsorted(found.rois, roi["roi"]))
                name = f"{found.patch.id}/{roi['scan']}/{roi['region']:g}/{roi['window']:g}"
                for row in rows[np.isin(members["source_id"][rows], ids[found.lists[at]])]:
                    self.regions[row].append(name)
