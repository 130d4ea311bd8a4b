from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from viamachinae.config import FilesQuery, Scan, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import read_config
from viamachinae.pipeline.events import Event
from viamachinae.pipeline.extent import Extent, parse_extent
from viamachinae.pipeline.link import link
from viamachinae.pipeline.patch import patch
from viamachinae.pipeline.plan import plan
from viamachinae.pipeline.prepare import prepare
from viamachinae.pipeline.scan import scan
from viamachinae.pipeline.simulate import simulate
from viamachinae.pipeline.stage import StageName
from viamachinae.pipeline.status import outcome_of, status
from viamachinae.score import method
from viamachinae.sky import tile
from viamachinae.store.files import file_hash, read_table
from viamachinae.store.records import Record


def run(config: ScanConfig, out: Path, **options: Any) -> list[tuple[str, str, str | None]]:
    """Scan in this process; the stages that really ran."""
    events: list[Event] = []
    scan(config, out, workers=1, watch=events.append, **options)
    return [(e.stage, e.patch or "all", e.scan) for e in events if e.kind == "start"]


def hashes(out: Path) -> dict[str, str]:
    """Of all results; the report is left out, for it says how long each patch took."""
    return {
        path.relative_to(out).as_posix(): file_hash(path)
        for path in sorted(out.rglob("*"))
        if path.suffix in (".parquet", ".ecsv", ".safetensors")
    }


def copy(scanned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scanned, tmp_path / "run"))


def test_files_and_columns_of_the_contract(scanned: Path) -> None:
    candidates = Table.read(scanned / "candidates.ecsv")
    assert {"candidate", "rank", "sigma", "n_stars", "n_patches"} <= set(candidates.colnames)
    assert candidates["rank"].tolist() == list(range(1, len(candidates) + 1))
    members = pq.read_table(scanned / "members.parquet")
    assert members.schema.field("source_id").type == pa.int64()
    for patch_dir in (scanned / "patches").iterdir():
        for scan_name in ("pm_lam", "pm_phi"):
            scores = pq.read_table(patch_dir / scan_name / "scores.parquet")
            assert scores.column_names[:2] == ["source_id", "region"]
            np.testing.assert_allclose(
                scores["log_ratio"].to_numpy(),
                scores["log_sr"].to_numpy() - scores["log_cr"].to_numpy(),
                atol=1e-4,
            )
        lines = pq.read_table(patch_dir / "lines.parquet")
        wanted = ["scan", "region", "window", "theta", "r", "sigma", "n_line"]
        assert lines.column_names[: len(wanted)] == wanted
    rows = json.loads((scanned / "status.json").read_text())
    assert {row["outcome"] for row in rows} == {"done"}
    assert {"patch", "stage", "outcome", "reason", "seconds"} <= set(rows[0])


def test_the_rich_stream_is_the_first_candidate(scanned: Path) -> None:
    candidates = Table.read(scanned / "candidates.ecsv")
    first = candidates[0]
    assert first["n_patches"] == 2
    members = read_table(scanned / "members.parquet")
    line = members[(members["candidate"] == first["candidate"]) & members["on_line"]]
    assert len(line) == first["n_stars"] == len(set(line["source_id"]))
    truth = read_table(scanned / "truth.parquet")
    assert np.isin(line["source_id"], truth["source_id"]).mean() > 0.5


def test_scores_are_of_fiducial_stars_inside_the_region(scanned: Path, small: ScanConfig) -> None:
    where = scanned / "patches" / tile(small.sky)[0].id
    stars, scores = read_table(where / "stars.parquet"), read_table(where / "pm_phi/scores.parquet")
    row = np.searchsorted(stars["source_id"], scores["source_id"])
    assert stars["fiducial"][row].all()
    excess = stars["pm_phi"][row] - scores["region"]
    assert excess.min() >= 0
    assert excess.max() < small.regions.width_masyr


def test_a_second_scan_does_nothing(scanned: Path, small: ScanConfig, tmp_path: Path) -> None:
    out = copy(scanned, tmp_path)
    before = hashes(out)
    assert run(small, out) == []
    assert hashes(out) == before


def test_only_what_is_missing_or_damaged_is_done_again(
    scanned: Path, small: ScanConfig, tmp_path: Path
) -> None:
    out, (first, second) = copy(scanned, tmp_path), [one.id for one in tile(small.sky)]
    before = hashes(out)
    (out / "patches" / first / "pm_phi" / "scores.parquet").unlink()
    lines = out / "patches" / second / "lines.parquet"
    lines.write_bytes(lines.read_bytes()[:-10])
    assert run(small, out) == [("score", first, "pm_phi"), ("lines", second, None)]
    assert hashes(out) == before


def test_a_changed_link_option_trains_nothing(
    scanned: Path, small: ScanConfig, tmp_path: Path
) -> None:
    out = copy(scanned, tmp_path)
    protoclusters = small.link.protoclusters.model_copy(update={"min_sigma": 9.0})
    link_config = small.link.model_copy(update={"protoclusters": protoclusters})
    done = run(small.model_copy(update={"link": link_config}), out)
    assert {stage for stage, _, _ in done} <= {"lines", "link", "inspect"}
    assert [stage for stage, _, _ in done].count("lines") == 2


def test_same_seed_same_bytes_whatever_the_workers_and_order(
    scanned: Path, small: ScanConfig, tmp_path: Path
) -> None:
    for one in reversed(tile(small.sky)):
        assert outcome_of(patch(small, tmp_path, one.id)) == "done"
    link(small, tmp_path)
    again = hashes(tmp_path)
    expected = hashes(scanned)
    del expected["truth.parquet"]
    assert again == expected


@pytest.mark.slow
def test_two_processes_give_the_same_bytes(
    scanned: Path, small: ScanConfig, tmp_path: Path
) -> None:
    assert scan(small, tmp_path, workers=2).is_good
    assert hashes(tmp_path) == hashes(scanned)


def test_stages_of_a_patch_one_by_one(small: ScanConfig, tmp_path: Path) -> None:
    first = tile(small.sky)[0].id
    extent = parse_extent(small, "preprocess", None, None)
    assert [r.stage for r in patch(small, tmp_path, first, extent)] == ["preprocess"]
    with pytest.raises(BadInputError, match="no patch of this tiling"):
        patch(small, tmp_path, "l0.0_b+0.0")


def test_a_patch_without_stars_is_no_work(small: ScanConfig, tmp_path: Path) -> None:
    """A file that covers one of the two patches."""
    stars = tmp_path / "stars.parquet"
    one = small.sky.model_copy(update={"centres": [(150.0, 30.0)]})  # type: ignore[union-attr]
    simulate(small.model_copy(update={"sky": one}), stars)
    far = small.sky.model_copy(update={"centres": [(150.0, 30.0), (10.0, -60.0)]})
    config = small.model_copy(update={"sky": far, "query": FilesQuery(source="files", path=stars)})
    result = scan(config, tmp_path / "run", workers=1)
    assert result.is_good
    assert [outcome_of(records) for records in result.patches.values()] == ["done", "no_work"]
    nowhere = small.sky.model_copy(update={"centres": [(10.0, -60.0)]})
    with pytest.raises(BadInputError, match="no usable star in any of the 1 patches"):
        scan(config.model_copy(update={"sky": nowhere}), tmp_path / "empty", workers=1)


def test_a_broken_stage_costs_its_patch_alone(
    scanned: Path, small: ScanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, first = copy(scanned, tmp_path), tile(small.sky)[0].id
    (out / "patches" / first / "pm_lam" / "flows.safetensors").unlink()

    def broken(*_: object, **__: object) -> None:
        raise ArithmeticError("singular matrix\nin detail")

    with monkeypatch.context() as patched:
        patched.setattr(method, "train", broken)
        result = scan(small, out, workers=1)
    assert not result.is_good
    ended = {(r.stage, r.scan): r for r in result.patches[first]}
    assert ended["train", "pm_lam"].outcome == "failed"
    assert ended["train", "pm_lam"].reason.startswith("ArithmeticError: singular matrix; details")
    assert ended["score", "pm_lam"].outcome == "upstream_failed"
    assert ended["lines", None].outcome == "partial"
    assert {r.outcome for r in list(result.patches.values())[1]} == {"done"}
    log = out / "patches" / first / "pm_lam" / "records" / "train.log"
    assert "singular matrix" in log.read_text()
    assert (out / "candidates.ecsv").is_file()
    # After mending, only what was broken runs again, and the end is the same.
    done = run(small, out)
    assert ("train", first, "pm_lam") in done
    assert not any(where == tile(small.sky)[1].id for _, where, _ in done)
    assert hashes(out) == hashes(scanned)


# Every file of a patch's stages, with the place of the stage; those above patches have none.
WRITTEN: dict[str, tuple[StageName, Scan | None] | None] = {
    "stars.parquet": ("preprocess", None),
    "cutflow.json": ("preprocess", None),
    "flows.safetensors": ("train", "pm_phi"),
    "training.parquet": ("train", "pm_phi"),
    "health.parquet": ("train", "pm_phi"),
    "scores.parquet": ("score", "pm_phi"),
    "lines.parquet": ("lines", None),
    "protoclusters.parquet": ("lines", None),
    "candidates.ecsv": None,
    "members.parquet": None,
    "lineage.parquet": None,
    "index.html": None,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_full_disk_leaves_nothing_half_written(
    scanned: Path,
    small: ScanConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    out, first, place = copy(scanned, tmp_path), tile(small.sky)[0].id, WRITTEN[name]
    for path in out.rglob(name):
        path.unlink()
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return replace(path, target)

    def again() -> list[Record]:
        if place is None:
            return link(small, out)
        stage, scan_name = place
        return patch(small, out, first, Extent((stage,), (scan_name,) if scan_name else None))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        records = again()
    assert any("no space left on the disk" in r.reason for r in records)
    assert not list(out.rglob("*.tmp"))
    assert not list(out.rglob(name))
    assert {r.outcome for r in again()} == {"done"}
    assert list(out.rglob(name))
    before = hashes(scanned)
    assert all(before[path] == digest for path, digest in hashes(out).items())


def test_status_and_plan(scanned: Path, small: ScanConfig, tmp_path: Path) -> None:
    records = status(scanned)
    assert len(records) == 2 * 6 + 2
    with pytest.raises(BadInputError, match="not a run folder"):
        status(tmp_path)
    plans = plan(small)
    assert [row.patch.id for row in plans] == [one.id for one in tile(small.sky)]
    for row in plans:
        stars = read_table(scanned / "patches" / row.patch.id / "stars.parquet")
        # The model's expectation and a Poisson draw of it.
        assert abs(row.n_stars - len(stars)) < 6 * np.sqrt(len(stars))
        trained = sum(
            len(
                set(
                    read_table(scanned / "patches" / row.patch.id / s / "training.parquet")[
                        "region"
                    ]
                )
            )
            for s in ("pm_lam", "pm_phi")
        )
        assert row.n_regions == trained
        assert row.n_flows == 2 * trained
        assert row.seconds > 0


def test_prepare_writes_the_resolved_configuration(small: ScanConfig, tmp_path: Path) -> None:
    prepare(small, tmp_path)
    assert read_config(tmp_path / "config.yaml") == small
    truth = read_table(tmp_path / "truth.parquet")
    assert len(truth) == 500
