"""Names of stream candidates, of where they are and how they move."""

from __future__ import annotations

from collections import Counter

from viamachinae.link.hough import Floats


def candidate_names(ra: Floats, dec: Floats, pmra: Floats, pmdec: Floats) -> list[str]:
    """Names like ``VM_J0936+3612_pm-05.3-12.4``, safe as file names.

    Right ascension in hours and minutes and declination in degrees and minutes are cut off, not
    rounded, as in IAU designations; then the proper motions (pmra, pmdec), rounded to 0.1
    mas/yr. Of candidates of one name all but the best get ``_2``, ``_3`` and so on, by rank.

    Parameters
    ----------
    ra, dec, pmra, pmdec : float64 arrays of shape (n,)
        deg and mas/yr, by rank.
    """
    times: Counter[str] = Counter()
    names = []
    for where in zip(ra, dec, pmra, pmdec, strict=True):
        name = _designation(*(float(value) for value in where))
        times[name] += 1
        names.append(name if times[name] == 1 else f"{name}_{times[name]}")
    return names


def _designation(ra: float, dec: float, pmra: float, pmdec: float) -> str:
    hour, minute = divmod(int(ra % 360 * 4), 60)
    degree, arcmin = divmod(int(abs(dec) * 60), 60)
    sign = "-" if dec < 0 else "+"
    # Adding zero turns a rounded -0.0 into 0.0.
    motion = "".join(f"{round(pm, 1) + 0.0:+05.1f}" for pm in (pmra, pmdec))
    return f"VM_J{hour:02d}{minute:02d}{sign}{degree:02d}{arcmin:02d}_pm{motion}"
