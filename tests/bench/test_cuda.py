"""The benchmark of training on a device: the same code runs on the CPU."""

from __future__ import annotations

import pytest
import torch

from viamachinae.bench import sky
from viamachinae.bench.cuda import Trained, cuda_device, peaks_of, report, train_on
from viamachinae.errors import BadInputError

CPU = torch.device("cpu")


def test_rates_of_a_stack_and_of_zuko(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr("viamachinae.bench.cuda.TURNS", 1)
    torchs, tritons, zuko = train_on(CPU, "15x128", 2, 32, 0.01, steps=2)
    assert [torchs.name, tritons.name, zuko.name] == ["torch", "triton", "zuko"]
    assert torchs.rate > 0
    assert zuko.rate > 0
    assert "that runs on CUDA and the device is cpu" in tritons.reason


def test_a_report_has_the_multiple_the_shares_and_the_sky():
    trained = [Trained("torch", 5e6), Trained("triton", 2e7), Trained("zuko", 1e5)]
    text = "\n".join(report("15x128", 80, 256, trained, sky.Peaks(1e14, 1e12)))
    assert "triton: 20,000,000 stars/s, 200.0 x zuko one by one" in text
    assert "/ 20,000,000 stars/s / 3600 s/h = 11.7 h" in text
    assert "100.0 TFLOP/s in single precision, 1.00 TB/s" in text
    absent = [Trained("triton", float("nan"), "it is not installed"), trained[2]]
    assert "without triton: it is not installed" in "\n".join(
        report("15x128", 80, 256, absent, sky.Peaks(1e14, 1e12))
    )


def test_peaks_are_of_a_product_and_a_copy():
    peaks = peaks_of(CPU, side=64)
    assert peaks.operations > 0
    assert peaks.bytes > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_device_is_one_sentence():
    with pytest.raises(BadInputError, match="no CUDA device here; use --device cpu"):
        cuda_device()
