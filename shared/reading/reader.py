"""Batches in order, read in the loop itself, by threads or by processes, with identical content.

A sample depends on (seed, epoch, index) alone, and batches come out in the order they were asked for, so ``kind`` and
``workers`` change the speed and nothing else.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from shared.engine.stepper import Batch
from shared.errors import RunFailedError
from shared.reading import worker
from shared.reading.parcel import SHARED_MEMORY, Parcel, Spool
from shared.reading.processes import WorkerContext, why_ended
from shared.reading.source import Source

logger = logging.getLogger(__name__)

KINDS = ("inline", "thread", "process")
_GRACE_SECONDS = 5.0

Indices = Sequence[tuple[int, int]]


class _Backend(Protocol):
    """Who reads: ``submit`` begins a batch, ``take`` waits for it, ``close`` ends all that was begun."""

    def submit(self, indices: Indices) -> Any: ...

    def take(self, ticket: Any) -> Batch: ...

    def close(self) -> None: ...


class Reader(Iterator[Batch]):
    """Iterates over batches; a context manager, because workers must end. Made by :func:`open_reader`.

    Attributes:
        wait_seconds: the time all calls of ``next`` have taken so far: what the network spent waiting for data.
    """

    def __init__(self, backend: _Backend, batches: Iterable[Indices], ahead: int, label_type: type = np.int64) -> None:
        self.wait_seconds = 0.0
        self._label_type = label_type
        self._backend = backend
        self._batches = iter(batches)
        self._ahead = ahead
        self._tickets: deque[Any] = deque()
        self._closed = False

    def __enter__(self) -> Reader:
        try:
            self._look_ahead()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __next__(self) -> Batch:
        if self._closed:
            raise RuntimeError("the reader is closed; open another one")
        began = time.perf_counter()
        try:
            self._look_ahead()
            if not self._tickets:
                raise StopIteration
            batch = self._backend.take(self._tickets.popleft())
            self._look_ahead()
            if batch.labels is not None:  # they travel as bytes
                batch.labels = batch.labels.astype(self._label_type, copy=False)
            return batch
        finally:
            self.wait_seconds += time.perf_counter() - began

    def close(self) -> None:
        """End the workers and drop what they had read ahead. May be called twice."""
        if not self._closed:
            self._closed = True
            self._tickets.clear()
            self._backend.close()

    def _look_ahead(self) -> None:
        while len(self._tickets) < self._ahead:
            try:
                indices = next(self._batches)
            except StopIteration:
                return
            self._tickets.append(self._backend.submit(indices))


class _Inline:
    """Reads in the loop, when the batch is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def submit(self, indices: Indices) -> Indices:
        return indices

    def take(self, ticket: Indices) -> Batch:
        return worker.read_batch(self._source, ticket, lambda: True)

    def close(self) -> None:
        """Nothing was begun."""


class _Threads:
    """Decoding and most transforms run in OpenCV and NumPy, which let other threads go on."""

    def __init__(self, source: Source, workers: int) -> None:
        self._source = source
        self._stopped = threading.Event()
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="reader")

    def submit(self, indices: Indices) -> Future[Batch]:
        return self._executor.submit(worker.read_batch, self._source, indices, lambda: not self._stopped.is_set())

    def take(self, ticket: Future[Batch]) -> Batch:
        return ticket.result()

    def close(self) -> None:
        self._stopped.set()
        self._executor.shutdown(wait=True, cancel_futures=True)


class _Processes:
    """Workers started from a clean process; see :mod:`shared.reading.processes` and :mod:`shared.reading.parcel`."""

    def __init__(self, source: Source, workers: int) -> None:
        self._source = source
        self._workers = workers
        self._begun: deque[tuple[Future[Parcel | worker.Failure], Indices]] = deque()
        pickled = worker.dump(source)
        self._context = WorkerContext()
        self._spool = Spool()
        self._said_slow = sys.platform != "linux"  # only there are files in memory the rule
        try:
            self._executor = ProcessPoolExecutor(
                workers, mp_context=self._context, initializer=worker.start, initargs=(pickled, self._spool)
            )
        except OSError:
            self._spool.remove()
            raise

    def submit(self, indices: Indices) -> Future[Parcel | worker.Failure]:
        try:
            future = self._executor.submit(worker.read, list(indices))
        except BrokenProcessPool:
            raise self._died() from None
        self._begun.append((future, indices))
        return future

    def take(self, ticket: Future[Parcel | worker.Failure]) -> Batch:
        try:
            parcel = ticket.result()
        except BrokenProcessPool:
            raise self._died() from None
        self._begun.popleft()
        if isinstance(parcel, worker.Failure):
            raise parcel.rebuild()
        if not self._said_slow and not self._spool.is_first_choice(parcel):
            self._said_slow = True
            size = sum(parcel.sizes) / 2**20
            logger.warning(
                "%s has no room for a batch of %.0f MB: batches travel through %s, which is slower; give the container "
                "more (--shm-size)",
                *(SHARED_MEMORY, size, self._spool.folders[-1]),
            )
        return self._spool.unpack(parcel)

    def close(self) -> None:
        self._spool.stop()
        last_resort = threading.Timer(_GRACE_SECONDS, self._kill)  # a worker may hang in a dead network share
        last_resort.daemon = True
        last_resort.start()
        try:
            self._executor.shutdown(wait=True, cancel_futures=True)
        finally:
            last_resort.cancel()
            self._spool.remove()

    def _kill(self) -> None:
        for process in self._context.started:
            if process.pid is not None:
                process.kill()

    def _died(self) -> RunFailedError:
        self._executor.shutdown(wait=True)  # joins the workers, so that their exit codes are known
        files = self._under_way()
        reading = f" while it read one of {', '.join(files)}; look at these files," if files else ";"
        return RunFailedError(
            f"a worker process of the reader {why_ended(self._context.started)}{reading} use fewer workers, a smaller "
            "batch or prefetch, or read with threads"
        )

    def _under_way(self) -> list[str]:
        """The files of the first batches that nobody finished, one a worker: they are handed out in order."""
        unread = [indices for future, indices in self._begun if _is_broken(future)]
        return [self._source.name(index) for indices in unread[: self._workers] for _, index in indices]


def _is_broken(future: Future[Parcel | worker.Failure]) -> bool:
    return future.done() and isinstance(future.exception(), BrokenProcessPool)


def open_reader(
    source: Source,
    batches: Iterable[Indices],
    *,
    kind: str = "inline",
    workers: int = 0,
    prefetch: int = 2,
    label_type: type = np.int64,
) -> Reader:
    """Read ``batches`` from ``source``.

    Args:
        source: see :class:`shared.reading.source.SampleSource`; picklable for ``process``.
        batches: the ``(epoch, index)`` pairs of each batch; may be endless, and is asked for at most
            ``workers * prefetch`` batches more than were taken.
        kind: ``inline`` (in the loop), ``thread`` or ``process``.
        workers: number of threads or processes, 1 or more; 0 for ``inline``.
        prefetch: batches kept ready per worker, 1 or more; ``inline`` reads none ahead.
        label_type: of the batches' labels: int64 as a loss takes them, or uint8, which an evaluation counts faster.

    Returns:
        A context manager and iterator of batches, in the order of ``batches``. An error in a worker comes out of
        ``next`` as itself; the death of a worker process as RunFailedError.

    Raises:
        ValueError: another ``kind``, or numbers that do not fit it.
        UserError: the source cannot be pickled for ``process``.
    """
    if kind not in KINDS:
        raise ValueError(f"reader kind is {kind!r}; expected one of {', '.join(KINDS)}")
    if prefetch < 1:
        raise ValueError(f"prefetch is {prefetch}; expected 1 or more")
    if (workers != 0) if kind == "inline" else (workers < 1):
        raise ValueError(f"workers is {workers} for reader kind {kind!r}; expected 0 for inline, else 1 or more")
    if kind == "inline":
        return Reader(_Inline(source), batches, 1, label_type)
    backend = _Threads(source, workers) if kind == "thread" else _processes_or_threads(source, workers)
    return Reader(backend, batches, workers * prefetch, label_type)


def _processes_or_threads(source: Source, workers: int) -> _Backend:
    """Processes need semaphores, which Linux keeps in ``/dev/shm``; where that is missing, threads read the same."""
    try:
        return _Processes(source, workers)
    except OSError as error:
        logger.warning(
            "worker processes cannot be used here (%s: %s); reading with %d threads", SHARED_MEMORY, error, workers
        )
        return _Threads(source, workers)
