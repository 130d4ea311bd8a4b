"""The verb null: what it hands on, and how it ends; the null skies themselves are in pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import viamachinae.pipeline.nulls
from viamachinae.cli.main import app
from viamachinae.config import ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import read_config, to_yaml
from viamachinae.store.records import Record


def test_options_are_handed_on_and_a_failure_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}

    def null(run: Path, *given: object, workers: int, watch: object) -> dict[str, list[Record]]:  # noqa: ARG001
        asked.update(run=run, given=given, workers=workers)
        failed = Record("train", "p", None, "failed", "why", 0.0, "", {}, {})
        return {"simulated-0/p": [failed], "link": []}

    monkeypatch.setattr(viamachinae.pipeline.nulls, "null", null)
    words = ["--kind", "simulated", "--skies", "3", "--patches", "2", "--workers", "4", "--quiet"]
    result = CliRunner().invoke(app, ["null", str(tmp_path), *words])
    assert asked == {"run": tmp_path, "given": ("simulated", 3, 2), "workers": 4}
    assert result.exit_code == 3
    assert "did not end well: simulated-0/p;" in result.stderr


def test_folders_are_laid_for_others_to_work_in(tmp_path: Path) -> None:
    centres = [(150.0, 30.0), (158.0, 30.0), (200.0, 0.0)]
    sky = {"tiling": "centres", "centres": centres}
    config = ScanConfig.model_validate({"sky": sky, "seed": 5})
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    words = ["--kind", "simulated", "--skies", "2", "--patches", "2", "--prepare"]
    result = CliRunner().invoke(app, ["null", str(tmp_path), *words])
    assert result.exit_code == 0, result.output
    laid = [read_config(tmp_path / "nulls" / f"simulated-{i}" / "config.yaml") for i in range(2)]
    assert [one.nulls.draw for one in laid] == [0, 1]
    assert len({5, *(one.seed for one in laid)}) == 3
    assert f"{tmp_path}/nulls/simulated-1/config.yaml --out" in result.stderr


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["null", str(tmp_path)])
    assert isinstance(result.exception, BadInputError)
    assert "is not a run folder" in str(result.exception)
