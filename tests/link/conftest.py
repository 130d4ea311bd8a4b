"""Star lists that the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable

import astropy.units as u
import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord, SkyOffsetFrame
from astropy.table import Table
from numpy.typing import NDArray

from viamachinae.config import LinkConfig
from viamachinae.link.hough import hough_plane
from viamachinae.link.protoclusters import find_protoclusters
from viamachinae.link.roi import Rois, regions_of_interest
from viamachinae.link.streams import LinkedPatch
from viamachinae.sky import Patch

Floats = NDArray[np.float64]
Draw = Callable[..., tuple[Floats, Floats]]
Choose = Callable[..., Rois]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240611)


@pytest.fixture
def disc(rng: np.random.Generator) -> Draw:
    """Stars spread evenly over a disc."""

    def draw(n: int, radius_deg: float = 10.0) -> tuple[Floats, Floats]:
        rho, angle = radius_deg * np.sqrt(rng.random(n)), rng.uniform(0, 2 * np.pi, n)
        return rho * np.cos(angle), rho * np.sin(angle)

    return draw


@pytest.fixture
def line(rng: np.random.Generator) -> Draw:
    """Stars spread evenly along a line in a disc, Gaussian of sigma `width_deg` across it."""

    def draw(
        n: int,
        theta_deg: float,
        r_deg: float,
        radius_deg: float = 10.0,
        width_deg: float = 0.2,
    ) -> tuple[Floats, Floats]:
        theta = np.radians(theta_deg)
        r = rng.normal(r_deg, width_deg, 20 * n)
        t = rng.uniform(-radius_deg, radius_deg, 20 * n)
        inside = np.flatnonzero(np.hypot(r, t) < radius_deg)[:n]
        r, t = r[inside], t[inside]
        return r * np.sin(theta) + t * np.cos(theta), t * np.sin(theta) - r * np.cos(theta)

    return draw


@pytest.fixture
def choose() -> Choose:
    """ROIs of a patch from lists of stars: (scan, signal region, rows of the stars, best first).

    The other proper motion of a list's stars may span less than 3 mas/yr only: every list then
    gives the one ROI whose window holds them all, and maybe its neighbours. An ROI may keep all
    stars of its window, `n_stars` of them.
    """

    def rois(stars: Table, lists: list[tuple[str, float, Floats]], config: LinkConfig) -> Rois:
        scores = {}
        for scan in dict.fromkeys(scan for scan, _, _ in lists):
            parts = [(region, rows) for of, region, rows in lists if of == scan]
            rows = np.concatenate([rows for _, rows in parts])
            scores[scan] = pa.table(
                {
                    "source_id": np.asarray(stars["source_id"])[rows],
                    "region": np.concatenate([np.full(len(rows), r) for r, rows in parts]),
                    "log_ratio": np.concatenate([np.linspace(2, 1, len(r)) for _, r in parts]),
                }
            )
        whole = {"max_share": 1.0, "min_stars": config.roi.n_stars}
        config = config.model_copy(update={"roi": config.roi.model_copy(update=whole)})
        return regions_of_interest(stars, scores, config, hough_plane(config.lines, 10.0))

    return rois


@pytest.fixture
def catalogue(rng: np.random.Generator) -> Callable[..., Table]:
    """A star table as preprocessing leaves it, from positions and proper motions in a patch."""

    def make(
        patch: Patch, phi: Floats, lam: Floats, pm: tuple[float, float], spread: float = 0.5
    ) -> Table:
        pm_phi, pm_lam = (rng.normal(value, spread, len(phi)) for value in pm)
        sky = patch.from_frame(phi, lam, pm_phi, pm_lam)
        return Table(
            {
                "source_id": 6_000_000_000_000_000_000 + np.arange(len(phi)),
                **sky._asdict(),
                "phot_g_mean_mag": rng.uniform(16, 20, len(phi)),
                "bp_rp": np.full(len(phi), np.nan),
                "phi": phi,
                "lam": lam,
                "pm_phi": pm_phi,
                "pm_lam": pm_lam,
            }
        )

    return make


@pytest.fixture
def crossing(rng: np.random.Generator, choose: Choose) -> Callable[..., list[LinkedPatch]]:
    """Two overlapping patches, 12 deg apart, a third far away, and a stream along each.

    The stream of the first two is one great circle through both. It goes by the middle given,
    at 40 deg east of north; the third patch has a fainter one of its own.
    """

    def link(ra: float, dec: float, config: LinkConfig) -> list[LinkedPatch]:
        along = SkyOffsetFrame(origin=SkyCoord(ra * u.deg, dec * u.deg), rotation=(40 - 90) * u.deg)
        lon = np.concatenate([rng.uniform(-16, 16, 130), rng.uniform(50, 70, 50)])
        lat = rng.normal(0, 0.2, len(lon))
        stream = SkyCoord(lon * u.deg, lat * u.deg, frame=along).icrs
        linked = []
        for i, (place, n_on) in enumerate((((-6, 1), 60), ((6, -2), 60), ((60, 0), 40))):
            centre = SkyCoord(*place, unit=u.deg, frame=along).icrs
            patch = Patch(f"patch{i}", centre.ra.deg, centre.dec.deg, 15.0, 10.0)
            stars = _stars(rng, patch, stream, 10_000 * (i + 1))
            on = np.flatnonzero(np.asarray(stars["source_id"]) < 2**60 + 1000)[:n_on]
            off = np.flatnonzero(np.asarray(stars["source_id"]) > 2**60 + 1000)
            rois = choose(
                stars,
                [("pm_lam", -10.0, np.append(on, off[: 100 - len(on)]))],
                config,
            )
            plane = hough_plane(config.lines, 10.0)
            table = find_protoclusters(rois, plane, config)
            linked.append(LinkedPatch(patch, rois.lines, table, stars))
        return linked

    return link


def _stars(rng: np.random.Generator, patch: Patch, stream: SkyCoord, first_id: int) -> Table:
    """The stream's stars in a patch, and 100 others of its own, all with one proper motion."""
    pm = np.full(len(stream), -7.0), np.full(len(stream), -7.0)
    place = patch.to_frame(stream.ra.deg, stream.dec.deg, *pm)
    inside = patch.separation_deg(stream.ra.deg, stream.dec.deg) < 10
    rho, angle = 9.9 * np.sqrt(rng.random(100)), rng.uniform(0, 2 * np.pi, 100)
    phi = np.append(place.phi[inside], rho * np.cos(angle))
    lam = np.append(place.lam[inside], rho * np.sin(angle))
    n = len(phi)
    pm_phi, pm_lam = rng.normal(-7, 0.4, n), rng.normal(-7, 0.4, n)
    ids = np.append(np.flatnonzero(inside), first_id + np.arange(100)) + 2**60
    return Table(
        {
            "source_id": ids,
            **patch.from_frame(phi, lam, pm_phi, pm_lam)._asdict(),
            "phot_g_mean_mag": 15 + (ids % 5).astype(float),
            "bp_rp": np.full(n, np.nan),
            "phi": phi,
            "lam": lam,
            "pm_phi": pm_phi,
            "pm_lam": pm_lam,
        }
    )
