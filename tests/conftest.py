"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# As in a worker of a scan: one thread, so that a busy machine slows tests and does not stall them.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def sky_data() -> Path:
    """Folder with real Gaia samples; tests that need it are skipped where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VIAMACHINAE_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real samples at {folder}; set VIAMACHINAE_TEST_DATA")
    return folder


@pytest.fixture(autouse=True)
def _torch_state_unchanged() -> Iterator[None]:
    """A test that changes torch's global state fails."""
    before = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    yield
    after = (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    assert before == after, "the test changed torch's global state"
