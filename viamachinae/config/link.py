"""From scores to stream candidates."""

from __future__ import annotations

from pydantic import Field

from viamachinae.config.model import Fraction, Model, Positive


class RoiConfig(Model):
    """Regions of interest: a signal region times a window of the other proper motion."""

    window_masyr: Positive = Field(6.0, description="Width of the window, mas/yr (VM1).")
    stride_masyr: Positive = Field(1.0, description="Step between windows, mas/yr (VM1).")
    n_stars: int = Field(100, ge=10, description="Stars of highest R kept (VM1).")


class LineConfig(Model):
    """The Hough line finder, after VM2."""

    theta_cell_deg: Positive = Field(
        1.8, description="Cell size in the angle of the normal, deg (VM2)."
    )
    r_cell_deg: Positive = Field(
        0.2, description="Cell size in the offset from the centre, deg (VM2)."
    )
    box: tuple[int, int] = Field(
        (3, 5), description="Box of cells in which a star counts once (after VM2; ours)."
    )
    lattice: int = Field(
        7, ge=3, description="Boxes on a side of the background lattice, odd (ours)."
    )
    core: int = Field(3, ge=1, description="Boxes on a side left out around the line, odd (ours).")


class ProtoclusterConfig(Model):
    """Merging of regions of interest within one patch."""

    max_pm_distance: Positive = Field(
        1.0, description="Largest sum of squared proper-motion differences over variances (VM2)."
    )
    min_sigma: float = Field(8.0, description="Smallest line significance kept (VM2).")


class ProtostreamConfig(Model):
    """Joining of protoclusters within one patch."""

    min_shared: Fraction = Field(0.4, description="Share of line stars in common (VM2).")


class CandidateConfig(Model):
    """Joining of protostreams across overlapping patches."""

    max_angle_deg: Positive = Field(9.0, description="Largest angle between lines (after VM2).")
    max_offset_deg: Positive = Field(1.0, description="Largest offset between lines (after VM2).")
    min_shared: Fraction = Field(0.4, description="Share of stars common in the overlap (VM2).")


class LinkConfig(Model):
    """From scores to stream candidates."""

    roi: RoiConfig = RoiConfig()
    lines: LineConfig = LineConfig()
    protoclusters: ProtoclusterConfig = ProtoclusterConfig()
    protostreams: ProtostreamConfig = ProtostreamConfig()
    candidates: CandidateConfig = CandidateConfig()
