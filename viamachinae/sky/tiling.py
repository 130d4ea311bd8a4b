"""The tiling of the sky into patches, without those behind much dust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import astropy.units as u
import healpy
import numpy as np
from astropy.coordinates import Galactic, SkyCoord

from viamachinae.config import CentreTiling, HealpixTiling, SkyConfig
from viamachinae.dust import disc_percentiles, open_map
from viamachinae.errors import BadInputError
from viamachinae.sky.patch import Patch

# Centres of the Magellanic Clouds, ICRS deg: van der Marel & Kallivayalil 2014 (LMC),
# Gaia Collaboration (Luri et al.) 2021 (SMC).
LMC = SkyCoord(78.76 * u.deg, -69.19 * u.deg)
SMC = SkyCoord(12.80 * u.deg, -73.15 * u.deg)

# The dust cut looks at this percentile of E(B-V): a cloud over a tenth of the disc counts (ours).
DUST_PERCENT = 90.0


def patch_id(l_deg: float, b_deg: float) -> str:
    """Name of a patch from its Galactic centre in deg: ``l195.0_b+33.7``."""
    return f"l{round(l_deg, 1) % 360:.1f}_b{b_deg:+.1f}"


def tile(config: SkyConfig) -> list[Patch]:
    """All patches of a tiling, in a fixed order, those left out for their dust not among them.

    Raises
    ------
    BadInputError
        If two centres share an id, the configuration names a patch that the tiling lacks, the
        map of E(B-V) cannot be read, or it leaves out every patch.
    """
    return _by_dust(config)[0]


def patches_named(config: SkyConfig, ids: Sequence[str]) -> list[Patch]:
    """Patches of a tiling by their ids.

    Raises
    ------
    BadInputError
        If the tiling lacks one, or as `tile` does.
    """
    known = {patch.id: patch for patch in tile(config)}
    for one in ids:
        if one not in known:
            raise BadInputError(
                f"{one}: is no patch of this tiling; `viamachinae plan` lists the ids it holds"
            )
    return [known[one] for one in ids]


class DustyPatch(NamedTuple):
    """A patch that is left out for its dust, and why in words."""

    patch: Patch
    reason: str


def dusty_patches(config: SkyConfig) -> list[DustyPatch]:
    """The patches that the dust cut leaves out; raises as `tile` does."""
    return _by_dust(config)[1]


def _by_dust(config: SkyConfig) -> tuple[list[Patch], list[DustyPatch]]:
    patches = _all_patches(config)
    if config.max_ebv is None:
        return patches, []
    centres = SkyCoord([p.ra for p in patches] * u.deg, [p.dec for p in patches] * u.deg)
    ebv = disc_percentiles(
        open_map(config.ebv), centres, config.evaluation_radius_deg, DUST_PERCENT
    )
    clear, dusty = [], []
    for patch, found in zip(patches, ebv, strict=True):
        if found <= config.max_ebv:
            clear.append(patch)
        elif np.isnan(found):
            dusty.append(DustyPatch(patch, "the map of sky.ebv has no value in the patch"))
        else:
            reason = f"E(B-V) {found:.2f} mag exceeds sky.max_ebv of {config.max_ebv:g}"
            dusty.append(DustyPatch(patch, reason))
    if not clear:
        raise BadInputError(
            f"sky.max_ebv: leaves out all {len(patches)} patches ({dusty[0].patch.id}: "
            f"{dusty[0].reason}); raise it, or check the map and its factor"
        )
    return clear, dusty


def _all_patches(config: SkyConfig) -> list[Patch]:
    if isinstance(config, CentreTiling):
        centres = SkyCoord(config.centres, unit=u.deg)
    else:
        centres = _healpix_centres(config)
    galactic = centres.transform_to(Galactic())
    patches = [
        Patch(
            patch_id(place.l.deg, place.b.deg),
            float(centre.ra.deg),
            float(centre.dec.deg),
            config.radius_deg,
            config.evaluation_radius_deg,
        )
        for centre, place in zip(centres, galactic, strict=True)
    ]
    by_id = {patch.id: patch for patch in patches}
    if len(by_id) < len(patches):
        raise BadInputError("sky.centres holds two centres closer than 0.1 deg; remove one of them")
    if isinstance(config, HealpixTiling) and config.patches:
        missing = sorted(set(config.patches) - set(by_id))
        if missing:
            raise BadInputError(
                f"sky.patches names {', '.join(missing)}, which the tiling does not hold; "
                "`viamachinae plan` lists the ids that it holds"
            )
        return [patch for patch in patches if patch.id in set(config.patches)]
    return patches


def _healpix_centres(config: HealpixTiling) -> SkyCoord:
    pixels = np.arange(healpy.nside2npix(config.nside))
    lon, lat = healpy.pix2ang(config.nside, pixels, lonlat=True)
    centres = SkyCoord(lon * u.deg, lat * u.deg, frame=Galactic()).icrs
    kept = (
        (np.abs(lat) > config.min_abs_b_deg)
        & (centres.separation(LMC).deg > config.lmc_radius_deg)
        & (centres.separation(SMC).deg > config.smc_radius_deg)
    )
    return centres[kept]


def overlaps(patches: Sequence[Patch]) -> list[tuple[int, int]]:
    """Pairs of positions (i < j) in `patches` whose evaluation discs overlap (VM1)."""
    if len(patches) < 2:
        return []
    centres = SkyCoord([p.ra for p in patches] * u.deg, [p.dec for p in patches] * u.deg)
    radius = np.array([p.evaluation_radius_deg for p in patches])
    distance = centres[:, None].separation(centres[None, :]).deg
    near = np.triu(distance < radius[:, None] + radius[None, :], k=1)
    return [(int(i), int(j)) for i, j in np.argwhere(near)]
