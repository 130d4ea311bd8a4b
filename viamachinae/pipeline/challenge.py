"""Blind challenges: skies with and without streams, lists of candidates, and their grades.

A challenge is a folder: ``challenge.json`` (the skies with their hashes, what counts as found, and
the SHA-256 of the truth), and for each sky its stars and a configuration that scans them. The
truth is a file apart. The stars of all skies are numbered anew, in an order drawn at random, so
that an id says nothing but which sky it belongs to.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, vstack

from viamachinae.config import (
    FilesQuery,
    FoundConfig,
    ScanConfig,
    ValidationConfig,
)
from viamachinae.errors import BadInputError
from viamachinae.options import to_yaml
from viamachinae.pipeline.candidate_lists import PLACED, Array, Ints, read_list
from viamachinae.pipeline.injection import as_table, injected, stars_of
from viamachinae.pipeline.sources import open_source
from viamachinae.score.seeds import seed_sequence
from viamachinae.sky import Patch, tile
from viamachinae.store.files import read_json, read_table, write_json, write_table, write_text
from viamachinae.validate.challenge import Grade, grade
from viamachinae.validate.injection import Injection
from viamachinae.validate.recovery import CandidateStars
from viamachinae.validate.truth import TrueStream, read_truth, true_streams, truth_text

MANIFEST = "challenge.json"
# The number of a star is that of its sky times this, and a running number.
ID_FACTOR = 10**9


def make(config: ScanConfig, out: Path, truth: Path, seed: int | None = None) -> None:
    """Write the skies of a challenge, and its truth apart.

    Each sky is a patch of the tiling, in turn. A simulated sky is drawn anew for each; skies of
    real stars differ in what is injected alone.

    Parameters
    ----------
    config : ScanConfig
        The source, the tiling, and in `validation` the streams and the challenge.
    out : Path
        Folder of the challenge.
    truth : Path
        ECSV file, not in that folder.
    seed : int, optional
        Decides all, and gives the truth away; by default a secret one is drawn. It stands in
        the truth.

    Raises
    ------
    BadInputError
        If the truth is to stand in the folder, or a stream cannot be injected.
    """
    if out.resolve() in truth.resolve().parents or truth.suffix != ".ecsv":
        raise BadInputError(f"{truth}: must be an .ecsv file outside {out}, or nothing is blind")
    seed = secrets.randbits(32) if seed is None else seed
    options, patches = config.validation, tile(config.sky)
    rng = np.random.default_rng(seed_sequence(seed, "challenge"))
    n_skies = options.challenge.n_skies
    empty = rng.permutation(n_skies) < round(options.challenge.empty_share * n_skies)
    tables, streams, skies = [], list[TrueStream](), []
    for number, is_empty in enumerate(empty, start=1):
        name, patch = f"sky-{number:03d}", patches[(number - 1) % len(patches)]
        one = config.model_copy(
            update={"seed": int(seed_sequence(seed, name).generate_state(1)[0])}
        )
        names = [] if is_empty else [f"{name}-stream-{i + 1}" for i in range(options.n_streams)]
        stars, injection = _sky(one, patch, names, number)
        path = out / f"{name}.parquet"
        write_table(path, stars)
        write_text(out / f"{name}.yaml", to_yaml(_scan_of(config, name, patch, path)))
        tables.append(injection.truth)
        streams += true_streams(injection, name)
        skies.append({"sky": name, "stars": path.name, "sha256": _sha256(path)})
    write_text(truth, truth_text(tables, streams, {"seed": seed}))
    found = options.found.model_dump(mode="json")
    write_json(out / MANIFEST, {"skies": skies, "found": found, "truth_sha256": _sha256(truth)})


def _sky(
    config: ScanConfig, patch: Patch, names: Sequence[str], number: int
) -> tuple[Table, Injection]:
    """The stars of a sky, numbered anew, and what was injected, under the same numbers."""
    stars = stars_of(config, open_source(config), [patch])
    rng = np.random.default_rng(seed_sequence(config.seed, "inject"))
    injection = injected(config, stars, [patch], config.validation.streams, names, rng)
    every = vstack([stars, as_table(injection, stars)], join_type="exact")
    new = number * ID_FACTOR + rng.permutation(len(every))
    truth = injection.truth.copy()
    truth["source_id"] = new[len(stars) :]
    every["source_id"] = new
    every.sort("source_id")
    return every, injection._replace(truth=truth)


def _scan_of(config: ScanConfig, name: str, patch: Patch, path: Path) -> ScanConfig:
    """What scans one sky; it tells nothing of the streams."""
    sky = config.sky.around(patch.ra, patch.dec)
    query = FilesQuery(source="files", path=path, release=config.query.release)
    baselines = config.validation.baselines
    changes = {"name": name, "seed": 0, "sky": sky, "query": query}
    return config.model_copy(
        update={**changes, "validation": ValidationConfig(baselines=baselines)}
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class Challenge:
    """A challenge as its folder tells of it.

    Attributes
    ----------
    folder : Path
    skies : list of str
        Their names.
    found : FoundConfig
    truth_sha256 : str
    """

    folder: Path
    skies: list[str]
    found: FoundConfig
    truth_sha256: str

    def places(self, ids: Ints) -> Array:
        """Where stars are and how they move, as `viamachinae.pipeline.candidate_lists.Places`.

        Raises
        ------
        BadInputError
            If a star is in no sky.
        """
        found = np.full((len(PLACED), len(ids)), np.nan)
        for number in np.unique(ids // ID_FACTOR):
            if not 1 <= number <= len(self.skies):
                raise BadInputError(f"star {ids[ids // ID_FACTOR == number][0]} is in no sky")
            here = np.flatnonzero(ids // ID_FACTOR == number)
            stars = read_table(self.stars(self.skies[number - 1]), ["source_id", *PLACED])
            row = np.searchsorted(stars["source_id"], ids[here])
            row = np.minimum(row, len(stars) - 1)
            if np.any(stars["source_id"][row] != ids[here]):
                raise BadInputError(f"{self.skies[number - 1]}: lacks a star of the list")
            found[:, here] = [np.asarray(stars[name])[row] for name in PLACED]
        return found

    def stars(self, sky: str) -> Path:
        """File of the stars of a sky."""
        return self.folder / f"{sky}.parquet"


def open_challenge(folder: Path) -> Challenge:
    """Read a challenge and check its skies against their hashes.

    Raises
    ------
    BadInputError
        If it is none, or a sky is not what it was.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = read_json(path)
        skies = [str(one["sky"]) for one in manifest["skies"]]
        found = FoundConfig.model_validate(manifest["found"])
        challenge = Challenge(folder, skies, found, str(manifest["truth_sha256"]))
        hashes = [one["sha256"] for one in manifest["skies"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{path}: tells of no challenge ({type(error).__name__}); give the folder that "
            "`viamachinae challenge make` wrote"
        ) from None
    for sky, digest in zip(skies, hashes, strict=True):
        if not challenge.stars(sky).is_file() or _sha256(challenge.stars(sky)) != digest:
            raise BadInputError(
                f"{challenge.stars(sky)}: is missing or not what {MANIFEST} says; copy it again"
            )
    return challenge


def score(folder: Path, truth: Path, lists: Sequence[Path]) -> Grade:
    """Grade lists of candidates, taken together.

    Parameters
    ----------
    folder, truth : Path
        The challenge and its truth.
    lists : sequence of Path
        Run folders, or CSV files; see `viamachinae.pipeline.candidate_lists.read_list`.

    Raises
    ------
    BadInputError
        If the truth is not the one whose hash was published, or a list cannot be read or names
        a star of no sky.
    """
    challenge = open_challenge(folder)
    if not truth.is_file() or _sha256(truth) != challenge.truth_sha256:
        raise BadInputError(
            f"{truth}: is missing or not the truth whose SHA-256 stands in {folder / MANIFEST}; "
            "a truth that was changed grades nothing"
        )
    streams = read_truth(truth.read_text(encoding="utf-8"), str(truth))
    by_sky: dict[str, list[CandidateStars]] = {sky: [] for sky in challenge.skies}
    for path in lists:
        for candidate in read_list(path, challenge.places):
            by_sky[_sky_of(challenge, candidate, path)].append(candidate)
    return grade(streams, challenge.skies, by_sky, challenge.found)


def _sky_of(challenge: Challenge, candidate: CandidateStars, path: Path) -> str:
    number = np.unique(candidate.source_id // ID_FACTOR)
    if len(number) != 1 or not 1 <= number[0] <= len(challenge.skies):
        raise BadInputError(
            f"{path}: the stars of candidate {candidate.name} are not all in one sky of "
            f"{challenge.folder}; list candidates of each sky apart"
        )
    return challenge.skies[int(number[0]) - 1]
