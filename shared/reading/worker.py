"""What runs in a worker process. It imports NumPy and OpenCV, never Paddle."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from shared.engine.stepper import Batch
from shared.errors import RunFailedError, UserError
from shared.freed_memory import keep_freed_memory
from shared.reading.collate import collate
from shared.reading.parcel import Parcel, Spool
from shared.reading.source import Source


class ReadingStoppedError(Exception):
    """The reader was closed while a batch was being read; nobody waits for it any more."""


@dataclass(frozen=True)
class Failure:
    """An error on its way to the main process: pickling exceptions would call their constructors anew."""

    kind: type[BaseException]
    arguments: tuple[Any, ...]
    attributes: dict[str, Any]

    def rebuild(self) -> BaseException:
        """The error as it was raised, message and attributes intact."""
        error = self.kind.__new__(self.kind)
        error.args = self.arguments
        error.__dict__.update(self.attributes)
        return error


def read_batch(source: Source, batch: Sequence[tuple[int, int]], is_open: Callable[[], bool]) -> Batch:
    """Read and stack the samples ``(epoch, index)`` of one batch, labels uint8; ReadingStoppedError once ``is_open`` is
    false.
    """
    samples = []
    for epoch, index in batch:
        if not is_open():
            raise ReadingStoppedError
        samples.append(source.get(epoch, index))
    return collate(samples, np.uint8)


class _Worker:
    """The state of this process: set by :func:`start`."""

    pickled_source: bytes
    spool: Spool
    source: Source | None = None


def start(pickled_source: bytes, spool: Spool) -> None:
    """Prepare this process: deaf to Ctrl-C and SIGTERM (the main process decides), one thread, gone with its parent."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(0)
    keep_freed_memory(largest_mib=32, unused_mib=256)  # of one image for the next
    _Worker.pickled_source = pickled_source
    _Worker.spool = spool
    threading.Thread(target=_leave_with_parent, args=(spool,), daemon=True).start()


def read(batch: Sequence[tuple[int, int]]) -> Parcel | Failure:
    """Read one batch in a prepared process. Errors meant for the user come back as values, others are raised."""
    try:
        if _Worker.source is None:
            _Worker.source = _load(_Worker.pickled_source)
        return _Worker.spool.pack(read_batch(_Worker.source, batch, _Worker.spool.is_open))
    except (UserError, RunFailedError) as error:
        return Failure(type(error), error.args, dict(error.__dict__))


def dump(source: Source) -> bytes:
    """Pickle a source for the workers; UserError where it cannot be."""
    try:
        return pickle.dumps(source)
    except Exception as error:
        raise UserError(_unpicklable(error)) from error


def _load(pickled_source: bytes) -> Source:
    try:
        return pickle.loads(pickled_source)
    except Exception as error:
        raise UserError(_unpicklable(error)) from error


def _unpicklable(error: Exception) -> str:
    return (
        f"the data set or its transforms cannot be handed to a worker process: {type(error).__name__}: {error}; define "
        "custom classes at the top level of a module that can be imported (not in the script that is run), or read "
        "with threads"
    )


def _leave_with_parent(spool: Spool) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        spool.remove()
        os._exit(1)
