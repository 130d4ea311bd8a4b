"""The page that shows a record: what was measured, how, and on what."""

from __future__ import annotations

from pathlib import Path

from viamachinae.bench import likelihood, speed
from viamachinae.bench.figure import save_figure
from viamachinae.bench.record import Record, whole
from viamachinae.bench.table import likelihood_table, rate_table, ratio_table

PAGE = "speed.md"
FIGURE = Path("figures/speed.png")

HOW = f"""\
Five features and one condition; float32. Each core has one process, pinned to it, with one
thread; all libraries take turns in it, {speed.TURNS} turns each, and all cores begin a turn
together. A rate is the median over the turns, in stars a second of the process's own time, summed
over the cores. One star seen by one model counts as one. A call evaluates or samples `batch`
points of each model; training takes steps of plain Adam on `batch` stars of each model.

Each library works in its best arrangement. Our engines split a stack as `fit` does. zuko, nflows
and normflows train one model after the other, with torch's fused Adam. FlowJAX is compiled, with
several steps in one scan; it trains a stack one by one or several at once under `vmap`, whichever
was faster (the number behind the slash).

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
