"""Processes that work through patches side by side; the death of one costs one patch."""

from __future__ import annotations

import logging
import logging.handlers
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from viamachinae.errors import BadInputError
from viamachinae.pipeline.events import Event, Watcher
from viamachinae.pipeline.status import is_good
from viamachinae.pipeline.stopping import REQUEUE, listen
from viamachinae.store.records import Record

Job = Callable[[str, Watcher], list[Record]]
Mourn = Callable[[str, Event | None, str], list[Record]]


@dataclass
class _Worker:
    """A process, and the patch that it works on; without one it is about to end."""

    process: multiprocessing.process.BaseProcess
    connection: Connection
    patch: str | None = None
    last: Event | None = None
    records: list[Record] | None = None


def work_through(
    job: Job,
    patches: Sequence[str],
    workers: int,
    watch: Watcher,
    mourn: Mourn,
    fail_fast: bool,
    apart: bool,
) -> dict[str, list[Record]]:
    """Run `job` for every patch, at most `workers` at once.

    Parameters
    ----------
    job : callable
        Runs the stages of the patch of the given id; picklable.
    mourn : callable
        Makes the records of a patch whose process died, from its id, its last event and the
        cause in words.
    fail_fast : bool
        Start no further patch once one did not end as done or without work.
    apart : bool
        Whether each patch gets a process of its own.

    Returns
    -------
    dict
        Records by patch id, without the patches never started.

    Raises
    ------
    BadInputError, OSError
        If a job does; running jobs are stopped.
    SystemExit
        If a process was asked to end: all have saved what they could.
    """
    if not apart:
        return _in_process(job, patches, watch, fail_fast)
    waiting, running = deque(patches), list[_Worker]()
    finished: dict[str, list[Record]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(job))
                _give_next(running[-1], waiting)
            ready = wait([worker.connection for worker in running])
            for worker in [w for w in running if w.connection in ready]:
                if not _listen(worker, watch):
                    running.remove(worker)
                    _bury(worker, mourn)
                if worker.patch is None or worker.records is None:
                    continue
                finished[worker.patch] = worker.records
                if fail_fast and not is_good(worker.records):
                    waiting.clear()
                _give_next(worker, waiting)
    finally:
        for worker in running:
            worker.process.terminate()
            worker.process.join()
    return {patch: finished[patch] for patch in patches if patch in finished}


def _in_process(
    job: Job, patches: Sequence[str], watch: Watcher, fail_fast: bool
) -> dict[str, list[Record]]:
    finished: dict[str, list[Record]] = {}
    for patch in patches:
        finished[patch] = job(patch, watch)
        if fail_fast and not is_good(finished[patch]):
            break
    return finished


def _start(job: Job) -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    level = logging.getLogger("viamachinae").getEffectiveLevel()
    process = context.Process(target=_run, args=(job, theirs, level), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _give_next(worker: _Worker, waiting: deque[str]) -> None:
    """Let a worker go on with the next patch that waits, or end.

    It ends after a failure too: what broke may not be the patch but its process, as an error of
    CUDA does, after which no call of that process succeeds.
    """
    spent = any(record.outcome == "failed" for record in worker.records or ())
    worker.patch = worker.last = worker.records = None
    if not worker.process.is_alive():
        return
    following = waiting.popleft() if waiting and not spent else None
    try:
        worker.connection.send(following)
    except OSError:
        # It died meanwhile, as the end of its connection will tell.
        waiting.extendleft([following] if following else [])
    else:
        worker.patch = following


def _bury(worker: _Worker, mourn: Mourn) -> None:
    """Take note of the end of a worker, and of the patch that it may have left."""
    worker.process.join()
    if worker.process.exitcode == REQUEUE:
        raise SystemExit(REQUEUE)
    if worker.patch is not None:
        cause = _cause(worker.process.exitcode)
        worker.records = mourn(worker.patch, worker.last, cause)


class _Teller:
    """What a worker says to its parent."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def tell(self, kind: str, content: Any) -> None:
        """Send a message; without a parent nobody waits for this patch, and the worker ends."""
        try:
            self.connection.send((kind, content))
        except BrokenPipeError:
            raise SystemExit(1) from None


class _Log(logging.Handler):
    """Sends log records to the parent."""

    def __init__(self, teller: _Teller) -> None:
        super().__init__()
        self.teller = teller

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self.teller.tell("log", record)


def _run(job: Job, connection: Connection, level: int) -> None:
    """Body of a worker process: one patch after the other."""
    # The parent answers Ctrl-C for all; a worker ends when it is told to.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listen()
    teller = _Teller(connection)
    logger = logging.getLogger("viamachinae")
    logger.setLevel(level)
    logger.addHandler(_Log(teller))
    last_word: tuple[str, Any] | None = None
    try:
        while (patch := _receive(connection)) is not None:
            teller.tell("records", job(patch, lambda event: teller.tell("event", event)))
    except BadInputError as error:
        last_word = "bad_input", str(error)
    except EOFError:
        return  # the parent is gone
    except OSError as error:
        # A disk without room even for the record of it.
        last_word = "os_error", (error.errno, error.strerror or str(error), error.filename)
    # Nothing is left to save, and the parent may tell it to end at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if last_word is not None:
        teller.tell(*last_word)


def _listen(worker: _Worker, watch: Watcher) -> bool:
    """Take one message; False at the end of the worker's life."""
    try:
        kind, content = _receive(worker.connection)
    except EOFError:
        return False
    if kind == "event":
        worker.last = content
        watch(content)
    elif kind == "log":
        logging.getLogger(content.name).handle(content)
    elif kind == "records":
        worker.records = content
    elif kind == "os_error":
        raise OSError(*content)
    else:
        raise BadInputError(content)
    return True


def _receive(connection: Connection) -> Any:
    try:
        return connection.recv()
    except OSError:
        # A writer killed in mid-message leaves a torn one.
        raise EOFError from None


def _cause(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = "; was the memory full?" if -exitcode == signal.SIGKILL else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with exit code {exitcode}"
