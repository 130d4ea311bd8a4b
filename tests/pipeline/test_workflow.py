"""The workflow beside the package: its schema, its command, and a small run of it here."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import pytest

from viamachinae.config import FilesQuery, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import json_schema
from viamachinae.pipeline import plan as plan_module
from viamachinae.pipeline import workflow
from viamachinae.pipeline.plan_file import kept_plan
from viamachinae.pipeline.prepare import prepare
from viamachinae.pipeline.rerun import chosen
from viamachinae.pipeline.simulate import simulate
from viamachinae.pipeline.stage import STAGE_NAMES
from viamachinae.pipeline.status import standing
from viamachinae.pipeline.workflow import (
    PLACES,
    job_name,
    run_workflow,
    snakemake_command,
    workflow_folder,
)
from viamachinae.pipeline.workflow_options import is_idle
from viamachinae.sky import tile
from viamachinae.store.files import file_hash, read_json, write_json
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
    assert again["source"] != made["source"]
    assert again["keys"]["train"] != made["keys"]["train"]
    assert again["keys"]["lines"] == made["keys"]["lines"]


def snakemake(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOWS / "Snakefile")]
    # It starts `viamachinae`, which stands beside this interpreter.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [*command, *words],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def counted(said: str) -> dict[str, int]:
    """Jobs by rule, as a dry run says."""
    rows = [line.split() for line in said.splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


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
        "--dry-run", "--config", f"scan={tmp_path}/config.yaml", f"out={tmp_path}", cwd=tmp_path
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    # Of the worker, with a margin, and of what else is in a job.
    memory = ceil(1.25 * row["memory_bytes"] / 1e6 + 600)
    assert ended.stdout.count(f"mem_mb={memory},") == 200 * (1 + 2 + 1)
    assert counted(ended.stdout)["total"] == 200 * (1 + 2 + 1) + 3


@pytest.mark.slow
@needs_snakemake
def test_snakemake_gives_the_bytes_of_a_scan(
    scanned: Path, small: ScanConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "the run"
    said: list[str] = []
    settings = ["--config", "stars_per_job=1"]
    extra = ["--cores", "2", *settings, "--quiet"]
    assert run_workflow(small, out, "local", extra, said.append)
    assert "--workflow-profile" in said[0]
    assert f"--directory '{out}'" in said[0]
    names = ["candidates.ecsv", "members.parquet", "lineage.parquet"]
    for one in tile(small.sky):
        run = RunFolder(scanned)
        paths = [run.lines(one.id), run.flows(one.id, "pm_phi"), run.scores(one.id, "pm_lam")]
        names += [path.relative_to(scanned).as_posix() for path in paths]
    for name in names:
        assert file_hash(out / name) == file_hash(scanned / name), name
    assert len(list((out / "workflow").glob("*.done"))) == 2 * 4
    outcomes = {row["stage"]: row["outcome"] for row in read_json(out / "status.json")}
    assert (outcomes["link"], outcomes["inspect"]) == ("done", "done")
    capfd.readouterr()
    dry = ["--dry-run", "--quiet", "rules", *settings]
    assert run_workflow(small, out, "local", dry, print)
    assert "Nothing to be done" in "".join(capfd.readouterr())
    assert run_workflow(small, out, "local", [*dry, "link_only=1"], print)
    assert counted(capfd.readouterr().out) == {"all": 1, "link": 1, "inspect": 1, "total": 3}
    # Other stars; and what is looked at only is not written down.
    laid = [(out / name).read_bytes() for name in ("config.yaml", "plan.json")]
    galaxy = small.query.galaxy.model_copy(update={"fraction": 0.021})
    other = small.model_copy(update={"query": small.query.model_copy(update={"galaxy": galaxy})})
    assert run_workflow(other, out, "local", dry, print)
    counts = counted(capfd.readouterr().out)
    assert counts == {
        "all": 1, "preprocess": 2, "train": 4, "lines": 2, "link": 1, "inspect": 1, "total": 11
    }  # fmt: skip
    assert laid == [(out / name).read_bytes() for name in ("config.yaml", "plan.json")]
    # What `rerun` was told to leave to the workflow.
    chosen(out, [tile(small.sky)[0].id], failed=False, first="score")
    assert run_workflow(small, out, "local", dry, print)
    counts = counted(capfd.readouterr().out)
    assert counts == {"all": 1, "train": 2, "lines": 1, "link": 1, "inspect": 1, "total": 6}


@pytest.mark.slow
@needs_snakemake
def test_a_bad_patch_does_not_hold_up_those_that_share_its_jobs(
    small: ScanConfig, tmp_path: Path
) -> None:
    regions = small.regions.model_copy(update={"scans": ["pm_lam"]})
    config = small.model_copy(update={"regions": regions})
    run, (bad, good) = RunFolder(tmp_path), [one.id for one in tile(config.sky)]
    # A folder stands where a file is to be written.
    run.stars(bad).mkdir(parents=True)
    said: list[str] = []
    extra = ["--cores", "2", "--retries", "0", "--quiet"]
    assert not run_workflow(config, tmp_path, "local", extra, said.append)
    assert len(said) == 2
    assert said[1].endswith(" leave_out_failed=1")
    ended = {(one.patch, one.stage): one.outcome for one in standing(tmp_path)}
    assert [ended[bad, stage] for stage in STAGE_NAMES] == ["failed", *["upstream_failed"] * 3]
    assert [ended[good, stage] for stage in STAGE_NAMES] == ["done"] * 4
    assert (ended[None, "link"], ended[None, "inspect"]) == ("done", "done")
    # What tells Snakemake that the patch is done with does not stay: mended, it is tried again.
    assert list(run.workflow.glob("*.done")) == []
    run.stars(bad).rmdir()
    assert run_workflow(config, tmp_path, "local", extra, said.append)
    assert len(said) == 3
    assert {one.outcome for one in standing(tmp_path)} == {"done"}


@needs_snakemake
def test_what_is_tried_when_jobs_fail(
    scanned: Path, small: ScanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(scanned, tmp_path / "run"))
    first = tile(small.sky)[0].id
    for name, outcome in (("good", "done"), ("bad", "failed")):
        done = {"stages": ["lines"], "patches": {first: {"all/lines": outcome}}}
        write_json(out / "workflow" / f"{name}.done", done)
    commands: list[Sequence[str]] = []

    def fail(command: Sequence[str], *_: object) -> int:
        commands.append(command)
        return 1

    monkeypatch.setattr(workflow, "_run", fail)
    nulls = small.nulls.model_copy(update={"skies": 2})
    said: list[str] = []
    run_workflow(small.model_copy(update={"nulls": nulls}), out, "local", [], said.append)
    assert [command[-1].partition("=")[0] for command in commands] == [
        "here", "leave_out_failed", "link_only",
    ]  # fmt: skip
    assert [path.name for path in (out / "workflow").glob("*.done")] == ["good.done"]
    assert said[-1].startswith(f"nulls.skies: make the null skies with: viamachinae null {out} ")
    # Killed: that says nothing of the patches.
    monkeypatch.setattr(workflow, "_run", lambda *_: -9)
    said.clear()
    run_workflow(small, out, "local", [], said.append)
    assert said == []


@needs_snakemake
def test_options_with_which_snakemake_runs_no_job() -> None:
    for words in ("-n", "-np", "--rulegraph", "--dag", "--report", "--touch", "--unlock", "-S"):
        assert is_idle([words]), words
    assert is_idle(["--jobs", "3", "--dry-run"])
    for words in ("--jobs 3", "--retries 2 --quiet", "--until preprocess", "--config nothing=n"):
        assert not is_idle(words.split()), words


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
