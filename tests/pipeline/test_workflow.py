"""The workflow beside the package: its schema, its command, and a small run of it here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from viamachinae.config import FilesQuery, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import json_schema
from viamachinae.pipeline import plan as plan_module
from viamachinae.pipeline.plan_file import kept_plan
from viamachinae.pipeline.prepare import prepare
from viamachinae.pipeline.simulate import simulate
from viamachinae.pipeline.workflow import (
    PLACES,
    job_name,
    run_workflow,
    snakemake_command,
    workflow_folder,
)
from viamachinae.sky import tile
from viamachinae.store.files import file_hash, write_json
from viamachinae.store.run import RunFolder

WORKFLOWS = Path(__file__).parents[2] / "workflows"
needs_snakemake = pytest.mark.skipif(
    importlib.util.find_spec("snakemake") is None, reason="Snakemake (extra `cluster`) is absent"
)


def test_the_schema_is_that_of_the_models() -> None:
    assert (WORKFLOWS / "schemas" / "scan.schema.json").read_text() == json_schema()


CONFIGS = sorted((WORKFLOWS / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_schema_takes_every_configuration(path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(json_schema()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"trian": {}}, json.loads(json_schema()))


def test_the_command(tmp_path: Path) -> None:
    assert workflow_folder() == WORKFLOWS
    for place in PLACES:
        assert (WORKFLOWS / "profiles" / place / "config.v9+.yaml").is_file()
        words = snakemake_command(tmp_path, place, ["--jobs", "3", "--config", "a=1", "b=2", "-n"])
        first = words.index("--config")
        assert words[first + 1 :] == [
            f"scan={tmp_path}/config.yaml",
            f"out={tmp_path}",
            f"here={Path.cwd()}",
            "a=1",
            "b=2",
        ]
        assert words[first - 3 : first] == ["--jobs", "3", "-n"]
        assert ("--slurm-jobname-prefix" in words) is (place == "slurm")
    assert job_name(tmp_path) != job_name(tmp_path / "other")


def test_places_that_are_not(small: ScanConfig, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="--on moon: must be one of local, slurm"):
        run_workflow(small, tmp_path, "moon", [], print)


@needs_snakemake
def test_a_locked_run_is_left_alone(small: ScanConfig, tmp_path: Path) -> None:
    lock = tmp_path / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("candidates.ecsv")
    with pytest.raises(BadInputError, match="another Snakemake is at work on it, or was killed"):
        run_workflow(small, tmp_path, "slurm", [], pytest.fail)
    assert [path.name for path in tmp_path.iterdir()] == [".snakemake"]


def test_a_plan_is_made_once_for_a_configuration(
    small: ScanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.json"
    made = kept_plan(path, small)
    assert [row["patch"] for row in made["patches"]] == [one.id for one in tile(small.sky)]
    monkeypatch.setattr(plan_module, "plan", lambda _: pytest.fail("planned again"))
    assert kept_plan(path, small) == made
    # What other code would decide is not taken from the file.
    write_json(path, {**made, "keys": {**made["keys"], "train": "old"}})
    assert kept_plan(path, small)["keys"] == made["keys"]
    monkeypatch.undo()
    other = small.model_copy(update={"seed": 7})
    again = kept_plan(path, other)
    assert again["keys"]["train"] != made["keys"]["train"]
    assert again["keys"]["lines"] == made["keys"]["lines"]


def snakemake(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOWS / "Snakefile")]
    return subprocess.run(
        [*command, *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.slow
@needs_snakemake
def test_the_dag_of_the_whole_sky(small: ScanConfig, tmp_path: Path) -> None:
    """200 patches and two scans: about 800 jobs."""
    prepare(small, tmp_path)
    plan = kept_plan(tmp_path / "plan.json", small)
    row = {**plan["patches"][0], "n_stars": 1_000_000}
    patches = [{**row, "patch": f"l{n}.0_b+40.0"} for n in range(200)]
    write_json(tmp_path / "plan.json", {**plan, "patches": patches})
    ended = snakemake(
        "--dry-run", "--quiet", "rules", "--config", f"scan={tmp_path}/config.yaml",
        f"out={tmp_path}", cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line[-1:].isdigit()]
    counts = dict(line.rsplit(maxsplit=1) for line in lines)
    assert int(counts["total"]) == 200 * (1 + 2 + 1) + 2


@pytest.mark.slow
@needs_snakemake
def test_snakemake_gives_the_bytes_of_a_scan(
    scanned: Path, small: ScanConfig, tmp_path: Path
) -> None:
    said: list[str] = []
    extra = ["--cores", "2", "--config", "stars_per_job=1", "--quiet"]
    assert run_workflow(small, tmp_path, "local", extra, said.append)
    assert "--workflow-profile" in said[0]
    names = ["candidates.ecsv", "members.parquet", "lineage.parquet"]
    for one in tile(small.sky):
        run = RunFolder(scanned)
        paths = [run.lines(one.id), run.flows(one.id, "pm_phi"), run.scores(one.id, "pm_lam")]
        names += [path.relative_to(scanned).as_posix() for path in paths]
    for name in names:
        assert file_hash(tmp_path / name) == file_hash(scanned / name), name
    assert len(list((tmp_path / "workflow").glob("*.done"))) == 2 * 4
    again = snakemake(
        "--dry-run", "--config", f"scan={tmp_path}/config.yaml", f"out={tmp_path}",
        "stars_per_job=1", cwd=tmp_path,
    )  # fmt: skip
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.slow
@needs_snakemake
def test_relative_paths_start_where_the_command_is_given(
    small: ScanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake and its jobs start in the run folder."""
    monkeypatch.chdir(tmp_path)
    stars = Path("stars.parquet")
    simulate(small, stars)
    config = small.model_copy(update={"query": FilesQuery(source="files", path=stars)})
    run_workflow(config, Path("run"), "local", ["--until", "preprocess", "--quiet"], print)
    assert all(RunFolder(Path("run")).stars(one.id).is_file() for one in tile(small.sky))


@pytest.mark.slow
@needs_snakemake
def test_snakemake_finds_nothing_else_to_blame(small: ScanConfig, tmp_path: Path) -> None:
    prepare(small, tmp_path)
    kept_plan(tmp_path / "plan.json", small)
    ended = snakemake(
        "--lint", "--config", f"scan={tmp_path}/config.yaml", f"out={tmp_path}", cwd=tmp_path
    )
    blamed = {line for line in (ended.stdout + ended.stderr).splitlines() if line[:6] == "    * "}
    # The rules run what is installed beside Snakemake.
    assert blamed == {"    * Specify a conda environment or container for each rule.:"}
