"""Stars sent through a real SAMP hub on loopback."""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from viamachinae.errors import BadInputError
from viamachinae.inspect.samp import send_votable

samp = pytest.importorskip("pyvo.samp", reason="the extra samp is not installed")


@pytest.fixture(autouse=True)
def _no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs look for a hub in a home of their own; the user's is left alone."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SAMP_HUB", raising=False)
    monkeypatch.setattr(samp.conf, "use_internet", False)


@pytest.fixture
def hub(_no_hub: None) -> Iterator[Any]:
    server = samp.SAMPHubServer(addr="127.0.0.1", web_profile=False)
    server.start()
    yield server
    server.stop()


def test_a_table_arrives(hub: Any, tmp_path: Path) -> None:
    got: queue.Queue[dict[str, str]] = queue.Queue()

    def receive(_key: str, _sender: str, _mtype: str, params: dict[str, str], _more: Any) -> None:
        got.put(params)

    viewer = samp.SAMPIntegratedClient("a viewer", addr="127.0.0.1")
    viewer.connect(hub)
    try:
        viewer.bind_receive_notification("table.load.votable", receive)
        path = tmp_path / "members of +1.vot"
        assert send_votable(path, "VM_1") == ["a viewer"]
        params = got.get(timeout=30)
    finally:
        viewer.disconnect()
    assert params["name"] == params["table-id"] == "VM_1"
    assert params["url"].startswith("file:///")
    assert params["url"].endswith("/members%20of%20%2B1.vot")


@pytest.mark.usefixtures("hub")
def test_a_hub_without_takers_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no program at the SAMP hub takes tables"):
        send_votable(tmp_path / "members.vot", "VM_1")


def test_without_hub_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no SAMP hub runs here; start TOPCAT"):
        send_votable(tmp_path / "members.vot", "VM_1")


def test_without_pyvo_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvo.samp", None)
    with pytest.raises(BadInputError, match=r'pip install "\.\[samp\]"'):
        send_votable(tmp_path / "members.vot", "VM_1")
