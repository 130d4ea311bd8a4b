"""The pages in a real browser: no error in its console, and nothing asked of any network."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from html import unescape
from pathlib import Path

import pytest
from astropy.table import Table

from viamachinae.pipeline.serve import server
from viamachinae.pipeline.vetting import vet
from viamachinae.store.run import RunFolder

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="chromium is not installed"),
    pytest.mark.slow,
]

NOBODY = "not an origin"

# Sorts by the number of stars, filters, and tells what the table shows in its own title.
CLICK = """
<script>
document.querySelector('th[data-name="n_stars"] button').click();
const rows = [...document.querySelectorAll('#list tbody tr')];
const sorted = rows.map((row) => row.cells[1].textContent);
const words = document.querySelector('#filters [name="words"]');
words.value = 'no such candidate';
words.dispatchEvent(new Event('input', { bubbles: true }));
document.title = JSON.stringify([sorted, document.getElementById('shown').textContent]);
</script>
"""


def browse(address: str, tmp_path: Path) -> tuple[str, list[str], list[str]]:
    """The page after its scripts ran, what the console said, and the addresses it asked for.

    What the browser asks for by itself has no initiator.
    """
    log = tmp_path / "net.json"
    ended = subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--log-net-log={log}",
            "--virtual-time-budget=20000",
            "--dump-dom",
            address,
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    console = [line for line in ended.stderr.splitlines() if "CONSOLE" in line]
    text = log.read_text()
    events = json.loads(text if text.rstrip().endswith("}") else text.rstrip().rstrip(",") + "]}")
    asks = [event["params"] for event in events["events"] if "url" in event.get("params", {})]
    asked = {ask["url"] for ask in asks if ask.get("initiator", NOBODY) != NOBODY}
    return ended.stdout, console, sorted(url for url in asked if url.startswith(("http", "ws")))


def test_pages_run_without_error_and_network(drawn: Path, tmp_path: Path) -> None:
    first = str(Table.read(drawn / "candidates.ecsv")["candidate"][0])
    for page in (drawn / "index.html", drawn / "candidates" / first / "index.html"):
        text, console, asked = browse(page.as_uri(), tmp_path)
        assert first in text
        assert console == []
        assert asked == []


def test_the_table_sorts_and_filters(drawn: Path, tmp_path: Path) -> None:
    candidates = Table.read(drawn / "candidates.ecsv")
    page = tmp_path / "index.html"
    text = (drawn / "index.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", f"{CLICK}</body>"), encoding="utf-8")
    shown, console, _ = browse(page.as_uri(), tmp_path)
    assert console == []
    title = unescape(shown.partition("<title>")[2].partition("</title>")[0])
    names, count = json.loads(title)
    assert names == list(candidates["candidate"][candidates.argsort("n_stars", kind="stable")])
    assert count == f"0 of {len(candidates)} shown"


def test_a_served_dossier_shows_the_verdict(drawn: Path, tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(drawn, tmp_path / "run")))
    first = str(Table.read(run.candidates)["candidate"][0])
    vet(run, first, "doubtful", "set later than the page", who="tester")
    with server(run.root) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        here = f"http://127.0.0.1:{pages.server_address[1]}/"
        text, console, asked = browse(f"{here}candidates/{first}/index.html", tmp_path)
        pages.shutdown()
        thread.join()
    assert "doubtful: set later than the page (tester" in text
    assert console == []
    # That this one is seen shows that others would be.
    assert asked == [f"{here}vetting.json"]
