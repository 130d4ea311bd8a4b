"""Tasks take turns, and medians ignore the turn that a neighbour disturbed."""

from __future__ import annotations

from viamachinae.bench.timing import Clocks, Rate, peak, take_turns


class FakeMachine:
    """Clocks that tasks move on."""

    def __init__(self) -> None:
        self.now, self.used, self.calls = 0.0, 0.0, []

    def task(self, name, seconds, work, disturbed_call=None):
        def run():
            self.calls.append(name)
            self.used += seconds
            self.now += seconds * (100 if self.calls.count(name) == disturbed_call else 1)
            return work

        return run

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.used, lambda: self.now)


def test_tasks_take_turns_after_one_call_each():
    machine = FakeMachine()
    tasks = {"a": machine.task("a", 1.0, 5), "b": machine.task("b", 2.0, 6)}
    begun = []
    take_turns(
        tasks, 2, 2.0, clocks=machine.clocks(), before_turn=lambda: begun.append(machine.now)
    )
    assert "".join(machine.calls) == "ab" + "aab" * 2
    assert begun == [3, 5, 7, 9]


def test_rates_are_medians_of_work_over_time():
    machine = FakeMachine()
    tasks = {
        "calm": machine.task("calm", 0.5, 10),
        "disturbed": machine.task("disturbed", 0.5, 10, disturbed_call=3),
    }
    rates = take_turns(tasks, 3, 0.5, clocks=machine.clocks())
    assert rates == {"calm": Rate(20.0, 20.0), "disturbed": Rate(20.0, 20.0)}


def test_other_processes_show_in_wall_time_alone():
    machine = FakeMachine()

    def shared():
        machine.used += 1
        machine.now += 4
        return 8

    rates = take_turns({"shared": shared}, 3, 1.0, clocks=machine.clocks())
    assert rates["shared"] == Rate(cpu=8.0, wall=2.0)


def test_the_ruler_counts_operations_or_is_absent():
    from viamachinae.flows.variants import library

    assert (peak() > 0) == (library() is not None)
