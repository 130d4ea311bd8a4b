"""Columns of members that come from patches and from the catalogue."""

from __future__ import annotations

import pytest
from astropy.table import Table

from viamachinae.config import ScanConfig
from viamachinae.errors import UnprocessableError
from viamachinae.pipeline import member_columns
from viamachinae.pipeline.member_columns import MemberColumns
from viamachinae.query.source import Source
from viamachinae.sky import tile


def test_a_damaged_catalogue_costs_the_members_their_astrometry_alone(
    small: ScanConfig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_: ScanConfig) -> Source:
        raise UnprocessableError("Npix=1.parquet: truncated or damaged")

    monkeypatch.setattr(member_columns, "open_source", damaged)
    members = Table({"source_id": [1]})
    MemberColumns(small, members)._add_astrometry(tile(small.sky)[0])
    assert members.colnames == ["source_id", "colour", "mag"]
    assert "neither parallaxes nor errors: Npix=1.parquet" in caplog.text
