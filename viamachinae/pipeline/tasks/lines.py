"""Finding lines among the stars with the highest scores, and protoclusters of them."""

from __future__ import annotations

from viamachinae.link.consistency import scores_of
from viamachinae.link.hough import hough_plane
from viamachinae.link.protoclusters import find_protoclusters
from viamachinae.link.roi import regions_of_interest
from viamachinae.link.unsearched import unsearched
from viamachinae.pipeline.stage import Advance, Ending, Task, run_task
from viamachinae.pipeline.stages import LINES, single_trainings
from viamachinae.pipeline.tasks.work import Work
from viamachinae.store.files import read_arrow, read_table, write_table
from viamachinae.store.records import Record


def lines(work: Work, prepared: Record, scored: list[Record]) -> Record:
    """Find lines and protoclusters in all scans together, and in each training alone.

    Parameters
    ----------
    work : Work
    prepared : Record
        Of the stars.
    scored : list of Record
        One a scan; those that did not end well are left out.
    """
    run, config, where = work.run, work.config, work.patch
    usable = [record for record in scored if record.outcome in ("done", "partial")]
    numbers: list[int | None] = [None, *single_trainings(config)]

    def do(advance: Advance) -> Ending:
        names = ["source_id", "phi", "lam", "pm_phi", "pm_lam"]
        stars = read_table(run.stars(where.id), names)
        scores = {
            scan: read_arrow(run.scores(where.id, scan))
            for scan in config.regions.scans
            if any(record.scan == scan for record in usable)
        }
        plane = hough_plane(config.link.lines, where.evaluation_radius_deg)
        for done, number in enumerate(numbers):
            own = {scan: scores_of(table, number) for scan, table in scores.items()}
            rois = regions_of_interest(stars, own, config.link, plane)
            lines_path, protoclusters_path = places[done]
            write_table(lines_path, rois.lines)
            write_table(protoclusters_path, find_protoclusters(rois, plane, config.link))
            advance(done + 1, len(numbers))
            if number is None:
                left_out, n_scored = unsearched(stars, own, rois.lines, config.link.roi)
        broken = [r for r in scored if r.outcome not in ("done", "no_work")]
        if broken:
            return "partial", broken[0].reason
        if not len(left_out):
            return "done", ""
        return "done", (
            f"{len(left_out)} of {n_scored} scored stars lie only in windows too poor for a list"
        )

    upstream = [prepared, *scored] if usable else scored
    places = [(run.lines(where.id, n), run.protoclusters(where.id, n)) for n in numbers]
    outputs = [path for pair in places for path in pair]
    return run_task(Task(LINES, run, config, upstream, outputs, do, where.id), work.watch)
