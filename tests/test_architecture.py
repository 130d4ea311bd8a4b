"""The floors of the house: what stands higher may import what stands lower, never the reverse."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from viamachinae.pipeline.inspect import INSPECT
from viamachinae.pipeline.link import LINK
from viamachinae.pipeline.null_skies import NULL
from viamachinae.pipeline.points import RECOVERY
from viamachinae.pipeline.recovery import CATALOGUE
from viamachinae.pipeline.stage import Stage
from viamachinae.pipeline.stages import LINES, PREPROCESS, SCORE, TRAIN

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


def code_of(room: str) -> set[Path]:
    """The modules of a room as `code_hash` takes it: a folder, or a module."""
    single = PACKAGE / f"{room}.py"
    return {single} if single.is_file() else set((PACKAGE / room).rglob("*.py"))


# Of what the code of a stage imports this does not decide its outputs: config stands with its
# values among the options of the stage; errors, disk, options and store carry sentences and files.
# The pipeline joins stages to the run folder; its modules that also compute are named in the rooms.
CARRYING = {"__init__", "config", "errors", "disk", "options", "store", "pipeline"}


def deciding(path: Path) -> set[Path]:
    """The modules that a module imports and that decide what it gives."""
    names = (name.removeprefix("viamachinae.").replace(".", "/") for name in imports(path))
    parts = (part for name in names for part in (name, name.rpartition("/")[0]))
    files = (PACKAGE / part for name in parts for part in (f"{name}.py", f"{name}/__init__.py"))
    return {file for file in files if file.is_file() and room(file) not in CARRYING}


STAGES = (PREPROCESS, TRAIN, SCORE, LINES, LINK, INSPECT, NULL, CATALOGUE, RECOVERY)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_the_rooms_of_a_stage_cover_all_that_decides_its_outputs(stage: Stage) -> None:
    assert all(code_of(name) for name in stage.rooms), "a room that is not there"
    waiting = [path for name in stage.rooms for path in code_of(name)]
    covered, reached = set(waiting), set(waiting)
    while waiting:
        new = deciding(waiting.pop()) - reached
        reached |= new
        waiting += new
    missing = sorted(path.relative_to(PACKAGE).as_posix() for path in reached - covered)
    assert not missing, f"{stage.name}: add to its rooms {missing}"


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
