"""The configuration of a scan: one model per stage, one union per choice of method.

Every option states in its description where its default comes from: VM1, VM2 and VM3 are the
three Via Machinae papers (arXiv:2104.12789, 2303.01529, 2509.08064), ANODE is arXiv:2001.04990;
"ours" marks a choice of this package. An unknown option is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Scan = Literal["pm_lam", "pm_phi"]
Feature = Literal["phi", "lam", "pm", "colour", "mag"]
Release = Literal["gaia_dr2", "gaia_dr3"]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    """Base of all configuration models: immutable, finite, closed to unknown options."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _default_tag(name: str, tag: str) -> BeforeValidator:
    """A section that does not name its variant means the default one."""

    def fill(given: Any) -> Any:
        return {name: tag, **given} if isinstance(given, dict) else given

    return BeforeValidator(fill)


# --- sky ------------------------------------------------------------------------------------


class Tiling(Model):
    """What every tiling has: how far stars are taken around a patch centre."""

    radius_deg: Positive = Field(15.0, description="Patch radius for training (VM1).")
    evaluation_radius_deg: Positive = Field(
        10.0, description="Patch radius for evaluation; patches overlap if these discs do (VM1)."
    )

    @model_validator(mode="after")
    def _evaluated_inside_trained(self) -> Tiling:
        if self.evaluation_radius_deg > self.radius_deg:
            raise ValueError(
                "evaluation_radius_deg must not exceed radius_deg: stars are scored only where "
                "the densities were learned"
            )
        return self


class HealpixTiling(Tiling):
    """Patch centres on a Galactic HEALPix grid, away from the disc and the Magellanic Clouds."""

    tiling: Literal["healpix"] = "healpix"
    nside: int = Field(6, ge=1, description="HEALPix nside of the centres, RING order (VM1).")
    min_abs_b_deg: float = Field(
        30.0, ge=0, le=90, description="Centres with smaller abs(b) are left out (VM1)."
    )
    lmc_radius_deg: float = Field(
        22.0, ge=0, description="Centres nearer to the LMC are left out (ours, after VM2)."
    )
    smc_radius_deg: float = Field(
        19.0, ge=0, description="Centres nearer to the SMC are left out (ours, after VM2)."
    )
    patches: list[str] = Field(
        default_factory=list, description="Ids of the patches to scan; empty means all (ours)."
    )


class CentreTiling(Tiling):
    """Patch centres given one by one."""

    tiling: Literal["centres"]
    centres: list[tuple[float, float]] = Field(
        min_length=1, description="ICRS (ra, dec) of the patch centres in deg."
    )


SkyConfig = Annotated[
    HealpixTiling | CentreTiling,
    Field(discriminator="tiling"),
    _default_tag("tiling", "healpix"),
]


# --- query ----------------------------------------------------------------------------------


class FilesQuery(Model):
    """Stars from files on disk."""

    source: Literal["files"]
    path: Path | list[Path] = Field(
        description="Parquet, FITS, ECSV, VOTable, CSV or .npy patch file, or a list of them."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Gaia's column name to the file's column name, where the two differ (ours).",
    )
    release: Release = Field(
        "gaia_dr3", description="The Gaia release that the columns follow (ours)."
    )


class GalaxyConfig(Model):
    """The smooth Milky Way of the simulator."""

    fraction: float = Field(
        1.0, gt=0, le=1, description="Share of the stars drawn; below 1 for quick runs (ours)."
    )
    max_mag: float = Field(
        20.5, ge=10, le=21, description="Faintest G drawn, in mag (ours; near Gaia's limit)."
    )


class GreatCircleTrack(Model):
    """A stream on a great circle, with proper motion linear along it."""

    kind: Literal["great_circle"]
    ra: float = Field(description="Middle of the stream, ICRS, deg.")
    dec: float = Field(ge=-90, le=90, description="Middle of the stream, ICRS, deg.")
    position_angle_deg: float = Field(
        description="Direction of the stream at its middle, east of north, deg."
    )
    pmra: float = Field(description="Proper motion in ra times cos(dec) at the middle, mas/yr.")
    pmdec: float = Field(description="Proper motion in dec at the middle, mas/yr.")
    pm_gradient: tuple[float, float] = Field(
        (0.0, 0.0),
        description="Change of proper motion along and across the stream, mas/yr per deg (ours).",
    )
    distance_kpc: Positive = Field(description="Distance at the middle, kpc.")
    distance_gradient: float = Field(
        0.0, description="Change of distance along it, kpc per deg (ours)."
    )


class OrbitTrack(Model):
    """A stream along an orbit in the MilkyWayPotential2022 of gala (extra `orbits`)."""

    kind: Literal["orbit"]
    ra: float = Field(description="Middle of the stream, ICRS, deg.")
    dec: float = Field(ge=-90, le=90, description="Middle of the stream, ICRS, deg.")
    distance_kpc: Positive = Field(description="Distance at the middle, kpc.")
    pmra: float = Field(description="Proper motion in ra times cos(dec) at the middle, mas/yr.")
    pmdec: float = Field(description="Proper motion in dec at the middle, mas/yr.")
    radial_velocity_kms: float = Field(description="Radial velocity at the middle, km/s.")


class Gap(Model):
    """A dip in the density along a stream, Gaussian in phi1."""

    phi1_deg: float = Field(description="Middle of the gap along the stream, deg.")
    sigma_deg: Positive = Field(description="Gaussian width of the gap, deg.")
    depth: Fraction = Field(1.0, description="Share of the stars missing at the middle (ours).")


class StreamConfig(Model):
    """One injected stream."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.+-]+$", description="Name in the truth table.")
    track: Annotated[GreatCircleTrack | OrbitTrack, Field(discriminator="kind")]
    n_stars: int = Field(ge=1, description="Number of stars above the magnitude limit.")
    length_deg: float = Field(gt=0, le=180, description="Length on the sky, deg.")
    width_deg: Positive = Field(description="Gaussian sigma across the stream, deg.")
    velocity_dispersion_kms: float = Field(
        2.0, ge=0, description="Dispersion in each tangential direction, km/s (ours; cold stream)."
    )
    feh: float = Field(-2.0, ge=-2.2, le=0.0, description="Metallicity [Fe/H] (ours; old halo).")
    age_gyr: float = Field(12.0, ge=10.0, le=13.0, description="Age in Gyr (ours; old halo).")
    gaps: list[Gap] = Field(default_factory=list, description="Gaps along the stream (ours).")


class SimulateQuery(Model):
    """Stars of a simulated sky."""

    source: Literal["simulate"] = "simulate"
    galaxy: GalaxyConfig = GalaxyConfig()
    streams: list[StreamConfig] = Field(
        default_factory=list, description="Injected streams (ours)."
    )
    release: Literal["gaia_dr3"] = Field(
        "gaia_dr3", description="The release whose errors are drawn (ours)."
    )


QueryConfig = Annotated[
    FilesQuery | SimulateQuery,
    Field(discriminator="source"),
    _default_tag("source", "simulate"),
]


# --- preprocess -----------------------------------------------------------------------------


class FiducialCuts(Model):
    """Which stars are evaluated; a cut set to null is off."""

    max_mag: float | None = Field(20.2, description="Faintest G, mag (VM1).")
    min_colour: float | None = Field(0.5, description="Bluest bp_rp, mag (VM1).")
    max_colour: float | None = Field(1.0, description="Reddest bp_rp, mag (VM1).")
    min_abs_pm: float | None = Field(
        2.0,
        ge=0,
        description="At least one proper-motion component exceeds this, mas/yr (VM1).",
    )
    min_height_kpc: float | None = Field(
        2.0,
        ge=0,
        description="Stars with good parallaxes nearer to the plane than this are left out (VM2).",
    )
    max_parallax_fraction: Positive = Field(
        0.2, description="A parallax is good below this ratio of error to value (VM2)."
    )
    max_ruwe: float | None = Field(1.4, gt=0, description="Largest RUWE, DR3 on (VM2).")


class PreprocessConfig(Model):
    """From catalogue columns to the features of the flows."""

    features: list[Feature] = Field(
        ["phi", "lam", "pm", "colour", "mag"],
        min_length=2,
        description="Features of the densities; pm is the proper motion not scanned (VM1).",
    )
    colour_column: str = Field("bp_rp", description="Column that is the colour (VM1).")
    mag_column: str = Field("phot_g_mean_mag", description="Column that is the magnitude (VM1).")
    fiducial: FiducialCuts = FiducialCuts()

    @model_validator(mode="after")
    def _features_once_with_both_positions(self) -> PreprocessConfig:
        if len(set(self.features)) != len(self.features):
            raise ValueError("features holds a name twice; name each feature once")
        return self


class RegionsConfig(Model):
    """The signal regions that slide over a patch."""

    scans: list[Scan] = Field(
        ["pm_lam", "pm_phi"],
        min_length=1,
        description="Proper motions that are scanned (VM1 one, VM2 both).",
    )
    width_masyr: Positive = Field(6.0, description="Width of a signal region, mas/yr (VM1).")
    stride_masyr: Positive = Field(1.0, description="Step between lower edges, mas/yr (VM1).")
    range_masyr: tuple[float, float] | None = Field(
        None, description="Only regions within this range of proper motion, mas/yr (ours)."
    )
    min_stars: int = Field(20_000, ge=1, description="Fewest stars in a signal region (ours).")
    max_stars: int = Field(1_000_000, ge=1, description="Most stars in a signal region (ours).")


# --- train ----------------------------------------------------------------------------------


class MafConfig(Model):
    """Conditional affine masked autoregressive flow (arXiv:1705.07057)."""

    family: Literal["maf"] = "maf"
    blocks: int = Field(15, ge=1, description="Number of MADE blocks (ANODE).")
    hidden: list[int] = Field([128], min_length=1, description="Hidden units by layer (ANODE).")
    batch_norm: bool = Field(True, description="Batch norm between the blocks (ANODE).")


class RqsConfig(Model):
    """Autoregressive flow of monotonic rational-quadratic splines (arXiv:1906.04032)."""

    family: Literal["rqs"]
    blocks: int = Field(3, ge=1, description="Number of blocks (ours).")
    hidden: list[int] = Field(
        [64, 64], min_length=1, description="Hidden units of each block by layer (ours)."
    )
    bins: int = Field(8, ge=2, description="Bins of a spline (ours; arXiv:1906.04032 uses 8).")
    bound: Positive = Field(
        5.0,
        description="A spline bends within this many standard deviations and is the identity "
        "outside (ours; arXiv:1906.04032 uses 3).",
    )
    affine_first: bool = Field(
        True, description="An affine map, by the same network, before each spline (ours)."
    )


FlowConfig = Annotated[
    MafConfig | RqsConfig,
    Field(discriminator="family"),
    _default_tag("family", "maf"),
]


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    "fast": {
        "flow": {"family": "rqs", "blocks": 2, "hidden": [64, 64]},
        "learning_rate": 6e-3,
        "schedule": "cosine",
        "batch_size": 512,
        "epochs": 12,
        "average_last": 1,
    },
    "demo": {
        "flow": {"blocks": 6, "hidden": [48], "batch_norm": False},
        "learning_rate": 5e-3,
        "batch_size": 256,
        "epochs": 12,
        "average_last": 6,
    },
}


class TrainConfig(Model):
    """Fitting all flows of a patch and scan as one stack."""

    preset: Literal["paper", "fast", "demo"] = Field(
        "paper",
        description="Fills the options not given: paper (ANODE), fast (splines, ours) or demo "
        "(small affine flows, ours).",
    )
    flow: FlowConfig = MafConfig()
    learning_rate: Positive = Field(1e-4, description="Adam's step (ANODE).")
    schedule: Literal["constant", "cosine"] = Field(
        "constant",
        description="The learning rate stays (ANODE) or falls to zero along half a cosine.",
    )
    weight_decay: float = Field(1e-6, ge=0, description="Adam's weight decay (ANODE).")
    max_gradient_norm: Positive = Field(
        1.0, description="A flow's gradient is shortened to this length (ours)."
    )
    batch_size: int = Field(256, ge=1, description="Stars a step and flow (ANODE).")
    epochs: int = Field(50, ge=1, description="Passes over each flow's stars (ANODE).")
    average_last: int = Field(
        10, ge=1, description="Densities of this many last epochs are averaged (ANODE)."
    )
    held_out: float = Field(
        0.1, gt=0, lt=1, description="Share of stars kept for the held-out likelihood (ours)."
    )
    stack_size: int = Field(
        64, ge=1, description="Flows trained at once; bounds memory, not results (ours)."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes CUDA where there is a device (ours)."
    )
    engine: Literal["auto", "torch", "native"] = Field(
        "auto",
        description="auto takes the compiled kernel where it was built and can do the work: "
        "on the CPU; results agree to rounding (ours).",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        preset = PRESETS.get(given.get("preset", "paper"), {})
        merged = {**preset, **given}
        if isinstance(given.get("flow"), dict):
            flow = preset.get("flow", {})
            # The preset says nothing about a family other than its own.
            same = given["flow"].get("family", flow.get("family", "maf")) == flow.get(
                "family", "maf"
            )
            merged["flow"] = {**(flow if same else {}), **given["flow"]}
        return merged

    @model_validator(mode="after")
    def _averages_epochs_that_exist(self) -> TrainConfig:
        if self.average_last > self.epochs:
            raise ValueError("average_last must not exceed epochs")
        return self


# --- score, link, inspect -------------------------------------------------------------------


class AnodeConfig(Model):
    """Score R = p_SR / p_CR from two density estimates (arXiv:2001.04990)."""

    method: Literal["anode"] = "anode"


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


class InspectConfig(Model):
    """The report."""

    max_figures: int = Field(
        50, ge=0, description="Candidates, best first, that get figures in index.html (ours)."
    )


class ScanConfig(Model):
    """Everything that decides the result of a scan."""

    name: str = Field("scan", pattern=r"^[A-Za-z0-9_.+-]+$", description="Name of the run (ours).")
    seed: int = Field(0, ge=0, description="The one seed of all randomness (ours).")
    sky: SkyConfig = HealpixTiling()
    query: QueryConfig = SimulateQuery()
    preprocess: PreprocessConfig = PreprocessConfig()
    regions: RegionsConfig = RegionsConfig()
    train: TrainConfig = TrainConfig()
    score: AnodeConfig = AnodeConfig()
    link: LinkConfig = LinkConfig()
    inspect: InspectConfig = InspectConfig()
