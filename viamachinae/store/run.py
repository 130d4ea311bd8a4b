"""Where the files of a run stand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run; the names in it are a contract with scripts."""

    root: Path

    @property
    def config(self) -> Path:
        """Resolved configuration."""
        return self.root / "config.yaml"

    def kept_config(self, name: str) -> Path:
        """A configuration that made something here, by its hash."""
        return self.root / "configs" / f"{name}.yaml"

    @property
    def plan(self) -> Path:
        """What the scan would take, patch by patch."""
        return self.root / "plan.json"

    @property
    def workflow(self) -> Path:
        """Folder of what a workflow engine is told."""
        return self.root / "workflow"

    @property
    def status(self) -> Path:
        """Outcome of every patch and stage."""
        return self.root / "status.json"

    @property
    def truth(self) -> Path:
        """Injected stars of a simulated sky."""
        return self.root / "truth.parquet"

    @property
    def candidates(self) -> Path:
        """Stream candidates, best first."""
        return self.root / "candidates.ecsv"

    @property
    def members(self) -> Path:
        """Stars of the stream candidates."""
        return self.root / "members.parquet"

    @property
    def lineage(self) -> Path:
        """Which regions of interest a candidate comes from."""
        return self.root / "lineage.parquet"

    @property
    def page(self) -> Path:
        """The page of the scan."""
        return self.root / "index.html"

    @property
    def vetting(self) -> Path:
        """Verdicts of people: rows are only ever added."""
        return self.root / "vetting.csv"

    @property
    def calibration(self) -> Path:
        """What null skies say of cuts in significance."""
        return self.root / "calibration.json"

    @property
    def nulls(self) -> Path:
        """Folder of the null skies, each a run folder."""
        return self.root / "nulls"

    @property
    def null_candidates(self) -> Path:
        """In the folder of a null sky: what it gives at the cuts of the scan."""
        return self.root / "null.json"

    def candidate(self, name: str) -> Path:
        """Folder of what belongs to one candidate."""
        return self.root / "candidates" / name

    def patch(self, patch: str) -> Path:
        """Folder of one patch."""
        return self.root / "patches" / patch

    def stars(self, patch: str) -> Path:
        """Stars of a patch in its frame."""
        return self.patch(patch) / "stars.parquet"

    def cutflow(self, patch: str) -> Path:
        """What the cuts left."""
        return self.patch(patch) / "cutflow.json"

    def flows(self, patch: str, scan: str) -> Path:
        """Trained flows of one scan."""
        return self.patch(patch) / scan / "flows.safetensors"

    def training(self, patch: str, scan: str) -> Path:
        """Likelihoods by flow and epoch."""
        return self.patch(patch) / scan / "training.parquet"

    def health(self, patch: str, scan: str) -> Path:
        """How held-out stars bear out what was trained, by signal region."""
        return self.patch(patch) / scan / "health.parquet"

    def checkpoints(self, patch: str, scan: str) -> Path:
        """Folder of the states of a training at work; empty once it is done."""
        return self.patch(patch) / scan / "checkpoints"

    def scores(self, patch: str, scan: str) -> Path:
        """Scores of the fiducial stars."""
        return self.patch(patch) / scan / "scores.parquet"

    def lines(self, patch: str, retraining: int | None = None) -> Path:
        """Best line of every region of interest, by the scores of all trainings or of one."""
        return self._by_scores(patch, retraining) / "lines.parquet"

    def protoclusters(self, patch: str, retraining: int | None = None) -> Path:
        """Protoclusters of a patch, by the scores of all trainings or of one."""
        return self._by_scores(patch, retraining) / "protoclusters.parquet"

    def _by_scores(self, patch: str, retraining: int | None) -> Path:
        folder = self.patch(patch)
        return folder if retraining is None else folder / "retrainings" / str(retraining)

    def record(self, stage: str, patch: str | None = None, scan: str | None = None) -> Path:
        """Done-record of a stage."""
        folder = self.root if patch is None else self.patch(patch)
        if scan is not None:
            folder = folder / scan
        return folder / "records" / f"{stage}.json"
