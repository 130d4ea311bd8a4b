"""Our own engines in the benchmark."""

from __future__ import annotations

import numpy as np
import torch

from viamachinae.bench.library import Floats, Flows, Index, Library, Recipe
from viamachinae.flows import Architecture, FitOptions, FlowStack, choose_engine
from viamachinae.flows.engines import NATIVE, Engine, EngineName
from viamachinae.flows.lanes import ModelState
from viamachinae.flows.optimiser import AdamState

CPU = torch.device("cpu")
# Models that the native engine may work on in one call.
AT_ONCE = 16


class OwnFlows(Flows):
    """A working stack of one of our engines.

    Parameters
    ----------
    engine : Engine
    architecture : Architecture
    stars : ndarray of shape (N, d + m)
    models : int
    recipe : Recipe
    seed : int
    device : torch.device
        Of training; densities and samples are timed on the CPU.
    """

    def __init__(
        self,
        engine: Engine,
        architecture: Architecture,
        stars: Floats,
        models: int,
        recipe: Recipe,
        seed: int,
        device: torch.device,
    ) -> None:
        generators = [np.random.default_rng([seed, model]) for model in range(models)]
        stacks = [engine.stack.draw(architecture, [generator]) for generator in generators]
        states = [
            ModelState(stack, AdamState.fresh(stack.weights))
            for stack in (stack.to(device) for stack in stacks)
        ]
        options = _options(models, recipe, len(stars))
        self.lanes = engine.lanes(torch.from_numpy(stars).to(device), options, states, len(stars))
        self.stack = engine.stack.draw(architecture, generators).eval()
        self.features = architecture.features
        self.noise = torch.Generator().manual_seed(seed)
        self.trained = False

    def train(self, order: Index, /) -> None:
        """Give every lane its rows, and step."""
        for lane, rows in enumerate(order):
            self.lanes.begin_epoch(lane, rows.reshape(-1))
        left = order.shape[1]
        while left:
            left -= self.lanes.step(left)
        self.trained = True

    @torch.no_grad()
    def log_prob(self, stars: Floats, /) -> Floats:
        """Ln p of stars (K, N, d + m)."""
        rows = torch.from_numpy(stars)
        found = self._latest().log_prob(rows[..., : self.features], rows[..., self.features :])
        return np.asarray(found)

    def sample(self, condition: Floats, /) -> Floats:
        """One sample for each condition."""
        given = torch.from_numpy(condition)
        return np.asarray(self._latest().sample(given.shape[1], given, generator=self.noise))

    def _latest(self) -> FlowStack:
        if self.trained:
            states = [self.lanes.get(lane).stack for lane in range(len(self.lanes.loss))]
            with torch.no_grad():
                self.stack.weights.copy_(torch.cat([state.weights for state in states]))
            self.stack.statistics.copy_(torch.cat([state.statistics for state in states]))
            self.trained = False
        return self.stack


class OwnEngine(Library):
    """One of our engines; a stack is worked on in groups as large as `fit` makes them, or more."""

    packages = ()

    def __init__(self, name: EngineName, device: torch.device = CPU) -> None:
        self.engine_name: EngineName = name
        self.name = name
        self.device = device

    def cannot(self, architecture: Architecture, /) -> str:
        """What `choose_engine` says."""
        try:
            choose_engine(self.engine_name, architecture, self.device)
        except ValueError as error:
            return str(error)
        return ""

    def groups(self, architecture: Architecture, stack: int, batch: int, /) -> tuple[int, ...]:
        """What the engine's lanes choose; and several in one call of the native engine."""
        engine = choose_engine(self.engine_name, architecture, self.device)
        width = engine.lanes.width(_options(stack, Recipe(1e-3, batch), batch), self.device)
        return (width,) if engine is not NATIVE or stack == 1 else (width, min(stack, AT_ONCE))

    def flows(
        self, architecture: Architecture, stars: Floats, models: int, recipe: Recipe, seed: int, /
    ) -> OwnFlows:
        """Untrained flows."""
        engine = choose_engine(self.engine_name, architecture, self.device)
        return OwnFlows(engine, architecture, stars, models, recipe, seed, self.device)


def _options(models: int, recipe: Recipe, n_stars: int) -> FitOptions:
    """The recipe in our words, for calls that each show all stars once."""
    return FitOptions(
        recipe.learning_rate,
        weight_decay=0.0,
        batch_size=recipe.batch,
        epochs=max(1, recipe.steps * recipe.batch // n_stars),
        average_last=1,
        stack_size=models,
        max_gradient_norm=float("inf"),
        schedule="cosine" if recipe.steps else "constant",
    )
