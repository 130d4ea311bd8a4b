"""The peer that stands on JAX: FlowJAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from viamachinae.bench.library import Floats, Flows, Index, Library, Recipe
from viamachinae.flows import Architecture

# Models in one vmapped computation; 16 trained more slowly, in trials on two kinds of flow.
VMAPPED = 4


class JaxFlows(Flows):
    """Flows of FlowJAX in float32, all steps of a call in one compiled scan.

    Several models are one vmapped computation.
    """

    def __init__(
        self, architecture: Architecture, stars: Floats, models: int, recipe: Recipe, seed: int
    ) -> None:
        import equinox
        import jax
        import optax
        import paramax

        keys = jax.random.split(jax.random.key(seed), models)
        parts = [
            equinox.partition(
                _flow(architecture, key),
                equinox.is_inexact_array,
                is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable),
            )
            for key in keys
        ]
        static = parts[0][1]
        rate = recipe.learning_rate
        adam = optax.adam(optax.cosine_decay_schedule(rate, recipe.steps) if recipe.steps else rate)
        self.parameters = jax.tree.map(lambda *rows: jax.numpy.stack(rows), *[p for p, _ in parts])
        self.state = jax.vmap(adam.init)(self.parameters)
        self.stars, self.keys, self.features = jax.numpy.asarray(stars), keys, architecture.features

        def flow(parameters: Any) -> Any:
            return paramax.unwrap(equinox.combine(parameters, static))

        def log_prob(parameters: Any, rows: Any) -> Any:
            return flow(parameters).log_prob(rows[:, : self.features], rows[:, self.features :])

        def steps(parameters: Any, state: Any, order: Any, stars: Any) -> Any:
            def step(carry: Any, rows: Any) -> Any:
                parameters, state = carry
                gradient = jax.grad(lambda p: -log_prob(p, stars[rows]).mean())(parameters)
                updates, state = adam.update(gradient, state)
                return (optax.apply_updates(parameters, updates), state), None

            return jax.lax.scan(step, (parameters, state), order)[0]

        def sample(parameters: Any, key: Any, condition: Any) -> Any:
            return flow(parameters).sample(key, (), condition)

        self._steps = jax.jit(_over_models(steps, models, 3), donate_argnums=(0, 1))
        self._log_prob = jax.jit(_over_models(log_prob, models, 2))
        self._sample = jax.jit(_over_models(sample, models, 3))
        self._split = jax.jit(jax.vmap(lambda key: jax.random.split(key)[0]))

    def train(self, order: Index, /) -> None:
        """Steps of Adam on the mean of -ln p."""
        import jax

        trained = self._steps(self.parameters, self.state, order, self.stars)
        self.parameters, self.state = jax.block_until_ready(trained)

    def log_prob(self, stars: Floats, /) -> Floats:
        """Ln p of stars (K, N, d + m)."""
        return np.asarray(self._log_prob(self.parameters, stars))

    def sample(self, condition: Floats, /) -> Floats:
        """One sample for each condition of (K, N, m)."""
        self.keys = self._split(self.keys)
        return np.asarray(self._sample(self.parameters, self.keys, condition))


class FlowJax(Library):
    """FlowJAX, compiled by XLA."""

    name = "FlowJAX"
    packages = ("flowjax", "jax", "equinox", "optax", "paramax")

    def cannot(self, architecture: Architecture, /) -> str:
        """Batch norm is left to our engines; its networks have layers of one width."""
        return "batch norm is timed for our engines alone" if architecture.batch_norm else ""

    def groups(self, _architecture: Architecture, stack: int, _batch: int, /) -> tuple[int, ...]:
        """One by one, or vmapped."""
        return (1,) if stack == 1 else (1, VMAPPED)

    def flows(
        self, architecture: Architecture, stars: Floats, models: int, recipe: Recipe, seed: int, /
    ) -> JaxFlows:
        """Untrained flows."""
        return JaxFlows(architecture, stars, models, recipe, seed)


def _flow(architecture: Architecture, key: Any) -> Any:
    """The flow in FlowJAX; its layers are scanned, as in the library's own constructors."""
    import equinox
    import jax
    from flowjax import bijections
    from flowjax.distributions import StandardNormal, Transformed

    d, spline = architecture.features, architecture.spline
    univariate = bijections.Affine()
    if spline is not None:  # it counts the knots between the bins
        univariate = bijections.RationalQuadraticSpline(
            knots=spline.bins - 1, interval=spline.bound
        )

    def layer(key: Any) -> Any:
        block = bijections.MaskedAutoregressive(
            key,
            transformer=univariate,
            dim=d,
            cond_dim=architecture.conditions,
            nn_width=architecture.hidden[0],
            nn_depth=len(architecture.hidden),
        )
        return bijections.Chain([block, bijections.Flip((d,))])

    layers = equinox.filter_vmap(layer)(jax.random.split(key, architecture.blocks))
    return Transformed(StandardNormal((d,)), bijections.Invert(bijections.Scan(layers)))


def _over_models(work: Callable[..., Any], models: int, mapped: int) -> Callable[..., Any]:
    """The work on all models: its first `mapped` arguments and its results have a row of each."""
    import jax

    def one(*given: Any) -> Any:
        rows = jax.tree.map(lambda leaf: leaf[0], given[:mapped])
        return jax.tree.map(lambda leaf: leaf[None], work(*rows, *given[mapped:]))

    def several(*given: Any) -> Any:
        axes = (0,) * mapped + (None,) * (len(given) - mapped)
        return jax.vmap(work, in_axes=axes)(*given)

    return one if models == 1 else several
