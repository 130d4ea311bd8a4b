"""The best stream candidates of a run, on the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, JustifyMethod
from rich.table import Table

# Heading and format of columns; of a scan without null skies some are not there.
SHOWN = {
    "rank": ("rank", ""),
    "candidate": ("candidate", ""),
    "sigma": ("σ", ".1f"),
    "p_value": ("p", ".2g"),
    "fdr": ("FDR", ".2g"),
    "n_stars": ("stars", ""),
    "n_patches": ("patches", ""),
}
N_SHOWN = 20


def print_candidates(run: Path) -> None:
    """Show the best stream candidates of a run; a name that does not fit is folded, never cut."""
    from astropy.table import Table as Rows

    candidates = Rows.read(run / "candidates.ecsv")
    console, n = Console(), len(candidates)
    if not n:
        console.print(f"no stream candidate; report: {run / 'index.html'}", soft_wrap=True)
        return
    what = "stream candidate" if n == 1 else "stream candidates"
    table = Table(title=f"{n} {what}; report: {run / 'index.html'}")
    shown = {name: form for name, form in SHOWN.items() if name in candidates.colnames}
    for name, (heading, _) in shown.items():
        side: JustifyMethod = "left" if name == "candidate" else "right"
        table.add_column(heading, justify=side, overflow="fold")
    for row in candidates[:N_SHOWN]:
        table.add_row(*(format(row[name], form) for name, (_, form) in shown.items()))
    console.print(table)
    if n > N_SHOWN:
        console.print(f"{n - N_SHOWN} more in {run / 'candidates.ecsv'}", soft_wrap=True)
