"""From scores to stream candidates."""

from __future__ import annotations

from pydantic import Field, model_validator

from viamachinae.config.model import Fraction, Model, Positive, PositiveRange


class RoiConfig(Model):
    """Regions of interest: a signal region times a window of the other proper motion."""

    window_masyr: Positive = Field(6.0, description="Width of the window, mas/yr (VM1).")
    stride_masyr: Positive = Field(1.0, description="Step between windows, mas/yr (VM1).")
    n_stars: int = Field(100, ge=10, description="Stars of highest R kept (VM1).")
    max_share: Fraction = Field(
        0.5, gt=0, description="Stars kept, as a share of those in the window, at most (ours)."
    )
    min_stars: int = Field(
        20, ge=10, description="Windows of which fewer would be kept are left out (ours)."
    )

    @model_validator(mode="after")
    def _lists_can_be_long_enough(self) -> RoiConfig:
        if self.min_stars > self.n_stars:
            raise ValueError("min_stars must not exceed n_stars: no window would be searched")
        return self


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

    @model_validator(mode="after")
    def _boxes_fit(self) -> LineConfig:
        if any(side < 1 or side % 2 == 0 for side in (*self.box, self.lattice, self.core)):
            raise ValueError("box, lattice and core must be odd and positive: they have a middle")
        if self.core >= self.lattice:
            raise ValueError("core must be smaller than lattice, or no background is left")
        if self.lattice * self.box[0] > self.n_theta:
            raise ValueError(
                "lattice times box turns by more than 180 deg; make theta_cell_deg, box or lattice "
                "smaller"
            )
        return self

    @property
    def n_theta(self) -> int:
        """Cells in the angle of the normal, over 180 deg."""
        return round(180 / self.theta_cell_deg)


class ProtoclusterConfig(Model):
    """Merging of regions of interest within one patch."""

    max_pm_distance: Positive = Field(
        1.0, description="Largest sum of squared proper-motion differences over variances (VM2)."
    )
    min_sigma: float = Field(8.0, description="Smallest line significance kept (VM2).")


class ProtostreamConfig(Model):
    """Joining of protoclusters within one patch."""

    min_shared: Fraction = Field(0.4, description="Share of line stars in common (VM2).")


class ClumpConfig(Model):
    """Compact clumps that pass for lines, as clusters and dwarf galaxies do."""

    radius_deg: Positive = Field(0.75, description="Radius of a clump, deg (ours).")
    max_share: Fraction = Field(
        0.5, description="Line stars in one such disc, as a share, beyond which it is one (ours)."
    )
    veto: bool = Field(
        False, description="Regions of interest that are clumps form no protocluster (ours)."
    )


class CandidateConfig(Model):
    """Joining of protostreams across overlapping patches."""

    max_angle_deg: Positive = Field(9.0, description="Largest angle between lines (after VM2).")
    max_offset_deg: Positive = Field(1.0, description="Largest offset between lines (after VM2).")
    min_shared: Fraction = Field(0.4, description="Share of stars common in the overlap (VM2).")
    edge_margin_deg: float = Field(
        0.5, ge=0, description="A line nearer to the rim of its disc is flagged `edge` (VM3)."
    )
    dim_mag: float = Field(
        19.1, description="f_dim is the share of line stars fainter than this in G, mag (VM3)."
    )
    min_dim_share: Fraction = Field(
        0.25, description="A candidate whose f_dim does not exceed this is flagged `bright` (VM3)."
    )
    max_width_deg: Positive = Field(
        0.5,
        description="Largest standard deviation across the line with which a star's membership is "
        "reckoned (ours: half the width of the line finder's box).",
    )


class CrossmatchConfig(Model):
    """When a candidate is a known object."""

    min_radius_deg: Positive = Field(
        1.0, description="Least distance at which a star is at a known object (ours)."
    )
    max_radius_deg: Positive = Field(
        2.0, description="Greatest distance at which a star is at a known object (ours)."
    )
    sizes: Positive = Field(
        2.0, description="The same in half-light radii or widths, between these bounds (ours)."
    )
    pm_radius_masyr: Positive = Field(
        2.0, description="Greatest difference of proper motions of star and object (ours)."
    )
    min_share: Fraction = Field(
        0.5, description="Share of line stars that must be at the object (ours)."
    )
    min_share_without_pm: Fraction = Field(
        0.7, description="The same for objects without proper motions (ours)."
    )
    extension_deg: float = Field(
        20.0, ge=0, le=80, description="How far known tracks are continued at their ends (ours)."
    )

    @model_validator(mode="after")
    def _radii_in_order(self) -> CrossmatchConfig:
        if self.min_radius_deg > self.max_radius_deg:
            raise ValueError("min_radius_deg must not exceed max_radius_deg")
        return self


class RidgeConfig(Model):
    """How well the line stars' colours and magnitudes go with one old population."""

    feh: float = Field(-2.0, description="Metallicity [Fe/H] of the ridge line (ours).")
    age_gyr: Positive = Field(12.5, description="Age of the ridge line (ours).")
    distance_kpc: PositiveRange = Field(
        (3.0, 100.0), description="Range of distances tried (ours)."
    )
    colour_width: Positive = Field(
        0.04, description="Width of the ridge line in BP - RP beside photometric errors (ours)."
    )
    min_stars: int = Field(
        10, ge=2, description="Fewest stars with photometry on the line, and beside it (ours)."
    )


class OrbitConfig(Model):
    """Whether one orbit goes through the line stars (needs gala, extra `orbits`)."""

    n_candidates: int = Field(
        0, ge=0, description="Candidates, best first, that an orbit is fitted to (ours)."
    )
    distance_kpc: PositiveRange = Field(
        (3.0, 60.0), description="Range of the distance in the middle, kpc (ours)."
    )


class LinkConfig(Model):
    """From scores to stream candidates."""

    roi: RoiConfig = RoiConfig()
    lines: LineConfig = LineConfig()
    protoclusters: ProtoclusterConfig = ProtoclusterConfig()
    protostreams: ProtostreamConfig = ProtostreamConfig()
    clumps: ClumpConfig = ClumpConfig()
    candidates: CandidateConfig = CandidateConfig()
    crossmatch: CrossmatchConfig = CrossmatchConfig()
    ridge: RidgeConfig = RidgeConfig()
    orbits: OrbitConfig = OrbitConfig()
