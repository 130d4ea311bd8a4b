"""What was injected, as one table that stands by itself: stars, and the streams in its header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io.ascii import InconsistentTableError
from astropy.table import Table, vstack
from numpy.typing import NDArray

from viamachinae.config import GreatCircleTrack, StreamConfig
from viamachinae.errors import BadInputError
from viamachinae.inspect.formats import ecsv
from viamachinae.simulate.tracks import great_circle
from viamachinae.validate.injection import Injection, surface

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class TrueStream:
    """An injected stream and its stars.

    Attributes
    ----------
    stream : StreamConfig
    source_id : int64 array of shape (n,)
        Its stars.
    sky : str
        The sky of a challenge that holds it, else empty.
    length_deg, stars_per_deg2, mag_per_arcsec2 : float
        Of what can be observed of it; see `viamachinae.validate.injection.Surface`.
    """

    stream: StreamConfig
    source_id: Ints
    sky: str
    length_deg: float
    stars_per_deg2: float
    mag_per_arcsec2: float

    def place(self, ra: Array, dec: Array) -> tuple[Array, Array]:
        """Angles along and across (left of) its great circle of points, all deg, shape (n,)."""
        track = self.stream.track
        if not isinstance(track, GreatCircleTrack):
            raise TypeError(f"{self.stream.name} does not lie on a great circle")
        middle = SkyCoord(track.ra * u.deg, track.dec * u.deg)
        # The axis of the offset frame points along the track: a quarter turn from north.
        frame = middle.skyoffset_frame(rotation=(track.position_angle_deg - 90) * u.deg)
        stars = SkyCoord(ra * u.deg, dec * u.deg).transform_to(frame)
        return stars.lon.wrap_at(180 * u.deg).deg, stars.lat.deg

    def motion(self, ra: Array, dec: Array) -> tuple[Array, Array]:
        """Proper motion (pmra, pmdec; mas/yr) that the stream has at points in deg."""
        track = self.stream.track
        if not isinstance(track, GreatCircleTrack):
            raise TypeError(f"{self.stream.name} does not lie on a great circle")
        path = great_circle(track, self.stream.length_deg)
        _, _, _, pmra, pmdec = path.place(*self.place(ra, dec))
        return pmra, pmdec


def true_streams(injection: Injection, sky: str = "") -> list[TrueStream]:
    """The streams of an injection with their stars."""
    found = []
    for one in injection.streams:
        stars = injection.truth[np.asarray(injection.truth["stream"]) == one.name]
        g_mag = np.asarray(stars["phot_g_mean_mag"], dtype=np.float64)
        of_surface = surface(one, g_mag, injection.share_observed[one.name])
        ids = np.asarray(stars["source_id"], dtype=np.int64)
        found.append(TrueStream(one, ids, sky, *of_surface))
    return found


def truth_text(
    stars: Sequence[Table], streams: Sequence[TrueStream], about: Mapping[str, Any]
) -> str:
    """The truth as ECSV: a row a star, the streams and whatever is to be noted in the header.

    Parameters
    ----------
    stars : sequence of astropy.table.Table
        Of one layout, at least one, with or without rows.
    streams : sequence of TrueStream
    about : mapping
        Of plain values.
    """
    table = vstack(list(stars), join_type="exact", metadata_conflicts="silent")
    noted = [
        {
            "sky": one.sky,
            "length_observed_deg": one.length_deg,
            "stars_per_deg2": one.stars_per_deg2,
            "mag_per_arcsec2": one.mag_per_arcsec2,
            **one.stream.model_dump(mode="json"),
        }
        for one in streams
    ]
    table.meta = {**about, "streams": noted}
    return ecsv(table)


def read_truth(text: str, name: str) -> list[TrueStream]:
    """The injected streams that a truth of `truth_text` tells of.

    Raises
    ------
    BadInputError
        If it is none; `name` is what messages call it.
    """
    try:
        table = Table.read(text.splitlines(), format="ascii.ecsv")
        noted = table.meta["streams"]
        stream, ids = np.asarray(table["stream"]), np.asarray(table["source_id"], dtype=np.int64)
        return [_read_stream(dict(one), ids[stream == one["name"]]) for one in noted]
    except (InconsistentTableError, ValueError, LookupError, TypeError) as error:
        raise BadInputError(
            f"{name}: is no truth of injected streams ({str(error).partition(chr(10))[0]}); give "
            "the file that `viamachinae inject` or `viamachinae challenge make` wrote"
        ) from None


def _read_stream(noted: dict[str, Any], source_id: Ints) -> TrueStream:
    sky = str(noted.pop("sky"))
    of_surface = [
        float(noted.pop(name))
        for name in ("length_observed_deg", "stars_per_deg2", "mag_per_arcsec2")
    ]
    return TrueStream(StreamConfig.model_validate(noted), source_id, sky, *of_surface)
