"""One injection of a grid through the real pipeline: a point, in a run folder of its own."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from viamachinae.config import UNDECIDING, FilesQuery, InjectedStreams, ScanConfig
from viamachinae.pipeline.events import Event, Watcher, unwatched
from viamachinae.pipeline.injection import as_table, injected
from viamachinae.pipeline.link import LINK
from viamachinae.pipeline.scan import scan
from viamachinae.pipeline.stage import Advance, Ending, Stage, Task, run_task
from viamachinae.pipeline.stages import LINES, PREPROCESS, TRAIN
from viamachinae.score.seeds import seed_sequence
from viamachinae.sky import Patch
from viamachinae.store.files import file_hash, read_table, write_table, write_text
from viamachinae.store.records import Record, worst
from viamachinae.store.run import RunFolder
from viamachinae.validate.truth import true_streams, truth_text

# Lists of the options whose values the points combine, and what their names begin with.
GRID = {"n_stars": "n", "width_deg": "w", "pm_masyr": "pm", "length_deg": "l", "distance_kpc": "d"}


def _deciding(config: ScanConfig) -> list[Any]:
    """What decides the stars of a point and what is found in them, but for its catalogue."""
    whose = {"name", "query", "inspect", "validation", "train"}
    return [
        config.model_dump(mode="json", exclude=whose),
        config.train.model_dump(mode="json", exclude=UNDECIDING),
        config.validation.streams.model_dump(mode="json"),
        config.query.release,
    ]


RECOVERY = Stage(
    "recovery",
    (
        *(room for stage in (PREPROCESS, TRAIN, LINES, LINK) for room in stage.rooms),
        *("validate/footprint", "validate/injection", "validate/truth", "pipeline/injection"),
    ),
    _deciding,
    on_device=True,
)


class Point(NamedTuple):
    """A kind of stream in a patch, and which of its repeats it is.

    Attributes
    ----------
    patch : Patch
    streams : InjectedStreams
        With one value a list.
    repeat : int
    """

    patch: Patch
    streams: InjectedStreams
    repeat: int

    @property
    def name(self) -> str:
        """Stable name: a larger grid calls the points of a smaller one the same."""
        values = [f"{short}{getattr(self.streams, name)[0]:g}" for name, short in GRID.items()]
        return "_".join([self.patch.id, *values, str(self.repeat)])


def points(config: ScanConfig, patches: Sequence[Patch]) -> list[Point]:
    """All points of a grid, all kinds of streams once before any a second time."""
    options = config.validation.streams
    kinds = [
        options.model_copy(update={name: [value] for name, value in zip(GRID, values, strict=True)})
        for values in itertools.product(*(getattr(options, name) for name in GRID))
    ]
    return [
        Point(patch, kind, repeat + 1)
        for repeat in range(config.validation.repeats)
        for kind in kinds
        for patch in patches
    ]


def point_config(config: ScanConfig, point: Point, catalogue: Path, injected: Path) -> ScanConfig:
    """The configuration that scans a point: one patch, and two files as one catalogue."""
    patch = point.patch
    seed = int(seed_sequence(config.seed, "recovery", point.name).generate_state(1)[0])
    return config.model_copy(
        update={
            "name": point.name,
            "seed": seed,
            "sky": config.sky.around(patch.ra, patch.dec),
            "query": FilesQuery(
                source="files", path=[catalogue, injected], release=config.query.release
            ),
            "inspect": config.inspect.model_copy(update={"max_figures": 0}),
            "validation": config.validation.model_copy(update={"streams": point.streams}),
        }
    )


def run_point(
    config: ScanConfig, out: Path, catalogue: Path, point: Point, watch: Watcher = unwatched
) -> Record:
    """Inject the stream of a point and scan its patch, unless that is done.

    Parameters
    ----------
    config : ScanConfig
        Of the grid.
    out : Path
        Run folder of the point. It keeps the injected stars, the truth, the candidates and their
        members, and the stars of the stream that are fiducial.
    catalogue : Path
        Parquet file of the patch's stars.
    point : Point
    """
    run = RunFolder(out)
    config = point_config(config, point, catalogue, injected_file(run))

    def renamed(event: Event) -> None:
        watch(replace(event, patch=point.name))

    def do(_advance: Advance) -> Ending:
        _write_injection(config, run, catalogue, point)
        result = scan(config, out, workers=1, watch=renamed)
        ended = [*(record for one in result.patches.values() for record in one), *result.above]
        outcome = worst([record.outcome for record in ended])
        if outcome not in ("done", "partial", "no_work"):
            return outcome, next(r.reason for r in ended if r.outcome == outcome)
        _write_fiducial(run, point.patch)
        if not config.validation.keep_runs:
            shutil.rmtree(run.root / "patches")
        return "done", ""

    outputs = [injected_file(run), truth_file(run), run.candidates, run.members, fiducial_file(run)]
    outer = {"catalogue": file_hash(catalogue)}
    return run_task(Task(RECOVERY, run, config, [], outputs, do, outer=outer), renamed)


def injected_file(run: RunFolder) -> Path:
    """Stars injected into the catalogue of a point."""
    return run.root / "injected.parquet"


def truth_file(run: RunFolder) -> Path:
    """What these stars are."""
    return run.root / "truth.ecsv"


def fiducial_file(run: RunFolder) -> Path:
    """The ids of those of them that were scored."""
    return run.root / "fiducial.parquet"


def _write_injection(config: ScanConfig, run: RunFolder, catalogue: Path, point: Point) -> None:
    stars = read_table(catalogue)
    rng = np.random.default_rng(seed_sequence(config.seed, "inject"))
    injection = injected(config, stars, [point.patch], point.streams, [point.name], rng)
    write_table(injected_file(run), as_table(injection, stars))
    about = {"seed": config.seed}
    write_text(truth_file(run), truth_text([injection.truth], true_streams(injection), about))


def _write_fiducial(run: RunFolder, patch: Patch) -> None:
    stars = read_table(run.stars(patch.id), ["source_id", "fiducial"])
    ours = np.isin(stars["source_id"], read_table(injected_file(run), ["source_id"])["source_id"])
    scored = stars[ours & np.asarray(stars["fiducial"], dtype=np.bool_)]
    write_table(fiducial_file(run), scored["source_id",])
