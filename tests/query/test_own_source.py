"""The source of stars that docs/how-to.md writes is one, and a file of its stars can be scanned."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from astropy.table import Table

from viamachinae.config import FilesQuery
from viamachinae.query.files import FilesSource

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to.md"
COLUMNS = ["source_id", "ra", "dec", "pmra", "pmdec", "phot_g_mean_mag", "bp_rp"]


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Stars of a database in the working folder, one of them without a colour."""
    rng = np.random.default_rng(0)
    values = rng.uniform([140, 15, -9, -9, 14, 0], [158, 33, 9, 9, 20, 2], size=(500, 6))
    stars = Table([rng.permutation(10**18 + np.arange(500)), *values.T], names=COLUMNS)
    stars["bp_rp"][7] = np.nan
    with sqlite3.connect(tmp_path / "stars.db") as database:
        database.execute(f"CREATE TABLE stars ({', '.join(COLUMNS)})")
        rows = [
            [None if value != value else value for value in row]
            for row in zip(*(stars[name].tolist() for name in COLUMNS), strict=True)
        ]
        database.executemany("INSERT INTO stars VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    monkeypatch.chdir(tmp_path)
    return stars


def test_the_example_does_what_a_file_does(catalogue: Table, tmp_path: Path) -> None:
    config = {"sky": {"tiling": "centres", "centres": [[149.0, 24.0], [152.0, 24.0]]}}
    config["sky"] |= {"radius_deg": 3.0, "evaluation_radius_deg": 3.0}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    catalogue.write(tmp_path / "plain.parquet")
    plain = FilesSource(FilesQuery(source="files", path=tmp_path / "plain.parquet"))

    words: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", HOW_TO.read_text(), re.DOTALL):
        exec(block, words)  # the page's own code, and nobody else's
    own = words["DatabaseSource"]("stars.db")
    whole = FilesSource(FilesQuery(source="files", path=Path("catalogue.parquet")))

    assert own.columns() == frozenset(COLUMNS)
    assert own.fingerprint() == words["DatabaseSource"]("stars.db").fingerprint()
    for disc in [(149.0, 24.0, 3.0), (152.0, 24.0, 3.0), (330.0, -60.0, 3.0)]:
        due = plain.stars(*disc, COLUMNS)
        assert own.count(*disc) == len(due)
        for found in (own.stars(*disc, COLUMNS), whole.stars(*disc, COLUMNS)):
            assert found.colnames == COLUMNS
            for name in COLUMNS:
                assert found[name].dtype == due[name].dtype
                np.testing.assert_array_equal(found[name], due[name])
