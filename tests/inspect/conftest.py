"""A small scan with two candidates, as the pipeline would hand it over."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table, vstack

from viamachinae.inspect.candidate import GAIA_PHOTOMETRY, Candidate
from viamachinae.inspect.exports import CANDIDATES, conform
from viamachinae.inspect.page import PatchRecord, Report
from viamachinae.inspect.view import HoughMap, LineView, Ratios, Region
from viamachinae.sky import FramePositions, Patch


def stars_along(name: str, ra: float, dec: float, n: int, on_line: bool, seed: int) -> Table:
    """`n` stars of a candidate, on the parallel `dec` or scattered around it."""
    rng = np.random.default_rng(seed)
    return Table(
        {
            "candidate": np.full(n, name),
            "source_id": 2**62 + 1000 * seed + np.arange(n),
            "ra": (ra + np.linspace(-4, 4, n)) % 360,
            "dec": dec + (0.0 if on_line else 1.0) * rng.uniform(-4, 4, n),
            "pmra": rng.normal(-7, 0.5, n),
            "pmdec": rng.normal(-12, 0.5, n),
            "phot_g_mean_mag": rng.uniform(16, 20, n),
            "bp_rp": rng.uniform(0.5, 1.0, n),
            "log_ratio": rng.normal(1, 0.3, n),
            "on_line": np.full(n, on_line),
        }
    )


def candidates_table() -> Table:
    rows = [
        ("faint", 2, 8.5, 12, 1, 8.0, 15.0, -7.0, -12.0),
        ("bright", 1, 14.25, 30, 2, 1.0, 20.0, -7.0, -12.0),
    ]
    names = ["candidate", "rank", "sigma", "n_stars", "n_patches", "ra", "dec", "pmra", "pmdec"]
    return Table(rows=rows, names=names)


def background_table(n: int) -> Table:
    rng = np.random.default_rng(9)
    columns = {
        "ra": (1 + rng.uniform(-6, 6, n)) % 360,
        "dec": rng.uniform(14, 26, n),
        "pmra": rng.normal(0, 5, n),
        "pmdec": rng.normal(0, 5, n),
        "colour": rng.uniform(0.5, 1, n),
        "mag": rng.uniform(14, 20, n),
    }
    return Table(columns)


@pytest.fixture(scope="session")
def report() -> Report:
    """Shared by all tests: to be changed through copies alone."""
    parts = [
        stars_along("bright", 1.0, 20.0, 30, True, 1),
        stars_along("bright", 1.0, 20.0, 20, False, 2),
        stars_along("faint", 8.0, 15.0, 12, True, 3),
    ]
    return Report(
        name="demo",
        provenance={"version": "viamachinae 0.1.0", "seed": "0"},
        patches=[
            PatchRecord(Patch("l100.0_b-40.0", 358.0, 18.0, 15.0, 10.0), "done", "", 12345, 61.5),
            PatchRecord(Patch("l110.0_b-45.0", 8.0, 16.0, 15.0, 10.0), "failed", "no disk left"),
        ],
        candidates=candidates_table(),
        members=vstack(parts),
    )


@pytest.fixture
def candidates(report: Report) -> Table:
    return report.candidates.copy()


@pytest.fixture
def members(report: Report) -> Table:
    return report.members.copy()


@pytest.fixture
def background() -> Table:
    return background_table(2000)


@pytest.fixture(scope="session")
def view() -> LineView:
    """A line of 40 stars at phi = 2 deg among 60 even ones, in a disc of 10 deg."""
    rng = np.random.default_rng(4)
    lam = np.concatenate([np.linspace(-9, 9, 40), rng.uniform(-6, 6, 60)])
    phi = np.concatenate([np.full(40, 2.0), rng.uniform(-6, 6, 60)])
    listed = FramePositions(phi, lam, rng.normal(-5, 0.5, 100), rng.normal(-10, 0.5, 100))
    grid = np.arange(0.9, 180, 1.8), np.arange(-10, 10.1, 0.2)
    sigma = rng.normal(0, 1, (len(grid[0]), len(grid[1])))
    sigma[50, 60] = 12.0
    sigma[:, 0] = -np.inf
    log_ratio = rng.normal(0, 1, 500)
    best = log_ratio >= np.sort(log_ratio)[-100]
    return LineView(
        patch=Patch("l100.0_b-40.0", 358.0, 18.0, 15.0, 10.0),
        theta_deg=90.0,
        r_deg=2.0,
        sigma=12.0,
        half_width_deg=0.5,
        background=FramePositions(*rng.normal(0, 4, (4, 300))),
        listed=listed,
        on_line=np.abs(phi - 2.0) < 0.5,
        hough=HoughMap(*grid, sigma),
        regions=[Region("pm_phi", -8.0, -13.0, 9.0), Region("pm_lam", -12.0, -8.0, 7.0)],
        width_masyr=6.0,
        window_masyr=6.0,
        ratios=Ratios(log_ratio, log_ratio > -1, best, best & (rng.uniform(size=500) < 0.4)),
        cutflow=[
            {
                "rule": "finite_motion",
                "effect": "drop",
                "n_before": 1000,
                "n_after": 990,
                "n_missing": 10,
                "applied": True,
                "reason": "",
                "description": "the proper motion is known",
            }
        ],
    )


@pytest.fixture
def candidate(candidates: Table, members: Table, background: Table, view: LineView) -> Candidate:
    """The bright one, as its dossier takes it."""
    names = ["candidate", "patch", "protostream", "protocluster", "scan", "region", "window"]
    rows = [
        ("bright", "l100.0_b-40.0", 0, 0, "pm_phi", -8.0, -13.0, 9.0),
        ("bright", "l100.0_b-40.0", 0, 0, "pm_lam", -12.0, -8.0, 7.0),
    ]
    return Candidate(
        row=conform(candidates, CANDIDATES)[1],
        members=members[members["candidate"] == "bright"],
        lineage=Table(rows=rows, names=[*names, "sigma"]),
        view=view,
        background=background,
        photometry=GAIA_PHOTOMETRY,
        command="viamachinae patch runs/demo/config.yaml l100.0_b-40.0 --out runs/demo",
        run_name="demo",
        files=["candidate.ecsv", "members.fits"],
    )
