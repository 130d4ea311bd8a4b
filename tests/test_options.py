from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from viamachinae.config import PRESETS, MafConfig, RqsConfig, ScanConfig
from viamachinae.errors import BadInputError
from viamachinae.options import (
    defaults_yaml,
    json_schema,
    option_table,
    options,
    parse_config,
    read_config,
    to_yaml,
)

TAGS = ("tiling", "source", "kind", "family", "method")
CONFIGS = sorted((Path(__file__).parents[1] / "workflows" / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path: Path) -> None:
    config = read_config(path)
    assert parse_config(yaml.safe_load(to_yaml(config)), "resolved") == config


def test_defaults_read_back() -> None:
    assert parse_config(yaml.safe_load(defaults_yaml()), "defaults") == ScanConfig()


def test_every_option_says_where_its_default_comes_from() -> None:
    for option in options():
        assert option.description, option.path
        if option.default != "needed" and option.path.split(".")[-1] not in TAGS:
            assert re.search(r"ANODE|CATHODE|ours|VM[123]", option.description), option


def test_table_and_schema_hold_every_option() -> None:
    table, schema = option_table(), json_schema()
    for option in options():
        assert f"`{option.path}`" in table
        assert f'"{option.path.split(".")[-1]}"' in schema
    json.loads(schema)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"train": {"epocs": 3}}, ["train.epocs", "did you mean epochs"]),
        ({"query": {"source": "files"}}, ["query.path", "needed"]),
        (
            {"query": {"source": "simulate", "path": "x"}},
            ["query.path needs query.source: files or lake (here it is simulate)"],
        ),
        ({"query": {"source": "archive", "lake": 5}}, ["query.lake: input is not a valid path (g"]),
        ({"query": {"source": "files", "path": 5}}, ["query.path: input is not a valid", "5)"]),
        ({"sky": {"centres": [[1, 2]]}}, ["sky.centres needs sky.tiling: centres"]),
        ({"sky": {"tiling": "centres"}}, ["sky.centres is needed and not given"]),
        ({"sky": {"tiling": "stars"}}, ["sky.tiling: must be healpix or centres (given: 'stars')"]),
        ({"query": {"streams": [{"track": {}}]}}, ["query.streams.0."]),
        ({"epochs": 3}, ["epochs is not an option here; did you mean train.epochs?"]),
        ({"regions": {"width_masyr": -1}}, ["regions.width_masyr", "greater than 0"]),
        ({"sky": {"radius_deg": 5.0}}, ["evaluation_radius_deg", "radius_deg"]),
        ({"train": {"epochs": 5, "average_last": 6}}, ["average_last", "epochs"]),
        ({"train": {"flow": {"family": "rqs", "batch_norm": True}}}, ["needs", "family: maf"]),
        ({"score": {"oversampling": 2}}, ["score.oversampling needs score.method: cathode"]),
        ({"score": {"method": "cwola", "flow": {}}}, ["score.flow needs score.method: r_anode"]),
        ({"train": {"flow": {"batch_norm": True}}}, ["train.flow.batch_norm needs train.flow.f"]),
    ],
)
def test_bad_options_are_named(given: dict[str, object], words: list[str]) -> None:
    with pytest.raises(BadInputError) as error:
        parse_config(given, "my.yaml")
    sentence = str(error.value)
    assert "\n" not in sentence
    for word in ["my.yaml", *words]:
        assert word in sentence


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("link.lines", {"box": [2, 5]}, "link.lines: box, lattice and core must be odd"),
        ("link.lines", {"box": [3, 0]}, "must be odd and positive"),
        ("link.lines", {"lattice": 6}, "must be odd and positive"),
        ("link.lines", {"core": 2}, "must be odd and positive"),
        ("link.lines", {"core": 7}, "core must be smaller than lattice"),
        ("link.lines", {"theta_cell_deg": 12.0}, "more than 180 deg"),
        ("link.ridge", {"distance_kpc": [100, 3]}, "link.ridge.distance_kpc: give the lower end"),
        ("link.orbits", {"distance_kpc": [9, 9]}, "link.orbits.distance_kpc: give the lower end"),
        ("link.crossmatch", {"min_radius_deg": 3}, "min_radius_deg must not exceed max_radius"),
        ("regions", {"range_masyr": [5, -5]}, "regions.range_masyr: give the lower end first"),
        ("regions", {"range_masyr": [-2, 2]}, "range_masyr must be as wide as a region"),
        ("regions", {"min_stars": 2_000_000}, "min_stars must not exceed max_stars"),
        ("regions", {"scans": ["pm_phi", "pm_phi"]}, "scans holds a proper motion twice"),
        ("preprocess.fiducial", {"min_colour": 1.5}, "min_colour must be below max_colour"),
        ("query", {"source": "archive", "cuts": {"min_colour": 1, "max_colour": 0}}, "min_colour"),
        ("train.flow", {"hidden": [0]}, "train.flow.hidden.0: input should be greater"),
        ("sky", {"radius_deg": 60, "evaluation_radius_deg": 50}, "less than or equal to 45"),
    ],
)
def test_values_that_do_not_go_together_are_refused(
    option: str, value: dict[str, object], words: str
) -> None:
    """Before the scan begins, not when the stage that needs them is reached."""
    given: dict[str, object] = value
    for name in reversed(option.split(".")):
        given = {name: given}
    with pytest.raises(BadInputError, match=re.escape(words)):
        parse_config(given, "my.yaml")


def test_overrides(tmp_path: Path) -> None:
    path = tmp_path / "scan.yaml"
    path.write_text("name: a\nquery: {source: files, path: old.parquet}\n")
    config = read_config(path, ["query.path=new.parquet", "train.epochs=20", "seed=3"])
    assert str(config.query.path) == "new.parquet"  # type: ignore[union-attr]
    assert (config.train.epochs, config.seed) == (20, 3)
    with pytest.raises(BadInputError, match=r"key\.subkey=value"):
        read_config(path, ["train.epochs"])


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "\x00"])
def test_unreadable_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "scan.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"scan\.yaml"):
        read_config(path)
    with pytest.raises(BadInputError, match=r"absent\.yaml"):
        read_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_fill_what_is_not_given(preset: str) -> None:
    train = ScanConfig.model_validate({"train": {"preset": preset, "batch_size": 7}}).train
    assert train.batch_size == 7
    assert train.epochs == {"fast": 24, "paper": 50, "demo": 12}[preset]


def test_the_preset_paper_is_anode() -> None:
    """arXiv:2001.04990: 15 MADE blocks of 128 units, batch norm, 50 epochs, 10 averaged."""
    train = ScanConfig.model_validate({"train": {"preset": "paper"}}).train
    assert train.flow == MafConfig(family="maf", blocks=15, hidden=[128], batch_norm=True)
    assert (train.learning_rate, train.schedule, train.weight_decay) == (1e-4, "constant", 1e-6)
    assert (train.batch_size, train.epochs, train.average_last) == (256, 50, 10)


def test_the_documented_table_is_the_table() -> None:
    text = (Path(__file__).parents[1] / "docs" / "options.md").read_text()
    assert text.endswith("\n\n" + option_table()), "run `viamachinae config --table` again"


def test_a_preset_says_nothing_about_another_family() -> None:
    given = {"train": {"preset": "demo", "flow": {"family": "rqs", "bins": 4}}}
    flow = ScanConfig.model_validate(given).train.flow
    assert flow == RqsConfig(family="rqs", bins=4)
    affine = ScanConfig.model_validate({"train": {"preset": "demo", "flow": {"hidden": [9]}}})
    assert affine.train.flow == MafConfig(family="maf", blocks=6, hidden=[9], batch_norm=False)
