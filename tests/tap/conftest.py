"""The real server, where `tests/tap/server.sh up` has started it."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator

import pyarrow as pa
import pytest

from tests.tap import rows as sky
from tests.tap.front import Front, RealTap, serving


@pytest.fixture(scope="session")
def server() -> str:
    """Root of the TAP service; tests that need it are skipped where there is none."""
    url = f"http://127.0.0.1:{os.environ.get('TAP_PORT', '8642')}/tap"
    try:
        with urllib.request.urlopen(f"{url}/availability", timeout=10) as answer:
            answer.read()
    except (urllib.error.URLError, TimeoutError) as error:
        pytest.skip(f"no TAP server at {url} ({error}); start it with tests/tap/server.sh up")
    return url


@pytest.fixture(scope="session")
def rows() -> pa.Table:
    """What the server was given."""
    return sky.rows(*sky.SKY)


@pytest.fixture
def archive(server: str) -> Iterator[Front]:
    """The server behind a front that answers as ESA's archive does."""
    with serving(RealTap(server)) as front:
        yield front
