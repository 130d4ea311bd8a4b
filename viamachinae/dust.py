"""E(B-V) over the sky from maps on disk: HEALPix files, and SFD's own two."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from pathlib import Path
from typing import Any

import astropy.units as u
import healpy
import numpy as np
from astropy.coordinates import ICRS, Galactic, SkyCoord
from astropy.io import fits
from numpy.typing import NDArray

from viamachinae.config import ColumnEbv, HealpixEbv, MapConfig, NoEbv, SfdEbv
from viamachinae.errors import BadInputError, install_extra

Array = NDArray[np.float64]
EbvMap = Callable[[SkyCoord], Array]

# Discs are sampled at the centres of pixels of this nside: 0.46 deg apart.
SAMPLE_NSIDE = 128
SFD_FILES = ("SFD_dust_4096_ngp.fits", "SFD_dust_4096_sgp.fits")
# Frames by what the FITS keyword COORDSYS says: HEALPix writes G and C, other writers whole words.
Frame = type[Galactic] | type[ICRS]
FRAMES: dict[str, Frame] = {
    **dict.fromkeys(("G", "GALACTIC"), Galactic),
    **dict.fromkeys(("C", "Q", "CELESTIAL", "EQUATORIAL", "ICRS"), ICRS),
}


def map_files(config: MapConfig | ColumnEbv) -> list[Path]:
    """The files whose contents decide E(B-V); none where no map is used."""
    if isinstance(config, HealpixEbv):
        return [config.path]
    if isinstance(config, SfdEbv):
        return [config.folder / name for name in SFD_FILES]
    return []


def open_map(config: MapConfig) -> EbvMap:
    """Open a map of E(B-V).

    Returns
    -------
    callable
        From positions (SkyCoord of shape (n,)) to E(B-V) in mag (float64, shape (n,)), the
        factor applied; NaN where the map has no value.

    Raises
    ------
    BadInputError
        If a file is absent or is no such map, or dustmaps is needed and not installed.
    """
    if isinstance(config, NoEbv):
        raise TypeError("no map is configured")
    versions = []
    for path in map_files(config):
        try:
            state = path.stat()
        except OSError as error:
            raise BadInputError(
                f"{path}: is no map of E(B-V) that can be read ({error.strerror}); nothing is "
                "downloaded here, so put the file there or name another"
            ) from None
        versions.append((state.st_mtime_ns, state.st_size))
    return _open(config, tuple(versions))


@lru_cache(maxsize=2)
def _open(config: HealpixEbv | SfdEbv, _versions: tuple[tuple[int, int], ...]) -> EbvMap:
    """The map as its files stand; kept, for the tiling and every patch ask for the same one."""
    return _healpix(config) if isinstance(config, HealpixEbv) else _sfd(config)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a reader raises on a bad file into one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except BadInputError:
        raise
    except Exception as error:  # FITS readers have many
        found = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadInputError(
            f"{path}: cannot be read as a map of E(B-V) ({found}); give a HEALPix FITS file, or "
            "SFD's own files, as they were published"
        ) from error


def _healpix(config: HealpixEbv) -> EbvMap:
    with _reading(config.path), fits.open(config.path) as hdus:
        values, header = healpy.read_map(hdus, field=config.field, dtype=None, h=True)
        values = np.where(values == healpy.UNSEEN, np.nan, values).astype(np.float32)
        frame = _frame(config, dict(header))
        nside = healpy.npix2nside(values.size)

    def ebv(points: SkyCoord) -> Array:
        place = points.transform_to(frame()).spherical
        lon, lat = place.lon.deg, place.lat.deg
        nearest = values[healpy.ang2pix(nside, lon, lat, lonlat=True)]
        if config.lookup == "nearest":
            return np.asarray(config.factor * nearest, dtype=np.float64)
        smooth = healpy.get_interp_val(values, lon, lat, lonlat=True)
        # Beside a hole of the map the pixel itself may have a value where its neighbours have not.
        return np.asarray(
            config.factor * np.where(np.isnan(smooth), nearest, smooth), dtype=np.float64
        )

    return ebv


def _frame(config: HealpixEbv, header: dict[str, Any]) -> Frame:
    named = str(header.get("COORDSYS", "")).strip().upper()
    word = named if config.frame == "header" else config.frame.upper()
    if word not in FRAMES:
        said = f"its COORDSYS is {named}" if named else "it has no COORDSYS"
        raise BadInputError(
            f"{config.path}: {said}, which tells neither galactic nor equatorial; say which with "
            "ebv.frame"
        )
    return FRAMES[word]


def _sfd(config: SfdEbv) -> EbvMap:
    try:
        # Its import warns where it finds no settings of its own, of which none matter here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from dustmaps.sfd import SFDQuery
    except ImportError as error:
        raise BadInputError(
            "ebv.source is sfd, which needs the package dustmaps; install it with "
            f"{install_extra('dust')}"
        ) from error
    # It prints how to download what it cannot read.
    with _reading(config.folder), redirect_stdout(io.StringIO()):
        query = SFDQuery(map_dir=str(config.folder))

    def ebv(points: SkyCoord) -> Array:
        return np.asarray(config.factor * query(points.galactic), dtype=np.float64)

    return ebv


def disc_percentiles(ebv: EbvMap, centres: SkyCoord, radius_deg: float, percent: float) -> Array:
    """A percentile of E(B-V) over each of some discs, of the part that the map knows.

    Parameters
    ----------
    ebv : callable
        From `open_map`.
    centres : SkyCoord of shape (n,)
    radius_deg, percent : float

    Returns
    -------
    float64 array of shape (n,)
        mag; NaN where the map knows nothing of the disc.
    """
    vectors = centres.icrs.cartesian.xyz.value.T
    discs = [healpy.query_disc(SAMPLE_NSIDE, vector, np.radians(radius_deg)) for vector in vectors]
    pixels = np.unique(np.concatenate(discs))
    ra, dec = healpy.pix2ang(SAMPLE_NSIDE, pixels, lonlat=True)
    values = ebv(SkyCoord(ra * u.deg, dec * u.deg))
    inside = (values[np.searchsorted(pixels, disc)] for disc in discs)
    return np.array([_percentile(part[np.isfinite(part)], percent) for part in inside])


def _percentile(values: Array, percent: float) -> float:
    return float(np.percentile(values, percent)) if values.size else float("nan")
