"""Named rules applied one after the other, and the count of what each of them removes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Effect = Literal["drop", "mark", "label"]


@dataclass(frozen=True)
class Rule:
    """A named condition on stars.

    Attributes
    ----------
    name : str
        Words joined by underscores.
    description : str
        Which stars fulfil it, stars without a value included.
    keep : bool array of shape (n,) or None
        Stars that fulfil it; None where the rule cannot be applied.
    missing : bool array of shape (n,), optional
        Stars without the value that it looks at; none where not given.
    reason : str
        Why it cannot be applied, else empty.
    """

    name: str
    description: str
    keep: Mask | None
    missing: Mask | None = None
    reason: str = ""


@dataclass(frozen=True)
class CutFlowRow:
    """What one rule did.

    Attributes
    ----------
    rule : str
        Its name.
    effect : {"drop", "mark", "label"}
        Stars that fail are gone (drop), stay but are not fiducial (mark), or only get a name
        (label).
    n_before, n_after : int
        Stars that fulfil all rules of this effect before this one, and those that fulfil this
        one too.
    n_missing : int
        Stars among `n_before` without the value that the rule looks at.
    applied : bool
        Whether it was applied.
    reason : str
        Why not, else empty.
    description : str
        As in `Rule`.
    """

    rule: str
    effect: Effect
    n_before: int
    n_after: int
    n_missing: int
    applied: bool
    reason: str
    description: str


@dataclass(frozen=True)
class CutFlow:
    """All rules in the order in which they were applied."""

    rows: tuple[CutFlowRow, ...]

    def as_dict(self) -> dict[str, Any]:
        """For a JSON file: ``{"rules": [one mapping a rule]}``."""
        return {"rules": [asdict(row) for row in self.rows]}


def apply(rules: Iterable[Rule], n_stars: int, effect: Effect) -> tuple[Mask, list[CutFlowRow]]:
    """Apply rules one after the other and count.

    Parameters
    ----------
    rules : iterable of Rule
        All over the same stars.
    n_stars : int
        Number of stars.
    effect : {"drop", "mark", "label"}
        What the caller does with stars that fail.

    Returns
    -------
    kept : bool array of shape (n_stars,)
        Stars that fulfil all rules that could be applied.
    rows : list of CutFlowRow
        One a rule.
    """
    kept = np.ones(n_stars, dtype=np.bool_)
    rows = []
    for rule in rules:
        n_before = int(np.count_nonzero(kept))
        n_missing = 0 if rule.missing is None else int(np.count_nonzero(kept & rule.missing))
        if rule.keep is not None:
            kept = kept & rule.keep
        rows.append(
            CutFlowRow(
                rule=rule.name,
                effect=effect,
                n_before=n_before,
                n_after=int(np.count_nonzero(kept)),
                n_missing=n_missing,
                applied=rule.keep is not None,
                reason=rule.reason,
                description=rule.description,
            )
        )
    return kept, rows
