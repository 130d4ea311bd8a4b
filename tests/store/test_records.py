from __future__ import annotations

from pathlib import Path

import pytest

from viamachinae.store.files import file_hash
from viamachinae.store.records import (
    Outcome,
    Record,
    code_hash,
    provenance,
    read_record,
    worst,
    write_record,
)


def record(root: Path, outcome: Outcome = "done") -> Record:
    output = root / "out.txt"
    output.write_text("result")
    return Record(
        "train", "p", "pm_phi", outcome, "", 1.0, "key", {"a": "1"}, {"out.txt": file_hash(output)}
    )


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "records" / "train.json"
    write_record(path, record(tmp_path))
    assert read_record(path) == record(tmp_path)


def test_done_means_same_key_inputs_and_outputs(tmp_path: Path) -> None:
    done = record(tmp_path)
    assert done.is_current(tmp_path, "key", {"a": "1"})
    assert not done.is_current(tmp_path, "other", {"a": "1"})
    assert not done.is_current(tmp_path, "key", {"a": "2"})
    (tmp_path / "out.txt").write_text("resulT")
    assert not done.is_current(tmp_path, "key", {"a": "1"})
    (tmp_path / "out.txt").unlink()
    assert not done.is_current(tmp_path, "key", {"a": "1"})


@pytest.mark.parametrize(
    ("outcome", "settled"),
    [("partial", True), ("unprocessable", True), ("failed", False), ("upstream_failed", False)],
)
def test_only_failures_are_tried_again(tmp_path: Path, outcome: Outcome, settled: bool) -> None:
    assert record(tmp_path, outcome).is_current(tmp_path, "key", {"a": "1"}) is settled


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"stage": "train"}', b"null", b"\xff"])
def test_a_broken_record_is_no_record(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "train.json"
    path.write_bytes(content)
    assert read_record(path) is None
    assert read_record(tmp_path / "absent.json") is None


def test_worst() -> None:
    assert worst(["done", "done"]) == "done"
    assert worst(["done", "no_work"]) == "done"
    assert worst(["no_work", "no_work"]) == "no_work"
    assert worst(["done", "partial", "no_work"]) == "partial"
    assert worst(["done", "failed", "upstream_failed"]) == "failed"
    assert worst([]) == "no_work"


def test_code_hash_differs_by_room() -> None:
    assert code_hash(("sky",)) != code_hash(("config",))
    assert code_hash(("store", "sky")) == code_hash(("store", "sky"))


def test_provenance_names_versions_and_machine() -> None:
    assert {"viamachinae", "torch", "safetensors", "python", "host"} <= set(provenance())
