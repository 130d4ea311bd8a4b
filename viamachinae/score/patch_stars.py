"""The stars of a patch as its densities and classifiers are trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from viamachinae.config import Scan
from viamachinae.errors import UnprocessableError
from viamachinae.flows.rows import Stars
from viamachinae.flows.scaling import Scaling, Standardisation
from viamachinae.score.regions import SignalRegion
from viamachinae.score.seeds import seed_sequence

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PatchStars:
    """Stars of a patch, sorted by the scanned proper motion and scaled; some are held out.

    Attributes
    ----------
    scan : {"pm_lam", "pm_phi"}
        The scanned proper motion: the condition.
    patch, seed : str, int
        With the scan and the region they decide all randomness of training.
    features : list of d str
        Names of the features, in order.
    scaling, condition_scaling : Scaling, Standardisation
    pm : ndarray of shape (N,), float64
        The condition, mas/yr, ascending.
    source_id : ndarray of shape (N,), int64
    scaled : ndarray of shape (N, d + 1), float32
        Features, then the condition, in the units of the flows.
    log_det : ndarray of shape (N,), float64
        Log-Jacobian of the features' scaling.
    held_out : ndarray of shape (N,), bool
        Not trained on by flows.
    """

    scan: Scan
    patch: str
    seed: int
    features: list[str]
    scaling: Scaling
    condition_scaling: Standardisation
    pm: Array
    source_id: NDArray[np.int64]
    scaled: NDArray[np.float32]
    log_det: Array
    held_out: NDArray[np.bool_]

    @classmethod
    def prepare(
        cls,
        x: Array,
        condition: Array,
        source_id: NDArray[np.int64],
        *,
        scan: Scan,
        patch: str,
        seed: int,
        features: Sequence[str],
        held_out: float,
    ) -> Self:
        """Sort, scale, and draw the stars to hold out; the order of the stars given is no matter.

        Parameters
        ----------
        x : ndarray of shape (N, d), float64
            Features of all stars of the patch, natural units, finite.
        condition : ndarray of shape (N, 1), float64
            The scanned proper motion, mas/yr, finite.
        source_id : ndarray of shape (N,), int64
        scan, patch, seed, features
            As the attributes.
        held_out : float
            Share of stars to hold out.

        Raises
        ------
        UnprocessableError
            If a feature is constant or not finite.
        """
        order = np.lexsort((source_id, condition[:, 0]))
        x, condition = x[order], condition[order]
        try:
            scaling = Scaling.fit(x, features)
            condition_scaling = Standardisation.fit(condition, [scan])
        except ValueError as error:
            raise UnprocessableError(f"patch {patch}: {error}") from error
        z, log_det = scaling.forward(x)
        draw = np.random.default_rng(seed_sequence(seed, patch, scan, "held out"))
        return cls(
            scan,
            patch,
            seed,
            list(features),
            scaling,
            condition_scaling,
            condition[:, 0],
            source_id[order],
            np.hstack([z, condition_scaling.forward(condition)]).astype(np.float32),
            log_det,
            draw.random(len(x)) < held_out,
        )

    def split(self, device: torch.device) -> Stars:
        """The stars to train on and those held out, on the device to compute on."""
        return Stars(
            torch.from_numpy(self.scaled[~self.held_out]).to(device),
            torch.from_numpy(self.scaled[self.held_out]).to(device),
        )

    def rows(self, lower: float, upper: float) -> slice:
        """The stars with a scanned proper motion in [lower, upper), mas/yr."""
        first, last = np.searchsorted(self.pm, [lower, upper]).tolist()
        return slice(first, last)

    def seed_of(self, region: SignalRegion, *purpose: str | float) -> np.random.SeedSequence:
        """The seed of one purpose in one training of a signal region."""
        again = [region.retraining] if region.retraining else []
        return seed_sequence(self.seed, self.patch, self.scan, region.lower, *again, *purpose)
