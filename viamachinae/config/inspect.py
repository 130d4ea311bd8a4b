"""The report."""

from __future__ import annotations

from pydantic import Field

from viamachinae.config.model import Model


class InspectConfig(Model):
    """The report."""

    max_figures: int = Field(
        50, ge=0, description="Candidates, best first, that get a dossier with figures (ours)."
    )
