"""From a rate to the hours of the whole sky, and the bounds that a device sets."""

from __future__ import annotations

import pytest

from viamachinae.bench import sky
from viamachinae.bench.shapes import SHAPES


def test_updates_are_those_of_all_stars_of_all_patches_once_a_region():
    # 163 patches of one region each, three stars in one and 10 epochs, both flows together.
    assert sky.updates(flows=2 * 163, epochs=10, stars=3) == 163 * 10 * 3
    assert sky.updates() == 8.4e11


def test_hours_and_their_formula():
    # A day's work at 8.4e11 / 86400 stars a second.
    assert sky.hours(8.4e11 / 86_400) == pytest.approx(24)
    assert sky.formula(20e6).endswith(
        "28,000 flows / 2 x 50 epochs x 1,200,000 stars / 20,000,000 stars/s / 3600 s/h = 11.7 h"
    )


def test_operations_of_the_kernels_counted_by_hand():
    # Inputs and outputs padded to 16; two outputs a feature.
    products = 15 * (16 * 128 + 2 * 128 * 16)
    assert sky.kernel_operations(SHAPES["15x128"]) == 2 * 3 * 4 * products


def test_bounds_of_a_flow_counted_by_hand():
    """8 x 64 x 2, five features and a condition; 24 288 connections."""
    bound = sky.fastest(SHAPES["8x64x2"], 256, sky.Peaks(6 * 24_288 * 10.0, 1000.0))
    assert bound.operations == pytest.approx(10)
    weights = 8 * (6 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10)
    assert bound.bytes == pytest.approx(1000 / (7 * 4 + 6 * 4 * weights / 256))
