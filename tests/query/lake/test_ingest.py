"""Tables of every kind become one and the same lake, however often the work is cut short."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table

from viamachinae.errors import BadInputError
from viamachinae.query.lake import Lake
from viamachinae.query.lake import ingest as module
from viamachinae.query.lake.ingest import Ingested, ingest
from viamachinae.query.pixels import pixels_of


def astropy_table(stars: pa.Table) -> Table:
    table = Table()
    for field in stars.schema:
        column = stars[field.name]
        values = column.fill_null(0).to_numpy()
        unit = (field.metadata or {}).get(b"unit", b"").decode() or None
        table[field.name] = MaskedColumn(values, mask=column.is_null().to_numpy(), unit=unit)
    return table


def write_bulk(stars: pa.Table, path: Path) -> None:
    """As the archive's bulk files are: ECSV comments, more columns than wanted, nulls in words."""
    kinds = {"double": "float64", "float": "float32", "int64": "int64"}
    header = ["# %ECSV 1.0", "# ---", "# delimiter: ','", "# datatype:"]
    header.append("# - {name: solution_id, datatype: int64, description: 'The model, its run'}")
    for field in stars.schema:
        unit = (field.metadata or {}).get(b"unit", b"").decode().replace(" / yr", ".yr**-1")
        stated = f", unit: {unit}" if unit else ""
        header.append(f"# - {{name: {field.name}, datatype: {kinds[str(field.type)]}{stated}}}")
    header.append("# - {name: phot_variable_flag, datatype: string}")
    rows = [",".join(["solution_id", *stars.column_names, "phot_variable_flag"])]
    for row in stars.to_pylist():
        # repr gives the shortest text that reads back as the same float.
        cells = ["null" if v is None else repr(v) for v in row.values()]
        rows.append(",".join(["1636148068921376768", *cells, '"NOT_AVAILABLE"']))
    path.write_bytes(gzip.compress("\n".join([*header, *rows, ""]).encode()))


WRITERS: dict[str, Callable[[pa.Table, Path], object]] = {
    "parquet": lambda stars, path: pq.write_table(stars, path, row_group_size=500),
    "csv.gz": write_bulk,
    "fits": lambda stars, path: astropy_table(stars).write(path),
    "ecsv": lambda stars, path: astropy_table(stars).write(path),
    "vot": lambda stars, path: astropy_table(stars).write(path, format="votable"),
}


def contents(folder: Path) -> dict[str, bytes]:
    """All files, but for the names of the tables in the records."""
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: content for name, content in files.items() if not name.startswith("records")}


@pytest.fixture
def tables(tmp_path: Path, stars: pa.Table) -> list[Path]:
    """The stars in three Parquet files that overlap on the sky."""
    paths = [tmp_path / f"part{index}.parquet" for index in range(3)]
    for index, path in enumerate(paths):
        pq.write_table(stars.take(np.arange(index, len(stars), 3)), path, row_group_size=500)
    return paths


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_every_format_gives_the_lake_of_its_stars(
    tmp_path: Path, stars: pa.Table, suffix: str
) -> None:
    WRITERS[suffix](stars, tmp_path / f"GaiaSource_1.{suffix}")
    done = ingest([tmp_path / f"GaiaSource_1.{suffix}"], tmp_path / "lake", workers=1)
    held = np.unique(pixels_of(stars["source_id"].to_numpy(), 5))
    assert done == Ingested(1, len(stars), len(held))
    lake = Lake.open(tmp_path / "lake")
    assert lake.present() == set(held.tolist())
    assert lake.schema.equals(stars.schema, check_metadata=True)
    # VOTable keeps no gap in a float apart from NaN, and both are missing.
    parts = [pq.read_table(path) for path in (tmp_path / "lake/dataset").rglob("Npix*.parquet")]
    kept = pa.concat_tables(parts).sort_by("source_id")
    assert kept.equals(stars.sort_by("source_id"))


def test_the_lake_does_not_depend_on_processes_runs_or_the_order_of_tables(
    tmp_path: Path, tables: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(tables, tmp_path / "two", workers=2)
    monkeypatch.setattr(module, "_RUN_BYTES", 10_000)
    ingest(tables[::-1], tmp_path / "one", workers=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert not list(tmp_path.rglob("*.arrow"))
    # A second call finds all in place.
    ingest(tables, tmp_path / "one", workers=1)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_work_cut_short_anywhere_ends_in_the_same_lake(
    tmp_path: Path, tables: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(tables, tmp_path / "whole", order=4, workers=1)
    calls, sync = 0, os.fsync

    def stop_at(last: int) -> Callable[[int], None]:
        def fsync(descriptor: int) -> None:
            nonlocal calls
            calls += 1
            if calls == last:
                raise KeyboardInterrupt
            sync(descriptor)

        return fsync

    interrupted = 0
    for last in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89):
        calls = 0
        monkeypatch.setattr(os, "fsync", stop_at(last))
        try:
            ingest(tables, tmp_path / "cut", order=4, workers=1)
        except KeyboardInterrupt:
            interrupted += 1
    monkeypatch.setattr(os, "fsync", sync)
    ingest(tables, tmp_path / "cut", order=4, workers=1)
    assert interrupted >= 5
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_ten_moments_it_goes_on(tmp_path: Path, tables: list[Path]) -> None:
    ingest(tables, tmp_path / "whole", workers=1)
    words = ["ingest", *map(str, tables), "--out", str(tmp_path / "cut"), "--workers", "2"]
    program = f"import sys; sys.argv[1:] = {words!r}; from viamachinae.cli import main; main()"
    killed = 0
    for moment in range(10):
        process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
        time.sleep(1.0 + 0.4 * moment)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    subprocess.run([sys.executable, "-c", program], check=True, stderr=subprocess.DEVNULL)
    assert killed >= 3
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_pixels_of_the_whole_sky_are_recorded(tmp_path: Path, tables: list[Path]) -> None:
    done = ingest(tables, tmp_path / "lake", order=1, whole_sky=True, workers=1)
    assert done.n_pixels == 48
    lake = Lake.open(tmp_path / "lake")
    assert lake.present() == set(range(48))
    assert lake.read_disc(300, -70, 5, ["ra"]).num_rows == 0


def test_columns_are_chosen_renamed_and_converted(tmp_path: Path, stars: pa.Table) -> None:
    table = astropy_table(stars)
    table["RAJ"] = table["ra"].quantity.to(u.rad)
    table["mu"] = MaskedColumn(table["pmra"].data / 1000, unit=u.arcsec / u.yr)
    table["n_obs"] = MaskedColumn(np.arange(len(table), dtype=np.int16), mask=table["bp_rp"].mask)
    table.remove_columns(["ra", "pmra"])
    table.write(tmp_path / "own.fits")
    chosen = {"ra": "RAJ", "pmra": "mu", "n_obs": "n_obs"}
    ingest([tmp_path / "own.fits"], tmp_path / "lake", columns=chosen, workers=1)
    lake = Lake.open(tmp_path / "lake")
    assert lake.schema.names == ["source_id", "ra", "dec", "pmra", "n_obs"]
    assert lake.schema.field("n_obs").type == pa.int16()
    found = lake.read_disc(150, 20, 1, lake.schema.names)
    rows = {row["source_id"]: row for row in stars.to_pylist()}
    due = [rows[star] for star in found["source_id"].to_pylist()]
    np.testing.assert_allclose(found["ra"].to_numpy(), [row["ra"] for row in due], rtol=1e-14)
    missing = [row["pmra"] is None for row in due]
    assert found["pmra"].is_null().to_pylist() == missing
    assert found["n_obs"].is_null().to_pylist() == missing


def with_line(stars: pa.Table, number: int, edit: Callable[[list[str]], list[str]]) -> bytes:
    """A CSV table of which one line is edited."""
    rows = [",".join(map(str, row.values())).replace("None", "") for row in stars.to_pylist()]
    lines = [",".join(stars.column_names), *rows]
    lines[number] = ",".join(edit(lines[number].split(",")))
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    ("name", "edit", "words"),
    [
        ("a.csv", lambda cells: [*cells[:5], "abc", *cells[6:]], r"'pmra' \(line 8\).*'abc'"),
        ("a.csv", lambda cells: cells[:3], "Expected 12 columns, got 3"),
        ("a.csv", lambda cells: ["", *cells[1:]], "1 stars without a value .* source_id"),
        ("a.csv", lambda cells: [cells[0] + ".5", *cells[1:]], "'source_id' .*no int64"),
        ("a.csv", lambda cells: ["-4", *cells[1:]], "source_id -4 .* --columns"),
        ("a.csv", lambda cells: [cells[0], "77", *cells[2:]], "own source_id.*source: files"),
        ("a.csv", lambda cells: [*cells[:2], "177", *cells[3:]], "dec 177 deg"),
    ],
)
def test_a_bad_line_is_said_in_one_sentence(
    tmp_path: Path,
    stars: pa.Table,
    name: str,
    edit: Callable[[list[str]], list[str]],
    words: str,
) -> None:
    (tmp_path / name).write_bytes(with_line(stars.slice(0, 50), 7, edit))
    with pytest.raises(BadInputError, match=rf"{name}.*{words}") as caught:
        ingest([tmp_path / name], tmp_path / "lake", workers=1)
    assert "\n" not in str(caught.value)


def test_bad_tables_are_said_in_one_sentence(tmp_path: Path, stars: pa.Table) -> None:
    def refused(content: bytes, name: str, words: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInputError, match=words) as caught:
            ingest([tmp_path / name], tmp_path / "lake", workers=1)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)

    plain = with_line(stars.slice(0, 50), 0, lambda cells: cells)
    refused(gzip.compress(plain)[:-900], "cut.csv.gz", "cannot be read")
    refused(b"", "empty.csv", "is empty")
    refused(plain.splitlines()[0] + b"\n", "head.csv", "hold no stars")
    refused(plain.replace(b"source_id", b"id", 1), "named.csv", "--columns source_id=<name>")
    refused(plain + plain.splitlines()[3] + b"\n", "twice.csv", "more than once")
    refused(b"PAR1", "bad.parquet", "cannot be read")
    refused(plain.replace(b",dec,", b",ra,", 1), "names.csv", "2 columns for the name 'ra'")
    with pytest.raises(BadInputError, match="none of them twice"):
        ingest([tmp_path / "a.csv", tmp_path / "a.csv"], tmp_path / "lake")
    with pytest.raises(BadInputError, match="gaia_dr2, gaia_dr3"):
        ingest([tmp_path / "head.csv"], tmp_path / "lake", release="gaia")


def test_a_star_in_two_tables_is_said(tmp_path: Path, tables: list[Path]) -> None:
    pq.write_table(pq.read_table(tables[0]).slice(0, 5), tmp_path / "again.parquet")
    with pytest.raises(BadInputError, match=r"again.parquet with part0.parquet.* more than once"):
        ingest([*tables, tmp_path / "again.parquet"], tmp_path / "lake", workers=1)


def test_other_stars_do_not_go_into_a_lake_unseen(tmp_path: Path, tables: list[Path]) -> None:
    ingest(tables[:2], tmp_path / "lake", workers=1)
    with pytest.raises(BadInputError, match="already holds"):
        ingest(tables, tmp_path / "lake", workers=1)
