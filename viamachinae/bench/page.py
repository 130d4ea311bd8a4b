"""The page that shows a record: what was measured, how, and on what."""

from __future__ import annotations

from pathlib import Path

from viamachinae.bench import likelihood, sky, speed
from viamachinae.bench.engines import AT_ONCE
from viamachinae.bench.figure import save_figure
from viamachinae.bench.record import Record, whole
from viamachinae.bench.shapes import SHAPES
from viamachinae.bench.table import likelihood_table, rate_table, ratio_table, table

PAGE = "speed.md"
FIGURE = Path("figures/speed.png")

HOW = f"""\
Five features and one condition; float32. Each core has one process, pinned to it, with one
thread; all libraries take turns in it, {speed.TURNS} turns each, and all cores begin a turn
together. A rate is the median over the turns, in stars a second of the process's own time, summed
over the cores. One star seen by one model counts as one. A call evaluates or samples `batch`
points of each model; training takes steps of plain Adam on `batch` stars of each model.

Each library works in its best arrangement. Of a stack, our torch engine takes as many models at
once as in `fit`; our native engine takes one or {AT_ONCE} in a call, whichever was faster. zuko,
nflows and normflows train one model after the other, with torch's fused Adam. FlowJAX is compiled,
with several steps in one scan; it works on a stack one by one or on several at once under `vmap`,
whichever was faster. The number behind a slash is how many.

All build the same flow: blocks with masked networks of the same layers, the features reversed
in between, 8 bins within [-5, 5] in the splines. What differs: nflows and FlowJAX scale by
softplus, normflows by a sigmoid; nflows adds conditions behind a ReLU, and zuko bounds its
splines' slopes; FlowJAX learns the slopes at the ends of its splines. normflows gives conditions
only to its residual networks, which have more layers: here its plain network gets a linear layer
for them. Batch norm is timed for our engines alone.
"""

SHARE = """\
`of the peak` is the share of the multiplications and additions that the cores can do, measured in
turn by a loop in registers; it counts the connections that the masks leave and nothing else.
"""

SKY = f"""\
## The whole sky on one GPU: arithmetic, not a measurement

No GPU was at hand: nothing in this section was measured. `viamachinae bench --device cuda` measures
training of 80 flows at batch 256 with both engines, beside zuko's models one by one, and shows the
formula with what it finds.

{sky.FLOWS:,} flows, {sky.EPOCHS} epochs and patches of {sky.STARS_OF_PATCH:,} stars, which the two
flows of a region share, are {sky.FLOWS:,} / 2 × {sky.EPOCHS} × {sky.STARS_OF_PATCH:,} =
{sky.updates():.3g} star updates. In 12 hours of one GPU that takes
{sky.updates() / 12 / 3600 / 1e6:.1f} million a second. NVIDIA's data sheet gives the H100 SXM
{sky.H100.operations / 1e12:.0f} TFLOP/s in single precision, {sky.H100_TF32 / 1e12:.1f} in tf32 on
its matrix units without sparsity, and {sky.H100.bytes / 1e12:.2f} TB/s. Hours that it needs at
least, at batch 256:

- arithmetic: the connections that the masks leave, six operations each, in single precision;
- memory: each star once and, for each flow's step, the weights and both of Adam's moments once in
  and once out;
- our kernel's products: what the triton engine multiplies in tf32, with padding, with what the
  masks hide, with hidden units computed twice, and three products for each. How near it comes
  to that is not known.
"""


def write_page(record: Record, folder: Path) -> None:
    """Write the page and its figure into a folder, from all that the record holds."""
    with whole(folder / PAGE) as temporary:
        temporary.write_text(page(record))
    if record.speeds:
        with whole(folder / FIGURE) as temporary:
            save_figure(record.speeds, temporary)


def page(record: Record) -> str:
    """The text of the page."""
    machine = dict(record.machine)
    processor, cores = machine.pop("processor"), machine.pop("cores")
    versions = ", ".join(f"{name} {number}" for name, number in machine.items())
    parts = [
        "# Speed beside other libraries\n",
        "Written by `python workflows/benchmarks/flows.py`; the numbers are in `speed.json`.\n",
        HOW,
        f"Measured on {processor}, {cores} core{'s' if cores != '1' else ''}, with {versions}.\n",
        *_speeds(record),
        *_likelihoods(record),
        *_absent(record),
        SKY,
        _sky_table(),
    ]
    return "\n".join(parts)


def _speeds(record: Record) -> list[str]:
    if not record.speeds:
        return []
    return [
        f"![Rates]({FIGURE.as_posix()})\n",
        "## Our fastest engine, as a multiple of each peer\n",
        SHARE,
        ratio_table(record.speeds),
        "## Thousands of stars a second\n",
        "Behind a slash: models at once, where more than one.\n",
        rate_table(record.speeds),
    ]


def _likelihoods(record: Record) -> list[str]:
    if not record.likelihoods:
        return []
    return [
        "## Held-out likelihood after the same training\n",
        f"Nats a star: one model, {likelihood.N_TRAIN:,} stars of a mixture of six Gaussians "
        f"whose means move with the condition, {likelihood.EPOCHS} epochs of batches of "
        f"{likelihood.BATCH} in the same order, plain Adam from {likelihood.LEARNING_RATE:g} along "
        "a cosine to zero. Each library draws its initial weights in its own way. The learning "
        "rate and the number of epochs were chosen with our native engine.\n",
        likelihood_table(record.likelihoods),
    ]


def _sky_table() -> str:
    rows = []
    for name, shape in SHAPES.items():
        bounds = sky.fastest(shape, 256, sky.H100)
        kernel = sky.H100_TF32 / sky.kernel_operations(shape)
        rows.append([name, *(f"{sky.hours(rate):.2f}" for rate in (*bounds, kernel))])
    return table(["shape", "arithmetic", "memory", "our kernel's products"], rows)


def _absent(record: Record) -> list[str]:
    lines = [
        f"- {name} ({', '.join(shapes)}): {reason}"
        for name, reasons in _by_library(record).items()
        for reason, shapes in reasons.items()
    ]
    return ["## Who did not take part\n", "\n".join(lines) + "\n"] if lines else []


def _by_library(record: Record) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for shape, reasons in record.absent.items():
        for name, reason in reasons.items():
            found.setdefault(name, {}).setdefault(reason, []).append(shape)
    return found
