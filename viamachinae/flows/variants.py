"""The compiled kernel of the flows (kernels/flow.cpp): finding the variant that runs here."""

from __future__ import annotations

import ctypes
import logging
from ctypes import POINTER, Structure, c_double, c_float, c_int, c_int64, c_void_p
from functools import cache
from importlib.util import find_spec

logger = logging.getLogger("viamachinae.flows")

# From the widest vectors to none in particular.
VARIANTS = ("avx512", "avx2", "generic")


class Shape(Structure):
    """The struct of that name in kernels/shape.h."""

    _fields_ = (
        *((name, c_int) for name in ("features", "conditions", "blocks", "batch_norm")),
        *((name, c_int) for name in ("affine", "bins")),
        *((name, c_float) for name in ("bound", "min_width", "min_height", "min_slope")),
        ("n_hidden", c_int),
        *((name, POINTER(c_int)) for name in ("hidden", "degrees", "places")),
    )


# A workspace; how many flows, and their weights and statistics; stars, conditions and how many.
_STACK = [c_void_p, c_int64, c_void_p, c_void_p, *[c_void_p, c_int64] * 2, c_int64]

SIGNATURES = {
    "flow_runs_here": (c_int, []),
    "flow_create": (c_void_p, [POINTER(Shape), c_int]),
    "flow_destroy": (None, [c_void_p]),
    "flow_width": (c_int64, [c_void_p]),
    "flow_forward": (None, [*_STACK, c_void_p, c_void_p]),
    "flow_inverse": (None, [*_STACK, c_void_p, c_void_p]),
    "flow_log_prob": (None, [*_STACK, c_void_p]),
    "flow_loss": (c_double, [*[c_void_p] * 5, *[c_int64] * 3, c_void_p]),
    "flow_train": (
        c_double,
        [*[c_void_p] * 9, *[c_int64] * 5, c_void_p, c_float, c_float, c_double],
    ),
    "flow_peak": (c_double, [c_int64]),
}


def built_variants() -> list[str]:
    """The variants that this installation holds and this processor can run, best first."""
    return [variant for variant in VARIANTS if load(variant) is not None]


@cache
def library() -> ctypes.CDLL | None:
    """The best variant of the kernel; None, and one line in the log, where there is none."""
    for variant in VARIANTS:
        loaded = load(variant)
        if loaded is not None:
            return loaded
    logger.warning(
        "the native engine was not built with this installation (no C++ compiler was found): "
        "flows run on torch, several times slower on a CPU"
    )
    return None


@cache
def load(variant: str) -> ctypes.CDLL | None:
    """One of `VARIANTS`; None where it was not built, or this processor cannot run it."""
    spec = find_spec(f"viamachinae.flows._flow_{variant}")
    if spec is None or spec.origin is None:
        return None
    loaded = ctypes.CDLL(spec.origin)
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded if loaded.flow_runs_here() else None
