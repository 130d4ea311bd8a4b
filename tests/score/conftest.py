"""Fixtures of the scores."""

from __future__ import annotations

from typing import Any

import pytest

from tests.score.known import draw_sky, region_in
from viamachinae.score.regions import SignalRegion


@pytest.fixture(scope="session")
def sky() -> dict[str, Any]:
    """The known sky."""
    return draw_sky()


@pytest.fixture(scope="session")
def region(sky: dict[str, Any]) -> SignalRegion:
    """Its signal region; 4.5 % of its stars are signal."""
    return region_in(sky["pm"])
