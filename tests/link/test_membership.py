"""Membership: probabilities that mean what they say, where the truth is known."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from viamachinae.config import LinkConfig
from viamachinae.link.candidates import find_candidates
from viamachinae.link.membership import LineFrames, memberships
from viamachinae.sky import Patch

R_DEG = 3.0


def drawn(disc, line, rng, n_stream: int, n_background: int) -> tuple[LineFrames, np.ndarray]:
    """Stars of a disc, and which of them are of a stream 0.2 deg wide at 3 deg from its centre."""
    phi, lam = line(n_stream, 30.0, R_DEG)
    x, y = disc(n_background)
    phi, lam = np.append(phi, x), np.append(lam, y)
    real = np.arange(len(phi)) < n_stream
    spread = np.where(real, 0.6, 1.7)
    pm_phi, pm_lam = rng.normal(1.0, spread), rng.normal(-1.0, spread)
    theta = np.radians(30.0)
    offset = phi * np.sin(theta) - lam * np.cos(theta) - R_DEG
    on_line = np.abs(offset) < 0.5
    columns = (real | True, offset, pm_phi, pm_lam, on_line)
    return LineFrames(*(column[None] for column in columns)), real


def alone(stars: LineFrames, max_width_deg: float = 0.5) -> np.ndarray:
    """Memberships of the stars of a single line."""
    (said,) = memberships(stars, np.array([R_DEG]), 10.0, max_width_deg)
    return said


def test_a_star_belongs_as_often_as_its_membership_says(disc, line, rng) -> None:
    skies = [drawn(disc, line, rng, 40, 160) for _ in range(100)]
    said = np.concatenate([alone(stars) for stars, _ in skies])
    real = np.concatenate([truth for _, truth in skies])
    edges = np.array([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
    numbers = np.digitize(said, edges[1:-1])
    for number in range(len(edges) - 1):
        here = numbers == number
        assert here.sum() > 100
        assert real[here].mean() == pytest.approx(said[here].mean(), abs=0.1)
    assert said.sum() == pytest.approx(real.sum(), rel=0.05)
    # It tells more than the line alone does.
    on = np.concatenate([stars.on_line[0] for stars, _ in skies])
    assert np.mean((said - real) ** 2) < 0.7 * np.mean((on * real[on].mean() - real) ** 2)


def test_the_width_is_bounded(disc, line, rng) -> None:
    stars, _ = drawn(disc, line, rng, 5, 200)
    wide = alone(stars, max_width_deg=0.3)
    assert wide[np.abs(stars.offset_deg[0]) > 2].max() < 0.01


def test_too_few_stars_have_none(disc, line, rng) -> None:
    stars, _ = drawn(disc, line, rng, 5, 10)
    assert np.isnan(alone(stars)).all()


def test_a_star_at_the_rim_belongs_to_no_far_line(disc, line, rng) -> None:
    """The flat frame puts a star just inside the disc, between its axes, just outside."""
    patch = Patch("p", 0.0, 0.0, 15.0, 10.0)
    rim = patch.centre.directional_offset_by(45 * u.deg, 9.999 * u.deg)
    (phi,), (lam,) = patch.offsets([rim.ra.deg], [rim.dec.deg])
    across = (phi + lam) / np.sqrt(2)
    assert across > 10.0
    stars, _ = drawn(disc, line, rng, 40, 160)
    stars.offset_deg[0, -1] = across - R_DEG
    assert alone(stars)[-1] < 0.01


def test_lines_of_different_length_do_not_mix(disc, line, rng) -> None:
    skies = [drawn(disc, line, rng, *counts)[0] for counts in ((40, 160), (5, 10), (60, 20))]
    n = [sky.offset_deg.size for sky in skies]
    # What stands where a line has no star is not looked at.
    together = LineFrames(
        *(
            np.concatenate(
                [np.pad(one, ((0, 0), (0, max(n) - one.size)), "edge") for one in column]
            )
            for column in zip(*skies, strict=True)
        )
    )
    together = together._replace(present=np.arange(max(n)) < np.array(n)[:, None])
    said = memberships(together, np.full(3, R_DEG), 10.0, 0.5)
    for row, size, sky in zip(said, n, skies, strict=True):
        np.testing.assert_allclose(row[:size], alone(sky), atol=1e-12)
        assert np.isnan(row[size:]).all()


def test_members_of_candidates_carry_it(crossing) -> None:
    config = LinkConfig()
    candidates, members, _ = find_candidates(crossing(150.0, 30.0, config), config.candidates)
    own = members[members["candidate"] == candidates["candidate"][0]]
    real = np.asarray(own["source_id"]) < 2**60 + 1000
    said = np.asarray(own["membership"])
    assert said[real].mean() > 0.85
    assert said[~real].mean() < 0.15
    assert ((said >= 0) & (said <= 1)).all()
