"""Checkpoints: identical after a round trip, refused when damaged or foreign."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from viamachinae.flows import checkpoint
from viamachinae.flows.architecture import Architecture, Family
from viamachinae.flows.checkpoint import load_checkpoint, save_checkpoint
from viamachinae.flows.stack import FlowStack


@pytest.mark.parametrize("family", get_args(Family))
def test_a_saved_stack_gives_identical_densities(tmp_path: Path, family):
    architecture = Architecture(3, 1, 2, (16,), batch_norm=True, family=family, mixing="lu")
    stack = FlowStack.draw(architecture, [np.random.default_rng(k) for k in range(2)]).eval()
    path = tmp_path / "flows.safetensors"
    tensors = {"weights": stack.weights, "statistics": stack.statistics}
    save_checkpoint(path, tensors, {"architecture": architecture.to_dict(), "third": 1 / 3})
    loaded, header = load_checkpoint(path)
    again = FlowStack(
        Architecture.from_dict(header["architecture"]), loaded["weights"], loaded["statistics"]
    ).eval()
    x = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again.log_prob(x, x[..., :1]), stack.log_prob(x, x[..., :1]))
    assert header["third"] == 1 / 3


def test_a_header_of_the_time_when_all_flows_were_affine_is_read():
    given = {"features": 3, "conditions": 1, "blocks": 2, "hidden": [16], "batch_norm": True}
    expected = Architecture(3, 1, 2, (16,), batch_norm=True)
    assert Architecture.from_dict({**given, "family": "maf"}) == expected


def test_the_same_flows_are_the_same_bytes(tmp_path: Path):
    files = [tmp_path / f"{k}.safetensors" for k in range(12)]
    for file in files:
        save_checkpoint(file, {"weights": torch.zeros(2, 3)}, {"third": 1 / 3})
    assert len({file.read_bytes() for file in files}) == 1


def test_other_versions_and_other_files_are_refused(tmp_path: Path, monkeypatch):
    path = tmp_path / "flows.safetensors"
    monkeypatch.setattr(checkpoint, "VERSION", 99)
    save_checkpoint(path, {"a": torch.zeros(2)}, {})
    monkeypatch.undo()
    with pytest.raises(ValueError, match="has checkpoint version 99; this release reads 3"):
        load_checkpoint(path)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="holds no flows of this package"):
        load_checkpoint(path)


def test_a_truncated_file_is_refused(tmp_path: Path):
    path = tmp_path / "flows.safetensors"
    save_checkpoint(path, {"a": torch.zeros(200)}, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="not a complete safetensors file"):
        load_checkpoint(path)
