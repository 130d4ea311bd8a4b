"""A peer whose flows are torch modules, one model at a time, trained with torch's fused Adam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from viamachinae.bench.library import Floats, Flows, Index, Library, Recipe
from viamachinae.flows import Architecture

CPU = torch.device("cpu")

Build = Callable[[Architecture], nn.Module]
LogProb = Callable[[Any, Tensor, Tensor], Tensor]
Sample = Callable[[Any, Tensor], Tensor]


class ModuleFlows(Flows):
    """One flow that is a torch module.

    Parameters
    ----------
    module : Module
    log_prob : callable
        From the module, x (N, d) and conditions (N, m) to ln p (N,).
    sample : callable
        From the module and conditions (N, m) to x (N, d).
    stars : ndarray of shape (N, d + m)
    features : int
    recipe : Recipe
    device : torch.device
        Of training; densities and samples are timed on the CPU.
    """

    def __init__(
        self,
        module: nn.Module,
        log_prob: LogProb,
        sample: Sample,
        stars: Floats,
        features: int,
        recipe: Recipe,
        device: torch.device,
    ) -> None:
        module = module.to(device)
        self.module, self._log_prob, self._sample = module, log_prob, sample
        self.stars = torch.from_numpy(stars).to(device)
        self.features = features
        self.adam = torch.optim.Adam(module.parameters(), lr=recipe.learning_rate, fused=True)
        steps = recipe.steps
        self.schedule = (
            torch.optim.lr_scheduler.CosineAnnealingLR(self.adam, steps) if steps else None
        )

    def train(self, order: Index, /) -> None:
        """Steps of Adam on the mean of -ln p."""
        for rows in torch.from_numpy(order[0]).to(self.stars.device):
            stars = self.stars.index_select(0, rows)
            x, condition = stars[:, : self.features], stars[:, self.features :]
            loss = -self._log_prob(self.module, x, condition).mean()
            self.adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.adam.step()
            if self.schedule is not None:
                self.schedule.step()

    @torch.no_grad()
    def log_prob(self, stars: Floats, /) -> Floats:
        """Ln p of stars (1, N, d + m)."""
        rows = torch.from_numpy(stars[0])
        found = self._log_prob(self.module, rows[:, : self.features], rows[:, self.features :])
        return np.asarray(found)[None]

    @torch.no_grad()
    def sample(self, condition: Floats, /) -> Floats:
        """One sample for each condition of (1, N, m)."""
        return np.asarray(self._sample(self.module, torch.from_numpy(condition[0])))[None]


class ModulePeer(Library):
    """A peer that stands on torch and trains one model after the other."""

    def __init__(
        self,
        name: str,
        build: Build,
        log_prob: LogProb,
        sample: Sample,
        device: torch.device = CPU,
    ) -> None:
        self.name, self.packages = name, (name,)
        self.build, self.log_prob, self.sample = build, log_prob, sample
        self.device = device

    def on(self, device: torch.device) -> ModulePeer:
        """The same library on another device."""
        return ModulePeer(self.name, self.build, self.log_prob, self.sample, device)

    def cannot(self, architecture: Architecture, /) -> str:
        """Batch norm between blocks is left to our engines."""
        return "batch norm is timed for our engines alone" if architecture.batch_norm else ""

    def groups(self, _architecture: Architecture, _stack: int, _batch: int, /) -> tuple[int, ...]:
        """One by one."""
        return (1,)

    def flows(
        self, architecture: Architecture, stars: Floats, _models: int, recipe: Recipe, seed: int, /
    ) -> ModuleFlows:
        """An untrained flow; torch's own state of random numbers is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.build(architecture)
        return ModuleFlows(
            module,
            self.log_prob,
            self.sample,
            stars,
            architecture.features,
            recipe,
            self.device,
        )
