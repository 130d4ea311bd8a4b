"""The notebooks run from the first cell to the last, and are stored without outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import viamachinae

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "workflows" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


def _replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The first scan, executed in a folder and a home of its own."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    for name in ("HOME", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # The kernel is a process, and finds this package also where it is not installed.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = ROOT / "workflows" / "notebooks" / "first_scan.ipynb"
    text = path.read_text(encoding="utf-8")
    # A dossier takes as long as all else of the scan, and has tests of its own.
    content = nbformat.reads(
        _replaced(text, '"max_figures\\": 1', '"max_figures\\": 0'), as_version=4
    )
    resources = {"metadata": {"path": str(tmp_path)}}
    return nbclient.NotebookClient(content, timeout=300, resources=resources).execute()


def test_first_scan_runs_and_finds_the_stream(notebook: Any, tmp_path: Path) -> None:
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    said = "".join(out["text"] for out in outputs if out.get("name") == "stderr")
    assert "Warning" not in said, said
    pictures = [out for out in outputs if "image/png" in out.get("data", {})]
    assert len(pictures) == 3
    run, own = (viamachinae.open(tmp_path / name) for name in ("first_scan", "own_scan"))
    assert list(run) == list(own), "the same stars from a file give the same candidates"
    members = run.members(next(iter(run)))
    true = np.isin(members["source_id"], run.truth()["source_id"])
    assert true[members["on_line"]].mean() > 0.5
