"""The triton engine's kernels compile for devices that are not here, and fit into them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from viamachinae.bench.shapes import SHAPES

# What a program may have at most, by compute capability: CUDA C++ Programming Guide, table of
# technical specifications.
SHARED_BYTES = {80: 163 * 1024, 90: 227 * 1024}


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("capability", SHARED_BYTES)
def test_kernels_compile_and_fit_into_shared_memory(name, capability):
    program = Path(__file__).with_name("compiled.py")
    plain = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    root = {"PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(
        [sys.executable, program, str(capability), name],
        env=plain | root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [one["kernel"].split()[1] for one in found] == ["densities", "loss_and_gradient"]
    assert all(0 < one["shared"] <= SHARED_BYTES[capability] for one in found)
