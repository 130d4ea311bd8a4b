"""Check the run folder of the demo against the streams that it injected.

Run as ``python tests/check_demo.py RUN``; exits with 1 where the demo did not find what it must.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from viamachinae.store.files import read_table

EMPTY_PATCH = "l114.3_b+61.6"


def main(run: Path) -> int:
    """Print what was found, and judge it."""
    members, lineage = read_table(run / "members.parquet"), read_table(run / "lineage.parquet")
    truth = read_table(run / "truth.parquet")
    names = list(dict.fromkeys(lineage["candidate"]))
    for rank, name in enumerate(names, 1):
        line = members[(members["candidate"] == name) & members["on_line"]]
        shares = {
            str(stream): np.isin(
                line["source_id"], truth["source_id"][truth["stream"] == stream]
            ).mean()
            for stream in np.unique(truth["stream"])
        }
        patches = sorted(set(lineage["patch"][lineage["candidate"] == name]))
        words = ", ".join(f"{share:.0%} {stream}" for stream, share in shares.items())
        print(f"{rank}. {name}: {len(line)} line stars, {words}; in {', '.join(patches)}")
    first = lineage[lineage["candidate"] == names[0]] if names else lineage
    line = members[(members["candidate"] == names[0]) & members["on_line"]] if names else members
    bright = truth["source_id"][truth["stream"] == "bright"]
    judged = {
        "the bright stream is the first candidate": len(line) > 0
        and np.isin(line["source_id"], bright).mean() > 0.5,
        "it is linked across two patches": len(set(first["patch"])) == 2,
        "nothing comes from the empty patch": EMPTY_PATCH not in set(lineage["patch"]),
    }
    for sentence, holds in judged.items():
        print(f"{'yes' if holds else 'NO '}  {sentence}")
    return 0 if all(judged.values()) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
