"""The page of measurements: tables in markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isnan

from viamachinae.bench.libraries import LIBRARIES, OURS, PEERS
from viamachinae.bench.likelihood import Likelihood
from viamachinae.bench.shapes import WORKS
from viamachinae.bench.speed import Speed

Cell = tuple[str, str, int, int]

OURS_NAMES = [library.name for library in OURS]
PEER_NAMES = [library.name for library in PEERS]


def usual_batch(speeds: Sequence[Speed]) -> int:
    """The measured batch that is nearest to 512."""
    return min({speed.batch for speed in speeds}, key=lambda batch: abs(batch - 512))


def ratio_table(speeds: Sequence[Speed]) -> str:
    """How many times as fast as each peer the fastest of our engines is, at the usual batch."""
    head = ["shape", "work", "batch", "models", "ours", *PEER_NAMES, "torch ÷ zuko", "of the peak"]
    batch = usual_batch(speeds)
    shown = [speed for speed in speeds if speed.batch == batch]
    return table(head, _joined([_ratios(cell, own) for cell, own in _cells(shown).items()]))


def rate_table(speeds: Sequence[Speed]) -> str:
    """Thousands of stars a second; behind a slash, how many models at once did it."""
    head = ["shape", "work", "batch", "models", *LIBRARIES]
    rows = []
    for cell, own in _cells(speeds).items():
        found = (own.get(name) for name in LIBRARIES)
        rows.append([*_place(cell), *(_or_dash(speed, _rate) for speed in found)])
    return table(head, _joined(rows))


def likelihood_table(likelihoods: Sequence[Likelihood]) -> str:
    """Held-out nats a star, and how far below the best of our engines the peers end."""
    rows = []
    for shape in dict.fromkeys(row.shape for row in likelihoods):
        nats = {row.library: row.nats for row in likelihoods if row.shape == shape}
        ours = max((nats[name] for name in OURS_NAMES if name in nats), default=float("nan"))
        cells = [f"{nats[name]:.3f}" if name in nats else "–" for name in LIBRARIES]
        gaps = [f"{nats[name] - ours:+.3f}" if name in nats else "–" for name in PEER_NAMES]
        rows.append([shape, *cells, *gaps])
    return table(["shape", *LIBRARIES, *(f"{name} − ours" for name in PEER_NAMES)], rows)


def _cells(speeds: Sequence[Speed]) -> dict[Cell, dict[str, Speed]]:
    """Each cell's rows by library, sorted by shape, kind of work, batch and stack."""
    shapes = list(dict.fromkeys(speed.shape for speed in speeds))
    cells: dict[Cell, dict[str, Speed]] = {}
    for speed in speeds:
        cell = (speed.shape, speed.work, speed.batch, speed.stack)
        cells.setdefault(cell, {})[speed.library] = speed
    return dict(
        sorted(cells.items(), key=lambda c: (shapes.index(c[0][0]), _number(c[0][1]), c[0][2:]))
    )


def _number(work: str) -> int:
    return [str(name) for name in WORKS].index(work)


def _joined(rows: Sequence[list[str]]) -> list[list[str]]:
    """The rows, with those that differ in the number of models alone made one."""
    models = 3
    joined: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        joined.setdefault((*row[:models], *row[models + 1 :]), []).append(row[models])
    return [[*key[:models], ", ".join(found), *key[models:]] for key, found in joined.items()]


def _ratios(cell: Cell, own: dict[str, Speed]) -> list[str]:
    ours = max((own[name] for name in OURS_NAMES if name in own), key=lambda speed: speed.cpu)

    def ratio(peer: Speed) -> str:
        return f"{ours.cpu / peer.cpu:.1f}"

    torch, zuko = own.get("torch"), own.get("zuko")
    reference = f"{torch.cpu / zuko.cpu:.1f}" if torch and zuko else "–"
    peers = (_or_dash(own.get(name), ratio) for name in PEER_NAMES)
    share = "–" if isnan(ours.share) else f"{ours.share:.0%}"
    return [*_place(cell), ours.library, *peers, reference, share]


def _place(cell: Cell) -> list[str]:
    return [str(part) for part in cell]


def _rate(speed: Speed) -> str:
    together = f"/{speed.group}" if speed.group > 1 else ""
    return f"{speed.cpu / 1e3:.0f}{together}"


def _or_dash(speed: Speed | None, text: Callable[[Speed], str]) -> str:
    return "–" if speed is None else text(speed)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows below a head, in markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
