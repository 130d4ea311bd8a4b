"""The floors of the house: what stands higher may import what stands lower, never the reverse."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "viamachinae"

FLOORS = {
    "errors": 0,
    "config": 1,
    "disk": 1,
    "options": 1,
    "dust": 1,
    "sky": 1,
    "flows": 1,
    "catalog": 1,
    "bench": 2,
    "query": 2,
    "preprocess": 2,
    "score": 2,
    "inspect": 2,
    "store": 2,
    "link": 3,
    "simulate": 3,
    "validate": 4,
    "pipeline": 4,
    "cli": 5,
}
# config is read by sky and dust and documented by options, on the same floor; the tiling leaves
# out dusty patches, and catalog uses sky's geometry; pipeline joins validate to the run folder.
BESIDE = {
    ("options", "config"),
    ("sky", "config"),
    ("dust", "config"),
    ("sky", "dust"),
    ("catalog", "sky"),
    ("pipeline", "validate"),
}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@cache
def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] == "viamachinae"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path: Path) -> None:
    here = room(path)
    if here in ("__init__", "__main__"):
        return
    for name in imports(path):
        there = room_of(name)
        if there in ("", "__version__", here):
            continue
        assert there in FLOORS, f"{path.name} imports {name} of an unknown room"
        allowed = FLOORS[there] < FLOORS[here] or (here, there) in BESIDE
        assert allowed, f"{here} (floor {FLOORS[here]}) imports {there} (floor {FLOORS[there]})"


def test_every_room_has_a_floor() -> None:
    rooms = {room(path) for path in modules()} - {"__init__", "__main__"}
    assert rooms == set(FLOORS)


def test_only_pipeline_and_store_know_the_run_folder() -> None:
    for path in modules():
        if any(name.startswith("viamachinae.store") for name in imports(path)):
            assert room(path) in ("pipeline", "store"), path


def test_flows_know_no_astronomy() -> None:
    for path in (PACKAGE / "flows").rglob("*.py"):
        text = path.read_text()
        assert "astropy" not in text
        assert "healpy" not in text
        assert all(room_of(name) == "flows" for name in imports(path)), path


def test_no_import_circle_among_modules() -> None:
    names = {
        "viamachinae."
        + path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): path
        for path in modules()
        if path.name != "__init__.py"
    }
    edges = {
        name: {other for other in names for i in imports(path) if f"{i}.".startswith(f"{other}.")}
        for name, path in names.items()
    }
    while leaves := [name for name, below in edges.items() if not below & set(edges)]:
        for leaf in leaves:
            del edges[leaf]
    assert not edges, f"import circle among {sorted(edges)}"
