"""Where files come from, and the run as an RO-Crate."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import parse_config, read_config
from viamachinae.pipeline.crate import write_crate
from viamachinae.pipeline.provenance import provenance_of
from viamachinae.sky import tile
from viamachinae.store.files import count_rows, file_hash
from viamachinae.store.run import RunFolder


def test_every_product_tells(scanned: Path, small: ScanConfig) -> None:
    first = tile(small.sky)[0].id
    run = RunFolder(scanned)
    products = [run.stars(first), run.scores(first, "pm_phi"), run.lines(first), run.candidates]
    for path in [*products, run.members, run.page, run.training(first, "pm_lam")]:
        told = provenance_of(path).as_plain()
        assert told["unchanged"]
        assert told["hash"] == file_hash(path)
        assert parse_config(told["configuration"], "told") == small
        assert {"torch", "numpy", "scipy", "python", "viamachinae"} <= set(told["versions"])
        assert told["made_by"]["host"]
        assert told["made_by"]["ended"].startswith("20")
        assert told["release"] == "gaia_dr3"
        assert told["parents"]
        assert json.dumps(told)


def test_parents_and_rows(scanned: Path, small: ScanConfig) -> None:
    first = tile(small.sky)[0].id
    run = RunFolder(scanned)
    told = provenance_of(run.scores(first, "pm_phi")).as_plain()
    stars = run.stars(first).relative_to(scanned).as_posix()
    assert told["parents"][stars] == file_hash(run.stars(first))
    assert told["rows_by_cut"]["has_proper_motion"] == count_rows(run.stars(first))
    assert told["made_by"]["engine"] in ("native", "torch")
    taken = sum(count_rows(run.stars(one.id)) for one in tile(small.sky))
    for path in (run.candidates, run.members, run.page):
        told = provenance_of(path).as_plain()
        assert told["rows_by_cut"]["has_proper_motion"] == taken
        assert not told["made_by"]["engine"]


def test_the_command_names_the_configuration_of_then(
    scanned: Path, small: ScanConfig, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(scanned, tmp_path / "run"))
    first = tile(small.sky)[0].id
    # Afterwards the run got another configuration.
    (out / "config.yaml").write_text("name: other")
    words = shlex.split(provenance_of(RunFolder(out).stars(first)).command())
    assert words[:3] == ["cd", str(Path.cwd()), "&&"]
    words = words[3:]
    assert words[:2] == ["viamachinae", "patch"]
    assert words[3:6] == [first, "--stage", "preprocess"]
    assert read_config(Path(words[2])) == small
    assert "scan" in provenance_of(out / "members.parquet").command()


def test_a_changed_file_is_told_apart(scanned: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(scanned, tmp_path / "run"))
    (out / "candidates.ecsv").write_text("mine")
    assert not provenance_of(out / "candidates.ecsv").is_unchanged


def test_files_of_no_run(scanned: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="does not stand in a run folder"):
        provenance_of(tmp_path / "stars.parquet")
    with pytest.raises(BadInputError, match="no stage recorded"):
        provenance_of(scanned / "status.json")
    (tmp_path / "validation.yaml").write_text("name: grid")
    with pytest.raises(BadInputError, match="viamachinae validate"):
        provenance_of(tmp_path / "completeness.ecsv")


def test_the_crate_is_read_by_its_library(scanned: Path, tmp_path: Path) -> None:
    rocrate = pytest.importorskip("rocrate.rocrate")
    out = Path(shutil.copytree(scanned, tmp_path / "run"))
    path = write_crate(out)
    graph = json.loads(path.read_text())["@graph"]
    assert len({entity["@id"] for entity in graph}) == len(graph)
    crate = rocrate.ROCrate(out)
    assert crate.root_dataset["name"] == "small"
    files = {entity.id for entity in crate.data_entities}
    assert {"candidates.ecsv", "members.parquet", "config.yaml"} <= files
    assert all((out / name).is_file() for name in files)
    link = crate.get("#link")
    assert {entity.id for entity in link["result"]} >= {"candidates.ecsv", "members.parquet"}
    known = {entity["@id"] for entity in graph}
    for action in (entity for entity in graph if entity["@type"] == "CreateAction"):
        assert {one["@id"] for one in [*action["object"], *action["result"]]} <= known
