"""What a plan says of a scan, against what the scan took."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from viamachinae.config import ScanConfig
from viamachinae.options import parse_config
from viamachinae.pipeline.estimate import memory_bytes
from viamachinae.pipeline.memory import PeakMemory
from viamachinae.pipeline.patch import patch
from viamachinae.pipeline.plan import PatchPlan, plan, total
from viamachinae.pipeline.plan_file import as_json
from viamachinae.pipeline.sources import open_source
from viamachinae.pipeline.training_memory import training_bytes
from viamachinae.pipeline.trial import run_trial
from viamachinae.score.trained import load_flows
from viamachinae.sky import tile
from viamachinae.sky.tiling import DustyPatch
from viamachinae.store.files import count_rows
from viamachinae.store.run import RunFolder


@pytest.fixture(scope="module")
def plans(small: ScanConfig) -> list[PatchPlan]:
    return plan(small)


def test_the_disk_is_that_of_the_files(plans: list[PatchPlan], scanned: Path) -> None:
    run = RunFolder(scanned)
    for one in plans:
        files = [path for path in run.patch(one.patch.id).rglob("*") if path.is_file()]
        assert one.disk_bytes == pytest.approx(sum(path.stat().st_size for path in files), rel=0.3)


def test_a_dense_patch_is_judged_by_its_middle(
    small: ScanConfig, scanned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a tenth of the stars, stars to score and regions come out about right."""
    run = RunFolder(scanned)
    where = tile(small.sky)[0].id
    monkeypatch.setattr("viamachinae.pipeline.plan.SAMPLE", count_rows(run.stars(where)) // 10)
    (one, _) = plan(small)
    regions = [load_flows(run.flows(where, scan)).regions for scan in small.regions.scans]
    assert one.n_regions == pytest.approx(sum(map(len, regions)), abs=2)
    files = [path for path in run.patch(where).rglob("*") if path.is_file()]
    assert one.disk_bytes == pytest.approx(sum(path.stat().st_size for path in files), rel=0.4)


def test_the_trial_has_the_shape_of_the_scan(small: ScanConfig, scanned: Path) -> None:
    trial = run_trial(small)
    flows = load_flows(RunFolder(scanned).flows(tile(small.sky)[0].id, "pm_lam"))
    assert trial.bytes_per_snapshot == flows.weights.shape[-1] * 4
    assert trial.seconds_per_update > 0
    assert trial.seconds_per_score > 0
    assert (trial.densities, trial.seconds_per_learning) == (("sr", "cr"), 0)
    torch_train = small.train.model_copy(update={"engine": "torch", "stack_size": 3})
    assert run_trial(small.model_copy(update={"train": torch_train})).lanes == 3


NETS = {"epochs": 30, "average_best": 10, "hidden": [8], "folds": 3}


@pytest.mark.parametrize(
    ("score", "densities", "n_flows", "parameters"),
    [
        # Five features, one output: of 8 hidden units a network has 6 * 8 + 9 parameters.
        ({"method": "cathode", "oversampling": 1, "classifier": NETS}, ("cr",), 1, 3 * 10 * 57),
        ({"method": "cwola", "classifier": NETS}, (), 0, 3 * 10 * 57),
        (
            {"method": "r_anode", "epochs": 30, "flow": {"hidden": [8], "blocks": 1}},
            ("cr",),
            2,
            None,
        ),
    ],
)
def test_other_scores_are_planned_as_what_they_train(
    small: ScanConfig,
    score: dict[str, object],
    densities: tuple[str, ...],
    n_flows: int,
    parameters: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("viamachinae.pipeline.trial.TRIAL_STARS", (1_000,))
    options = {**small.model_dump(mode="json"), "score": score}
    options["sky"]["centres"] = options["sky"]["centres"][:1]
    config = parse_config(options, "t")
    trial = run_trial(config)
    assert trial.densities == densities
    assert (trial.seconds_per_update > 0) == bool(densities)
    assert trial.seconds_per_learning > 0
    assert parameters is None or trial.bytes_learned == 4 * parameters
    monkeypatch.setattr("viamachinae.pipeline.plan.run_trial", lambda _: trial)
    (one,) = plan(config)
    assert one.n_flows == n_flows * one.n_regions
    slower = replace(trial, seconds_per_learning=1 + trial.seconds_per_learning)
    monkeypatch.setattr("viamachinae.pipeline.plan.run_trial", lambda _: slower)
    (more,) = plan(config)
    # Thirty epochs or more of all stars of the regions, which hold a hundred at least.
    assert more.seconds - one.seconds > 30 * 100 * one.n_regions
    assert "memory" in as_json(config, [one])["not_estimated"][0]


def test_json_holds_what_a_scheduler_asks_for(
    small: ScanConfig, plans: list[PatchPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    dusty = [DustyPatch(plans[0].patch, "dusty")]
    monkeypatch.setattr("viamachinae.pipeline.plan_file.dusty_patches", lambda _: dusty)
    content = json.loads(json.dumps(as_json(small, plans)))
    names = {"n_stars", "n_regions", "n_flows", "seconds", "memory_bytes", "disk_bytes"}
    names.add("download_bytes")
    assert [set(one) for one in content["patches"]] == [names | {"patch", "ra", "dec"}] * 2
    assert [one["patch"] for one in content["patches"]] == [one.patch.id for one in plans]
    assert content["left_out"] == [{"patch": plans[0].patch.id, "reason": "dusty"}]
    assert set(content["total"]) == names
    assert content["not_estimated"] == []
    whole = total(plans)
    assert whole.n_flows == sum(one.n_flows for one in plans)
    assert whole.memory_bytes == max(one.memory_bytes for one in plans)
    assert whole.download_bytes == 0


def test_what_an_archive_sends_is_counted(
    small: ScanConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viamachinae.pipeline.plan.REMOTE", {"simulate"})
    for one in plan(small):
        # source_id, ra, dec, pmra, pmdec and parallax in 8 bytes, four columns in 4 bytes.
        assert one.download_bytes == one.n_stars * (6 * 8 + 4 * 4)


def test_memory_of_a_patch_by_hand() -> None:
    # Forty trainings of two flows, each with its state and the snapshots of ten epochs.
    few = memory_bytes(1_000_000, 16, 40 * 2 * 11 * 100_000)
    assert few == 650e6 + 530e6 + 80 * 33 * 100_000
    many = memory_bytes(1_000_000, 64, 0)
    assert many == 650e6 + 656e6


def _peak(config: ScanConfig, out: Path, answer: multiprocessing.Queue[int]) -> None:
    # Not getrusage: its peak is inherited from the process that this one was forked off.
    peak = PeakMemory()
    patch(config, out, tile(config.sky)[0].id)
    answer.put(peak.host_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("fraction", [0.1, 0.7])
def test_memory_of_a_patch_as_measured(small: ScanConfig, tmp_path: Path, fraction: float) -> None:
    options = small.model_dump(mode="json")
    options["sky"] |= {"radius_deg": 12.0}
    options["query"]["galaxy"]["fraction"] = fraction
    options["regions"] |= {"range_masyr": [-15, -6], "scans": ["pm_phi"]}
    options["train"] |= {"epochs": 1, "average_last": 1}
    config = parse_config(options, "t")
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_peak, args=(config, tmp_path, answer))
    process.start()
    measured = answer.get(timeout=600)
    process.join()
    first = tile(config.sky)[0]
    n_stars = open_source(config).count(first.ra, first.dec, first.radius_deg)
    expected = training_bytes(n_stars, 2, config)
    assert expected == pytest.approx(measured, rel=0.3)
