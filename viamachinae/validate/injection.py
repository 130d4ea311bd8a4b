"""Streams injected into a catalogue, at places and in directions uniform on the sky."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table

from viamachinae.config import GreatCircleTrack, InjectedStreams, StreamConfig
from viamachinae.errors import BadInputError
from viamachinae.simulate.observation import ASTROMETRY, Columns
from viamachinae.simulate.pixels import INJECTED_ID
from viamachinae.simulate.streams import draw_stream, joined_columns, truth_table
from viamachinae.validate.footprint import Array, Footprint, Ints


class Injection(NamedTuple):
    """Streams injected into a catalogue.

    Attributes
    ----------
    streams : list of StreamConfig
        Where they are and what they are like.
    columns : dict of str to array of shape (n,)
        What the catalogue would hold of their stars: the columns of `observation.observe`.
    truth : astropy.table.Table
        The same stars without errors, as `SimulatedSky.truth` says.
    share_observed : dict of str to float
        By stream, the share of its stars above the limit that the footprint and masks leave.
    """

    streams: list[StreamConfig]
    columns: Columns
    truth: Table
    share_observed: dict[str, float]


def draw_streams_at_random(
    options: InjectedStreams,
    names: Sequence[str],
    footprint: Footprint,
    rng: np.random.Generator,
) -> list[StreamConfig]:
    """Streams of one value of each list of the options, at random places.

    The middle is uniform over the footprint, the direction of the track and that of the proper
    motion are uniform over all angles; both components of the motion stay the same along it.

    Raises
    ------
    BadInputError
        If the masks leave no place.
    """
    drawn = []
    for name in names:
        pm, motion = float(rng.choice(options.pm_masyr)), 2 * np.pi * rng.random()
        pmra, pmdec = float(pm * np.sin(motion)), float(pm * np.cos(motion))
        ra, dec = footprint.draw_place(rng, pmra, pmdec)
        track = GreatCircleTrack(
            kind="great_circle",
            ra=ra,
            dec=dec,
            position_angle_deg=360 * rng.random(),
            pmra=pmra,
            pmdec=pmdec,
            distance_kpc=float(rng.choice(options.distance_kpc)),
        )
        drawn.append(
            StreamConfig(
                name=name,
                track=track,
                n_stars=int(rng.choice(options.n_stars)),
                length_deg=float(rng.choice(options.length_deg)),
                width_deg=float(rng.choice(options.width_deg)),
                velocity_dispersion_kms=options.velocity_dispersion_kms,
                feh=options.feh,
                age_gyr=options.age_gyr,
            )
        )
    return drawn


def inject(
    streams: Sequence[StreamConfig],
    footprint: Footprint,
    held: Ints,
    max_mag: float,
    release: str,
    rng: np.random.Generator,
) -> Injection:
    """Draw the stars of streams as a catalogue would hold them.

    Each stream gets exactly its `n_stars` stars among those that the footprint and the masks
    leave and that are measured to be brighter than the limit.

    Parameters
    ----------
    streams : sequence of StreamConfig
    footprint : Footprint
    held : int64 array
        Ids of the catalogue. New ones lie beyond all that Gaia can give, and beyond these.
    max_mag : float
        Faintest measured G, mag.
    release : str
        Whose errors are drawn.
    rng : numpy.random.Generator

    Raises
    ------
    BadInputError
        If almost no star of a stream is bright enough and left, or the release's errors are not
        published.
    """
    if release not in ASTROMETRY:
        raise BadInputError(
            f"query.release: the errors of {release} are not published, so no star can be "
            f"injected into it; it must be one of {', '.join(ASTROMETRY)}"
        )
    drawn = [draw_stream(one, max_mag, rng, footprint.holds, release) for one in streams]
    columns = joined_columns([stars.columns for stars in drawn])
    first = max(INJECTED_ID, int(held.max(initial=0)) + 1)
    columns["source_id"] = first + np.arange(len(columns["source_id"]))
    return Injection(
        list(streams),
        columns,
        truth_table(streams, drawn, columns["source_id"]),
        {one.name: stars.share_observed for one, stars in zip(streams, drawn, strict=True)},
    )


class Surface(NamedTuple):
    """How dense and how bright a stream is within one width of its track.

    Attributes
    ----------
    length_deg : float
        Its length, less what footprint and masks take away.
    stars_per_deg2 : float
    mag_per_arcsec2 : float
        Of the light in G of its injected stars alone.
    """

    length_deg: float
    stars_per_deg2: float
    mag_per_arcsec2: float


def surface(stream: StreamConfig, g_mag: Array, share_observed: float) -> Surface:
    """Density and brightness of a stream's injected stars of magnitudes `g_mag`, shape (n,)."""
    length = stream.length_deg * share_observed
    # Of a Gaussian 68.27 % lie within one sigma, a strip two sigma wide.
    per_deg2 = 0.6827 / (2 * stream.width_deg * length)
    light = float(np.sum(10 ** (-0.4 * g_mag))) * per_deg2 / 3600**2
    return Surface(length, len(g_mag) * per_deg2, float(-2.5 * np.log10(light)))
