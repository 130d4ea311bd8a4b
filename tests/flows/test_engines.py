"""Which engine is chosen, and what is said where one cannot serve."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch

from tests.flows.shapes import (
    SMALL,
    SPLINES,
    built,
    spline,
)
from viamachinae.flows import kernel
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import NATIVE, TORCH, _tell, choose_engine
from viamachinae.flows.kernel import Workspace, library
from viamachinae.flows.splines import RationalQuadratic


@built
def test_auto_is_native_on_the_cpu_and_torch_elsewhere():
    for served in (SMALL, SPLINES, replace(SMALL, mixing="permutation")):
        assert choose_engine("auto", served, torch.device("cpu")) is NATIVE
    assert choose_engine("torch", SMALL, torch.device("cpu")) is TORCH
    assert choose_engine("auto", SMALL, torch.device("cuda")) is TORCH
    with pytest.raises(ValueError, match="engine is native, but that runs on the CPU"):
        choose_engine("native", SMALL, torch.device("cuda"))


@built
@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        (Architecture(2, 1, 2, (12,), family="iaf"), "no kernel for the family iaf"),
        (Architecture(2, 1, 2, (12,), family="rqs_coupling"), "for the family rqs_coupling"),
        (replace(SMALL, mixing="lu"), "no kernel for blocks mixed by lu"),
        (spline(2, 1, 2, (12,), RationalQuadratic(), base="uniform"), "for a uniform base"),
    ],
    ids=str,
)
def test_what_the_kernel_cannot_do_torch_does_and_one_line_says_so(architecture, reason, caplog):
    _tell.cache_clear()
    with caplog.at_level(logging.INFO, "viamachinae.flows"):
        for _ in range(3):
            assert choose_engine("auto", architecture, torch.device("cpu")) is TORCH
    assert len(caplog.records) == 1
    assert reason in caplog.text
    with pytest.raises(ValueError, match=reason):
        choose_engine("native", architecture, torch.device("cpu"))


def test_without_the_kernel_torch_takes_over_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.setattr(kernel, "find_spec", lambda _name: None)
    kernel._load.cache_clear()
    library.cache_clear()
    try:
        with caplog.at_level(logging.WARNING, "viamachinae.flows"):
            for _ in range(3):
                assert choose_engine("auto", SMALL, torch.device("cpu")) is TORCH
        assert [r.message for r in caplog.records if "was not built" in r.message] == [
            r.message for r in caplog.records
        ]
        assert len(caplog.records) == 1
        with pytest.raises(ValueError, match="not built with this installation, which needs"):
            choose_engine("native", SMALL, torch.device("cpu"))
        with pytest.raises(RuntimeError, match="was not built"):
            Workspace(SMALL)
    finally:
        kernel._load.cache_clear()
        library.cache_clear()
