"""What the fork server of the worker processes does besides forking. It imports this module, and nobody else may.

It ends when the main process and all workers have, however they ended, so that nobody but it can be sure to remove
what they left. A SIGTERM for every process of a job (Slurm, systemd) is for the main process to answer, as long as it
reads.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import shutil
import signal
from multiprocessing import util

from shared.reading.parcel import PREFIX_VARIABLE, parents
from shared.reading.processes import WorkerProcess


def last_to_leave(prefix: str) -> None:
    """Ignore SIGTERM, as the workers that are forked from here on do, and in the end remove the folders that begin
    with ``prefix``.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    util.register_after_fork(last_to_leave, lambda _: _heed_sigterm_unless_worker())
    atexit.register(_remove_folders, prefix)


def _heed_sigterm_unless_worker() -> None:
    """A process has one fork server for all that it starts, and may want to end others of them by SIGTERM."""
    if not isinstance(multiprocessing.current_process(), WorkerProcess):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _remove_folders(prefix: str) -> None:
    for parent in filter(os.path.isdir, parents()):
        for name in os.listdir(parent):
            if name.startswith(prefix):
                shutil.rmtree(os.path.join(parent, name), ignore_errors=True)


if PREFIX_VARIABLE in os.environ:
    last_to_leave(os.environ[PREFIX_VARIABLE])
