"""Processes that measure, each with one thread on a core of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from viamachinae.bench.speed import Case
    from viamachinae.bench.timing import Rate

# A worker that waits longer for the others gives up: one of them has failed.
PATIENCE_SECONDS = 600

_barrier: Barrier | None = None


def cores() -> list[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def pinned_workers(n: int) -> Iterator[list[ProcessPoolExecutor]]:
    """Executors of one process each, on `n` different cores."""
    context = get_context("spawn")
    barrier = context.Barrier(n)
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                ProcessPoolExecutor(1, context, initializer=_pin, initargs=(core, barrier))
            )
            for core in cores()[:n]
        ]


def together(
    workers: list[ProcessPoolExecutor], case: Case, seconds: float
) -> list[dict[str, Rate]]:
    """What `speed.measure` finds in every worker, all of them taking each turn at once."""
    running = [worker.submit(_measure, case, seconds) for worker in workers]
    errors = [error for future in running if (error := future.exception()) is not None]
    if errors:
        raise next((e for e in errors if not isinstance(e, BrokenBarrierError)), errors[0])
    return [future.result() for future in running]


def each(
    workers: list[ProcessPoolExecutor], work: Callable[..., Any], given: list[tuple[Any, ...]]
) -> Iterator[Any]:
    """Results of the work on each of the arguments given, shared out among the workers."""
    running = [
        workers[number % len(workers)].submit(work, *own) for number, own in enumerate(given)
    ]
    for future in running:
        yield future.result()


def _pin(core: int, barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier
    # Before anything is imported that counts cores: XLA makes a thread for each that it sees.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    os.environ.update(OMP_NUM_THREADS="1", JAX_PLATFORMS="cpu")
    import torch

    torch.set_num_threads(1)


def _measure(case: Case, seconds: float) -> dict[str, Rate]:
    from viamachinae.bench.speed import measure

    assert _barrier is not None
    barrier = _barrier
    try:
        return measure(case, seconds, lambda: barrier.wait(PATIENCE_SECONDS))
    except Exception:
        barrier.abort()
        raise
