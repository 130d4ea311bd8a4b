"""Taking the stars of a patch, and bringing them into its frame."""

from __future__ import annotations

from viamachinae.pipeline.sources import open_source
from viamachinae.pipeline.stage import Advance, Ending, Task, run_task
from viamachinae.pipeline.stages import PREPROCESS
from viamachinae.pipeline.tasks.work import Work
from viamachinae.preprocess.patch import needed_columns, preprocess
from viamachinae.store.files import write_json, write_table
from viamachinae.store.records import Record


def preprocess_stars(work: Work, fingerprint: str) -> Record:
    """Write the stars of the patch and their cut-flow, unless that is done.

    Parameters
    ----------
    work : Work
    fingerprint : str
        What `input_fingerprint` gives.

    Raises
    ------
    BadInputError
        If the source cannot be used for any patch.
    """
    run, config, where = work.run, work.config, work.patch
    stars_path, cutflow_path = run.stars(where.id), run.cutflow(where.id)

    def do(_: Advance) -> Ending:
        source = open_source(config)
        columns = needed_columns(config.preprocess, source.columns(), source.name)
        taken = source.stars(where.ra, where.dec, where.radius_deg, columns)
        stars, cutflow = preprocess(taken, where, config.preprocess, config.query.release)
        write_json(cutflow_path, cutflow.as_dict())
        if not len(stars):
            return "no_work", f"{source.name} holds no usable star within the patch"
        write_table(stars_path, stars)
        return "done", ""

    outer = {"source": fingerprint, "patch": where.id}
    return run_task(
        Task(PREPROCESS, run, config, [], [stars_path, cutflow_path], do, where.id, outer=outer),
        work.watch,
    )
