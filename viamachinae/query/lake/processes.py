"""Work spread over processes that end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from viamachinae.errors import BadInputError

Given = TypeVar("Given")
Made = TypeVar("Made")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(
    work: Callable[[Given], Made],
    given: Sequence[Given],
    amounts: Sequence[int],
    workers: int,
    tell: Callable[[int, int], None],
) -> list[Made]:
    """Do something to each of `given` in processes; results in order.

    Raises
    ------
    BadInputError
        If a process dies.
    """
    done, total = 0, sum(amounts)
    if workers == 1:
        made = []
        for one, amount in zip(given, amounts, strict=True):
            made.append(work(one))
            tell(done := done + amount, total)
        return made
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_end_with_parent)
    try:
        futures = {pool.submit(work, one): index for index, one in enumerate(given)}
        for future in as_completed(futures):
            future.result()
            tell(done := done + amounts[futures[future]], total)
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise BadInputError(
            "a process of ingest was ended from outside (was the memory full?); run it again, "
            "with fewer --workers: it goes on where it stopped"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let a worker end when its parent is killed, and not wait for work for ever.

    The parent answers Ctrl-C for all.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
