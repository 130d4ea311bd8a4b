"""Names, types, units and gaps, each refusal with file, column and cure."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.table import MaskedColumn

from viamachinae.catalog.release import GAIA_DR3
from viamachinae.errors import BadInputError
from viamachinae.query.columns import (
    check_type,
    gaia_names,
    masked_to_nan,
    missing_column,
    unit_factor,
)

PMRA = GAIA_DR3.columns["pmra"]


@pytest.mark.parametrize(
    ("values", "expected", "dtype"),
    [
        (np.array([1.5, 2.5], ">f4"), [1.5, 2.5], np.float64),
        (np.ma.array([1.5, 2.5], mask=[False, True]), [1.5, np.nan], np.float64),
        (MaskedColumn([1.5, 2.5], mask=[True, False], unit="mas"), [np.nan, 2.5], np.float64),
        (np.array([2**60 + 1, 3], ">i8"), [2**60 + 1, 3], np.int64),
        (np.ma.array([1, 2], mask=[True, False]), [np.nan, 2.0], np.float64),
        (np.ma.array([1, 2], mask=False), [1, 2], np.int64),
        (np.array([True, False]), [True, False], np.bool_),
        (np.ma.array([True, False], mask=[False, True]), [1.0, np.nan], np.float64),
    ],
)
def test_masked_means_nan(values, expected, dtype) -> None:
    plain = masked_to_nan(values)
    assert type(plain) is np.ndarray
    assert plain.dtype == dtype
    np.testing.assert_array_equal(plain, expected)


def test_masked_to_nan_leaves_its_input_alone() -> None:
    values = np.ma.array([1.0, 2.0], mask=[False, True])
    masked_to_nan(values)
    assert values.data.tolist() == [1.0, 2.0]


def test_a_column_goes_by_gaias_name_and_its_own() -> None:
    names = gaia_names("s.fits", ["RA", "dec", "colour"], {"ra": "RA"})
    assert names == {"RA": "RA", "ra": "RA", "dec": "dec", "colour": "colour"}


def test_swapped_names_can_be_swapped_back() -> None:
    names = gaia_names("s.fits", ["ra", "dec"], {"ra": "dec", "dec": "ra"})
    assert names == {"ra": "dec", "dec": "ra"}


@pytest.mark.parametrize(
    ("held", "columns", "match"),
    [
        (["ra", "dec", "ra"], {}, r"s\.fits has 2 columns for the name 'ra'"),
        (["pm"], {"pmra": "pm", "pmdec": "pm"}, r"s\.fits has 2 columns .*'pm'.*query\.columns"),
        (["pmra", "pm_ra"], {"pmra": "pm_ra"}, r"2 columns for the name 'pmra'.*query\.columns"),
        (["pm_ra"], {"pmra": "pmra_"}, r"no column 'pmra_'.*near matches are pm_ra.*\{pmra: "),
    ],
)
def test_ambiguous_or_absent_names_are_refused(held, columns, match) -> None:
    with pytest.raises(BadInputError, match=match):
        gaia_names("s.fits", held, columns)


def test_a_missing_column_tells_near_matches_or_what_is_there() -> None:
    near = str(missing_column("s.fits", "pmra", ["ra", "PMRA", "label"]))
    assert "s.fits has no column 'pmra'" in near
    assert "near matches are PMRA" in near
    assert "query.columns: {pmra: <name>}" in near
    far = str(missing_column("s.fits", "pmra", [f"x{number}" for number in range(30)]))
    assert "its columns are x0, x1" in far
    assert "and 18 more" in far


@pytest.mark.parametrize("dtype", ["f4", ">f8", "i2", "u4", "?"])
def test_numbers_are_taken(dtype: str) -> None:
    check_type("s.fits", "pm", np.dtype(dtype), PMRA)


@pytest.mark.parametrize(
    ("dtype", "name", "match"),
    [
        ("U5", "pmra", r"s\.fits holds text in its column 'own'.*query\.columns: \{pmra: <name>\}"),
        ("O", "pmra", "holds text"),
        ("M8[s]", "pmra", "holds datetime64"),
        ("f8", "source_id", r"s\.fits holds float64 in its column 'own' where int64 is due"),
        ("U19", "source_id", "holds text in its column 'own' where int64"),
        ("?", "source_id", "holds bool in its column 'own' where int64"),
        ("S3", "mine", r"holds text in its column 'own'.*\{own: <name>\}"),
    ],
)
def test_mistyped_columns_are_refused(dtype: str, name: str, match: str) -> None:
    with pytest.raises(BadInputError, match=match):
        check_type("s.fits", "own", np.dtype(dtype), GAIA_DR3.columns.get(name))


def test_units_are_turned_into_gaias() -> None:
    assert unit_factor("s.fits", "pm", u.arcsec / u.yr, PMRA) == pytest.approx(1000.0)
    assert unit_factor("s.fits", "ra", u.rad, GAIA_DR3.columns["ra"]) == pytest.approx(180 / np.pi)
    assert unit_factor("s.fits", "pm", None, PMRA) == 1.0
    assert unit_factor("s.fits", "x", u.km, None) == 1.0
    unknown = u.Unit("mas.per.yr", parse_strict="silent")
    assert unit_factor("s.fits", "pm", unknown, PMRA) == 1.0


def test_a_unit_of_something_else_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"s\.fits gives its column 'pm' in km / s, .* pmra"):
        unit_factor("s.fits", "pm", u.km / u.s, PMRA)
