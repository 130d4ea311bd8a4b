"""Fitting to a density: known integrals, and the lattice field of one mode."""

from __future__ import annotations

from math import log, pi

import numpy as np
import pytest
import torch

from viamachinae.flows.architecture import Architecture
from viamachinae.flows.stack import FlowStack
from viamachinae.flows.variational import (
    VariationalOptions,
    distil,
    fit_to_density,
    importance,
)

OPTIONS = VariationalOptions(learning_rate=1e-2, batch_size=256, steps=400)


def rosenbrock(x: torch.Tensor, _condition: torch.Tensor) -> torch.Tensor:
    """A banana, without its normalisation: the integral is pi / sqrt(20 * 0.5)."""
    return -0.5 * x[..., 0] ** 2 - 10 * (x[..., 1] - 0.5 * x[..., 0] ** 2) ** 2


BANANA_LOG_Z = log(2 * pi) - 0.5 * log(20)


def seeds(n: int) -> list[np.random.Generator]:
    return [np.random.default_rng([4, k]) for k in range(n)]


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(2, 0, 4, (24,), family="affine_coupling"),
        pytest.param(Architecture(2, 0, 4, (24,), family="iaf"), marks=pytest.mark.slow),
        pytest.param(
            Architecture(2, 0, 2, (16,), family="rqs_coupling", affine_first=True),
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda a: a.family,
)
def test_the_integral_of_a_banana_is_found(architecture):
    stack = fit_to_density(architecture, rosenbrock, OPTIONS, seeds(2))
    found = importance(stack, rosenbrock, 20_000, generator=torch.Generator().manual_seed(0))
    assert (found.ess > 0.6).all()
    assert (found.ess <= 1).all()
    assert (found.log_z_error < 0.02).all()
    assert ((found.log_z - BANANA_LOG_Z).abs() < 5 * found.log_z_error).all()


def log_weight(field: torch.Tensor, _condition: torch.Tensor) -> torch.Tensor:
    """Free scalar field on a ring of sites, of mass 1: a Gaussian of known determinant."""
    return -0.5 * (field.square() + (field - field.roll(1, dims=-1)).square()).sum(dim=-1)


def test_ln_z_of_a_free_field_on_a_lattice():
    sites = 6
    architecture = Architecture(sites, 0, 2, (24,), family="iaf")
    options = VariationalOptions(learning_rate=1e-2, batch_size=256, steps=400)
    stack = fit_to_density(architecture, log_weight, options, seeds(1))
    found = importance(stack, log_weight, 20_000, generator=torch.Generator().manual_seed(0))
    modes = 1 + 4 * np.sin(np.pi * np.arange(sites) / sites) ** 2
    exact = 0.5 * sites * log(2 * pi) - 0.5 * np.log(modes).sum()
    assert float(found.ess[0]) > 0.95
    assert float(found.log_z[0]) == pytest.approx(exact, abs=5 * float(found.log_z_error[0]))


def test_effective_sample_size_of_an_unfitted_flow_is_what_its_weights_say():
    """For q = N(0, 1) and p = N(0, s) in each of two features, the size is known."""
    architecture = Architecture(2, 0, 1, (8,))
    drawn = fit_to_density(architecture, rosenbrock, VariationalOptions(1e-2, 4, 0), seeds(1))
    with torch.no_grad():
        drawn.weights.zero_()
    s = 0.8

    def narrow(x: torch.Tensor, _condition: torch.Tensor) -> torch.Tensor:
        return -0.5 * (x / s).square().sum(dim=-1)

    found = importance(drawn, narrow, 200_000, generator=torch.Generator().manual_seed(1))
    expected = s**2 * (2 - s**2)  # E[w]^2 / E[w^2] = s sqrt(2 - s^2) for one feature
    assert float(found.ess[0]) == pytest.approx(expected, rel=0.02)
    assert float(found.log_z[0]) == pytest.approx(log(2 * pi * s**2), abs=0.01)


def test_a_teacher_that_draws_in_many_passes_teaches_one_that_draws_in_one():
    generators = [np.random.default_rng([8, k]) for k in range(2)]
    teacher = FlowStack.draw(Architecture(3, 1, 2, (16,)), generators)
    with torch.no_grad():
        noise = torch.randn(teacher.weights.shape, generator=torch.Generator().manual_seed(0))
        teacher.weights += 0.15 * noise
    conditions = torch.randn(500, 1, generator=torch.Generator().manual_seed(1))
    student_shape = Architecture(3, 1, 3, (32,), family="iaf")
    student = distil(teacher, student_shape, OPTIONS, seeds(2), conditions)
    untaught = FlowStack.draw(student_shape, seeds(2)).eval()
    before, after = (
        importance(
            flows,
            teacher.log_prob,
            10_000,
            generator=torch.Generator().manual_seed(2),
            conditions=conditions,
        )
        for flows in (untaught, student)
    )
    assert (before.divergence > 0.1).all()
    assert (after.divergence < 0.03).all()
    assert (after.divergence > -5 * after.divergence_error).all()
    # The divergence the other way, from points of the teacher.
    given = conditions[:400].expand(2, -1, -1)
    x = teacher.sample(400, given, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        forward = (teacher.log_prob(x, given) - student.log_prob(x, given)).mean(dim=1)
    assert (forward < 0.06).all()


def test_what_cannot_be_fitted_is_said():
    with pytest.raises(ValueError, match="1 conditions cannot draw from conditions of shape"):
        fit_to_density(Architecture(2, 1, 2, (8,)), rosenbrock, OPTIONS, seeds(1))
    with pytest.raises(ValueError, match="with batch norm cannot"):
        fit_to_density(Architecture(2, 0, 2, (8,), True), rosenbrock, OPTIONS, seeds(1))
    plain = Architecture(2, 0, 1, (8,))
    with pytest.raises(FloatingPointError, match="not finite in step 0"):
        fit_to_density(plain, lambda x, _: torch.log(-x[..., 0].abs()), OPTIONS, seeds(1))
