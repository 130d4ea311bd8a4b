"""The tiling of the sky into patches, and the frame of a patch: geometry, and the dust cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import astropy.units as u
import healpy
import numpy as np
from astropy.coordinates import ICRS, Galactic, SkyCoord, SkyOffsetFrame, angular_separation
from numpy.typing import ArrayLike, NDArray

from viamachinae.config import CentreTiling, HealpixTiling, SkyConfig
from viamachinae.dust import disc_percentiles, open_map
from viamachinae.errors import BadInputError

Array = NDArray[np.float64]

# Centres of the Magellanic Clouds, ICRS deg: van der Marel & Kallivayalil 2014 (LMC),
# Gaia Collaboration (Luri et al.) 2021 (SMC).
LMC = SkyCoord(78.76 * u.deg, -69.19 * u.deg)
SMC = SkyCoord(12.80 * u.deg, -73.15 * u.deg)


# The dust cut looks at this percentile of E(B-V): a cloud over a tenth of the disc counts (ours).
DUST_PERCENT = 90.0


class FramePositions(NamedTuple):
    """Positions (deg) and proper motions (mas/yr, pm_phi times cos lam) in a patch frame."""

    phi: Array
    lam: Array
    pm_phi: Array
    pm_lam: Array


class IcrsPositions(NamedTuple):
    """Positions (deg) and proper motions (mas/yr, pmra times cos dec) in ICRS."""

    ra: Array
    dec: Array
    pmra: Array
    pmdec: Array


@dataclass(frozen=True)
class Patch:
    """A disc on the sky with a frame of its own.

    Attributes
    ----------
    id : str
        Stable name made of the centre's Galactic coordinates, as in ``l195.0_b+33.7``.
    ra, dec : float
        Centre, ICRS, deg.
    radius_deg, evaluation_radius_deg : float
        Radii of the discs in which stars are trained on and evaluated.
    """

    id: str
    ra: float
    dec: float
    radius_deg: float
    evaluation_radius_deg: float

    @property
    def centre(self) -> SkyCoord:
        """The centre as an astropy coordinate."""
        return SkyCoord(self.ra * u.deg, self.dec * u.deg)

    def to_frame(
        self, ra: ArrayLike, dec: ArrayLike, pmra: ArrayLike, pmdec: ArrayLike
    ) -> FramePositions:
        """ICRS to the unrotated offset frame at the centre (VM1, section 2).

        Parameters
        ----------
        ra, dec : array of shape (n,)
            Degrees.
        pmra, pmdec : array of shape (n,)
            mas/yr; `pmra` includes cos(dec).

        Returns
        -------
        FramePositions
            Arrays of shape (n,); `phi` lies in [-180, 180).
        """
        if np.size(ra) == 0:  # astropy loses the proper motions of no stars
            return FramePositions(*np.empty((4, 0)))
        frame = SkyOffsetFrame(origin=self.centre)
        stars = ICRS(
            np.asarray(ra) * u.deg,
            np.asarray(dec) * u.deg,
            pm_ra_cosdec=np.asarray(pmra) * u.mas / u.yr,
            pm_dec=np.asarray(pmdec) * u.mas / u.yr,
        ).transform_to(frame)
        return FramePositions(
            stars.lon.wrap_at(180 * u.deg).deg,
            stars.lat.deg,
            stars.pm_lon_coslat.to_value(u.mas / u.yr),
            stars.pm_lat.to_value(u.mas / u.yr),
        )

    def from_frame(
        self, phi: ArrayLike, lam: ArrayLike, pm_phi: ArrayLike, pm_lam: ArrayLike
    ) -> IcrsPositions:
        """The inverse of `to_frame`, with `ra` in [0, 360)."""
        if np.size(phi) == 0:
            return IcrsPositions(*np.empty((4, 0)))
        frame = SkyOffsetFrame(
            np.asarray(phi) * u.deg,
            np.asarray(lam) * u.deg,
            pm_lon_coslat=np.asarray(pm_phi) * u.mas / u.yr,
            pm_lat=np.asarray(pm_lam) * u.mas / u.yr,
            origin=self.centre,
        )
        stars = frame.transform_to(ICRS())
        return IcrsPositions(
            stars.ra.deg,
            stars.dec.deg,
            stars.pm_ra_cosdec.to_value(u.mas / u.yr),
            stars.pm_dec.to_value(u.mas / u.yr),
        )

    def offsets(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Array, Array]:
        """`phi` and `lam` of `to_frame`, deg, without the cost of proper motions."""
        points = ICRS(np.asarray(ra) * u.deg, np.asarray(dec) * u.deg)
        place = points.transform_to(SkyOffsetFrame(origin=self.centre))
        return place.lon.wrap_at(180 * u.deg).deg, place.lat.deg

    def sky_points(self, phi: ArrayLike, lam: ArrayLike) -> tuple[Array, Array]:
        """`ra` and `dec` of `from_frame`, deg, without the cost of proper motions."""
        degrees = np.asarray(phi) * u.deg, np.asarray(lam) * u.deg
        points = SkyOffsetFrame(*degrees, origin=self.centre).transform_to(ICRS())
        return points.ra.deg, points.dec.deg

    def separation_deg(self, ra: ArrayLike, dec: ArrayLike) -> Array:
        """Angular distance of points (deg, shape (n,)) from the centre, deg."""
        centre = np.radians(self.ra), np.radians(self.dec)
        distance = angular_separation(*centre, np.radians(ra), np.radians(dec))
        return np.asarray(np.degrees(distance), dtype=np.float64)


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


def direction(lon_deg: ArrayLike, lat_deg: ArrayLike) -> Array:
    """Unit vectors of shape (..., 3) towards a longitude and latitude in deg."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def east_north(lon_deg: ArrayLike, lat_deg: ArrayLike) -> tuple[Array, Array]:
    """Unit vectors of shape (..., 3) to the east and the north of a point in deg."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=-1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=-1)
    return east, north
