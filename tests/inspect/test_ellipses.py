"""Error ellipses against what is known of them by hand."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from viamachinae.inspect.ellipses import ellipses, in_patch_frame, pm_covariance
from viamachinae.sky import Patch


def test_axes_of_a_known_covariance() -> None:
    # Equal errors s with correlation c: axes s sqrt(1 + c) at 45 deg and s sqrt(1 - c) across.
    stars = Table({"pmra_error": [0.5], "pmdec_error": [0.5], "pmra_pmdec_corr": [0.6]})
    found = ellipses(np.zeros(1), np.zeros(1), pm_covariance(stars))
    assert found.major[0] == pytest.approx(0.5 * np.sqrt(1.6))
    assert found.minor[0] == pytest.approx(0.5 * np.sqrt(0.4))
    assert found.angle_deg[0] == pytest.approx(45)


def test_without_correlation_the_axes_are_the_errors() -> None:
    stars = Table({"pmra_error": [0.3, np.nan], "pmdec_error": [0.7, 0.1]})
    found = ellipses(np.arange(2.0), np.zeros(2), pm_covariance(stars))
    # The star without an error has no ellipse.
    assert found.x.tolist() == [0.0]
    assert (found.minor[0], found.major[0]) == (pytest.approx(0.3), pytest.approx(0.7))
    assert found.angle_deg[0] == pytest.approx(90)
    assert pm_covariance(Table({"pmra_error": [0.3]})) is None


def test_the_frame_turns_errors_as_it_turns_motions() -> None:
    patch = Patch("one", 150.0, 60.0, 15.0, 10.0)
    ra, dec = np.array([150.0, 170.0]), np.array([60.0, 64.0])
    stars = Table({"pmra_error": [0.3, 0.3], "pmdec_error": [0.7, 0.7]})
    turned = in_patch_frame(pm_covariance(stars), ra, dec, patch)
    np.testing.assert_allclose(turned[0], np.diag([0.09, 0.49]), atol=1e-12)
    # Drawn motions, brought to the frame one by one, scatter by the turned covariance.
    draws = np.random.default_rng(1).normal(0, [0.3, 0.7], (20_000, 2))
    here = patch.to_frame(np.full(20_000, 170.0), np.full(20_000, 64.0), *draws.T)
    np.testing.assert_allclose(turned[1], np.cov(here.pm_phi, here.pm_lam), atol=0.015)
    assert np.linalg.eigvalsh(turned[1]) == pytest.approx([0.09, 0.49])
    assert abs(turned[1, 0, 1]) > 0.05
