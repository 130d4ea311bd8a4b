"""How stars are scored."""

from __future__ import annotations

from typing import Literal

from viamachinae.config.model import Model


class AnodeConfig(Model):
    """Score R = p_SR / p_CR from two density estimates (arXiv:2001.04990)."""

    method: Literal["anode"] = "anode"
