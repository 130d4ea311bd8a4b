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
from viamachinae.flows import variants
from viamachinae.flows.architecture import Architecture
from viamachinae.flows.engines import NATIVE, TORCH, _tell, choose_engine
from viamachinae.flows.gpu import check
from viamachinae.flows.kernel import Workspace
from viamachinae.flows.splines import RationalQuadratic
from viamachinae.flows.variants import library


@built
def test_auto_is_native_on_the_cpu():
    for served in (SMALL, SPLINES, replace(SMALL, mixing="permutation")):
        assert choose_engine("auto", served, torch.device("cpu")) is NATIVE
    assert choose_engine("torch", SMALL, torch.device("cpu")) is TORCH
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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_on_cuda_triton_serves_or_one_line_says_why_not(monkeypatch, caplog):
    _tell.cache_clear()
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    cuda, wide = torch.device("cuda"), replace(SMALL, hidden=(200,))
    monkeypatch.setattr(check, "find_spec", lambda _name: None)
    with caplog.at_level(logging.INFO, "viamachinae.flows"):
        for _ in range(3):
            assert choose_engine("auto", SMALL, cuda) is TORCH
    assert [record.message for record in caplog.records] == [
        "flows run on torch, not on the triton engine: triton, which torch's CUDA builds bring, "
        "is not installed"
    ]
    monkeypatch.setattr(check, "find_spec", lambda name: name)
    for architecture, device, reason in (
        (SMALL, torch.device("cpu"), "that runs on CUDA and the device is cpu"),
        (SMALL, cuda, "torch finds no CUDA device here"),
        (wide, cuda, "that has no kernel for more than 3 hidden layers or 128 units in one"),
        (spline(2, 1, 2, (12,), RationalQuadratic(22)), cuda, "more than 64 raw parameters"),
        (replace(SMALL, mixing="lu"), cuda, "no kernel for blocks mixed by lu"),
    ):
        with pytest.raises(ValueError, match=f"engine is triton, but .*{reason}"):
            choose_engine("triton", architecture, device)


def test_without_the_kernel_torch_takes_over_and_one_line_says_so(monkeypatch, caplog):
    monkeypatch.setattr(variants, "find_spec", lambda _name: None)
    variants.load.cache_clear()
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
        variants.load.cache_clear()
        library.cache_clear()
