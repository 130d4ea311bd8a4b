"""Scaling: exact inverse, exact Jacobian, stated behaviour at the edges."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from viamachinae.flows.scaling import MARGIN, Scaling, Standardisation


@pytest.fixture
def sample() -> np.ndarray:
    rng = np.random.default_rng(0)
    heavy = rng.standard_t(2, 4000) * 3
    return np.column_stack([rng.uniform(-15, 15, 4000), heavy, 20 - rng.exponential(1.5, 4000)])


def test_scaled_sample_has_mean_0_and_variance_1(sample):
    z, log_det = Scaling.fit(sample).forward(sample)
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-12)
    assert np.isfinite(log_det).all()


def test_inverse_gives_the_sample_back(sample):
    scaling = Scaling.fit(sample)
    np.testing.assert_allclose(scaling.inverse(scaling.forward(sample)[0]), sample, atol=1e-10)


def test_log_det_is_that_of_autograd(sample):
    scaling = Scaling.fit(sample)
    _, log_det = scaling.forward(sample[:50])
    lower, upper, mean, std = map(
        torch.from_numpy, (scaling.lower, scaling.upper, scaling.mean, scaling.std)
    )

    def scale(star: torch.Tensor) -> torch.Tensor:
        return (torch.logit((star - lower) / (upper - lower)) - mean) / std

    for star, value in zip(torch.from_numpy(sample[:50]), log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(scale, star)
        assert value == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]), rel=1e-12)


def test_outside_the_box_the_log_density_is_minus_infinity_and_nothing_is_nan(sample):
    scaling = Scaling.fit(sample)
    span = np.ptp(sample, axis=0)
    outside = np.stack(
        [
            sample.max(axis=0) + 1.01 * MARGIN * span,
            sample.min(axis=0) - 2 * MARGIN * span,
            np.array([0.0, 0.0, np.nan]),
        ]
    )
    z, log_det = scaling.forward(outside)
    assert np.isfinite(z).all()
    assert (log_det == -np.inf).all()


def test_extreme_stars_stay_within_the_logits_of_the_margin(sample):
    scaling = Scaling.fit(sample)
    extremes = np.stack([sample.min(axis=0), sample.max(axis=0)])
    logits = scaling.forward(extremes)[0] * scaling.std + scaling.mean
    np.testing.assert_allclose(np.abs(logits), np.log((1 + MARGIN) / MARGIN), rtol=1e-9)


def test_json_keeps_every_bit(sample):
    scaling, standardisation = Scaling.fit(sample), Standardisation.fit(sample)
    again = Scaling.from_dict(json.loads(json.dumps(scaling.to_dict())))
    np.testing.assert_array_equal(again.forward(sample)[0], scaling.forward(sample)[0])
    kept = Standardisation.from_dict(json.loads(json.dumps(standardisation.to_dict())))
    np.testing.assert_array_equal(kept.forward(sample), standardisation.forward(sample))


@pytest.mark.parametrize(("kind", "what"), [(Scaling, "feature"), (Standardisation, "condition")])
def test_constant_and_nan_columns_are_named(kind, what, sample):
    constant, missing = sample.copy(), sample.copy()
    constant[:, 1] = 4.5
    missing[7, 2] = np.nan
    with pytest.raises(ValueError, match=rf"^{what} colour is constant \(4\.5\): nothing"):
        kind.fit(constant, ["phi", "colour", "mag"])
    with pytest.raises(ValueError, match=f"^{what} 2 is NaN or infinite in 1 of 4000 rows$"):
        kind.fit(missing)


@pytest.mark.parametrize("value", [-15.01, 15.01, np.inf, np.nan])
def test_a_condition_beyond_those_of_training_is_refused(sample, value):
    sample[:2, 0] = -15, 15
    standardisation = Standardisation.fit(sample)
    np.testing.assert_allclose(standardisation.forward(sample).std(axis=0), 1, rtol=1e-12)
    sample[[5, 9], 0] = value
    words = rf"^condition 0 is {value:g} in the first of 2 rows \(of 4000\) outside its range "
    with pytest.raises(ValueError, match=words + r"in training, -15 to 15, where flows know no"):
        standardisation.forward(sample)
