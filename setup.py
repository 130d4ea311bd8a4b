"""The compiled kernels of the flows. All else about the build stands in pyproject.toml.

One source, compiled once for each instruction set; at run time the best that the processor has
is loaded (viamachinae/flows/variants.py). Each is optional: without a compiler the package builds
all the same, and torch does the work.
"""

import platform
from pathlib import Path

from setuptools import Extension, setup

KERNELS = Path("viamachinae/flows/kernels")
# Rounding stays IEEE, and NaN stays NaN: no -ffast-math.
FLAGS = [
    "-std=c++17",
    "-O3",
    "-g0",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fvisibility=hidden",
]
VARIANTS = {"generic": []}
if platform.machine().lower() in ("x86_64", "amd64"):
    VARIANTS["avx2"] = ["-mavx2", "-mfma"]
    VARIANTS["avx512"] = ["-mavx512f", "-mfma"]

setup(
    ext_modules=[
        Extension(
            f"viamachinae.flows._flow_{variant}",
            sources=[f"{KERNELS}/flow.cpp"],
            depends=[path.as_posix() for path in sorted(KERNELS.glob("*.h"))],
            extra_compile_args=[*FLAGS, *extra],
            language="c++",
            optional=True,
        )
        for variant, extra in VARIANTS.items()
    ]
)
