"""What the fork server of the worker processes does besides forking. It imports this module, and nobody else may.

It ends when the main process and all workers have, however they ended, so that nobody but it can be sure to remove
what they left. A SIGTERM for every process of a job (Slurm, systemd) is for the main process to answer, as long as it
reads.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal

from shared.reading.parcel import PREFIX_VARIABLE, parents


def last_to_leave(prefix: str) -> None:
    """Ignore SIGTERM, as the workers that are forked from here on do, and in the end remove the folders that begin
    with ``prefix``.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    atexit.register(_remove_folders, prefix)


def _remove_folders(prefix: str) -> None:
    for parent in parents():
        for name in os.listdir(parent):
            if name.startswith(prefix):
                shutil.rmtree(os.path.join(parent, name), ignore_errors=True)


if PREFIX_VARIABLE in os.environ:
    last_to_leave(os.environ[PREFIX_VARIABLE])
