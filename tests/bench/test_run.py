"""A run: what it refuses, what it keeps, and the page that it writes."""

from __future__ import annotations

import json

import pytest

from viamachinae.bench.likelihood import Likelihood
from viamachinae.bench.page import PAGE, write_page
from viamachinae.bench.record import NUMBERS, Record
from viamachinae.bench.run import Selection, bench
from viamachinae.bench.shapes import WORKS
from viamachinae.bench.speed import RULER, Case, Speed, best
from viamachinae.bench.table import likelihood_table, rate_table, ratio_table
from viamachinae.bench.timing import Rate
from viamachinae.errors import BadInputError

CASE = Case("8x64x2", "training", 512, (1, 16))


def speed(library, cpu, *, stack=1, group=1, share=0.5):
    return Speed("8x64x2", "training", 512, stack, library, group, cpu, cpu, share)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shapes": ["8x65"]}, "8x65 is none of the shapes"),
        ({"works": ["sleeping"]}, "sleeping is none of the works"),
        ({"batches": [0]}, "hold one or more"),
        ({"stacks": []}, "no stacks"),
        ({"seconds": 0.0}, "up to 60 seconds"),
        ({"workers": 100_000}, "100000 workers"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(options, words):
    with pytest.raises(BadInputError, match=words) as refused:
        Selection(**options)
    assert "\n" not in str(refused.value)


def test_the_grid_has_every_combination():
    selection = Selection(shapes=["8x64x2", "15x128"], batches=[256, 512])
    assert len(list(selection.cases())) == 2 * len(WORKS) * 2


def test_the_fastest_arrangement_counts_and_workers_add_up():
    rates = {
        "native/1": Rate(100.0, 90.0),
        "native/16": Rate(99.0, 99.0),
        "FlowJAX/1": Rate(30.0, 30.0),
        "FlowJAX/4": Rate(40.0, 40.0),
        RULER: Rate(1e9, 1e9),
    }
    found = {(row.stack, row.library): row for row in best(CASE, [rates, rates])}
    assert found[1, "FlowJAX"][5:7] == (1, 60.0)
    assert found[16, "FlowJAX"][5:7] == (4, 80.0)
    native = found[16, "native"]
    assert (native.group, native.cpu, native.wall) == (1, 200.0, 180.0)
    assert native.share == pytest.approx(6 * 24288 * 200.0 / 2e9)


def test_tables_show_ratios_and_groups():
    speeds = [speed("torch", 8e4, group=8), speed("native", 4e5), speed("zuko", 4e4)]
    assert "| native | 10.0 | – | – | – | 2.0 | 50% |" in ratio_table(speeds)
    assert "| 80/8 | 400 | 40 | – | – | – |" in rate_table(speeds)
    likelihoods = [Likelihood("8x64x2", "native", -5.0), Likelihood("8x64x2", "zuko", -5.008)]
    assert "| -0.008 |" in likelihood_table(likelihoods)


def test_a_record_goes_on_where_it_was_left(tmp_path):
    machine = {"processor": "one", "cores": "1"}
    record = Record.open(tmp_path, machine)
    record.add([speed("torch", 1.0), speed("torch", 1.0, stack=16)])
    record.add([speed("torch", 2.0)])
    record.add_likelihood(Likelihood("8x64x2", "torch", -5.0))
    record.save(tmp_path)
    again = Record.open(tmp_path, machine)
    assert sorted(again.speeds) == [speed("torch", 2.0), speed("torch", 1.0, stack=16)]
    assert again.likelihoods == record.likelihoods
    assert again.has(CASE)
    assert not again.has(Case("8x64x2", "training", 256, (1,)))
    assert Record.open(tmp_path, {**machine, "processor": "another"}).speeds == []


def test_the_page_names_who_did_not_take_part(tmp_path):
    record = Record({"processor": "one", "cores": "1"}, [speed("torch", 1e4, share=float("nan"))])
    record.absent = {"8x64x2": {"zuko": "zuko not installed"}}
    write_page(record, tmp_path)
    assert "- zuko (8x64x2): zuko not installed" in (tmp_path / PAGE).read_text()
    assert (tmp_path / "figures" / "speed.png").stat().st_size > 1000


@pytest.mark.slow
def test_two_kinds_of_work_in_a_worker(tmp_path):
    selection = Selection(["8x64x2"], ["log_prob", "sampling"], [64], [1], seconds=0.01)
    found = []
    record = bench(selection, tmp_path, on_speeds=found.append)
    assert {row.library for row in record.speeds} >= {"torch"}
    assert all(row.cpu > 0 and row.wall > 0 for row in record.speeds)
    assert [rows[0].work for rows in found] == ["log_prob", "sampling"]
    assert len(json.loads((tmp_path / NUMBERS).read_text())["speeds"]) == len(record.speeds)
    found.clear()
    bench(selection, tmp_path, resume=True, on_speeds=found.append)
    assert not found
