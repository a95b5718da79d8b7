"""Starting worker processes that share nothing with the main one: no Paddle, no threads, no main script."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any

from shared.reading.parcel import PREFIX_VARIABLE, folder_prefix

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_CONTEXT: Any = multiprocessing.get_context(_METHOD)
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class WorkerProcess(_CONTEXT.Process):  # type: ignore[misc]
    """A process that reads batches.

    Attributes:
        was_terminated: whether it was ended for the sake of another that died.
    """

    was_terminated = False

    def start(self) -> None:
        """Start it from a clean process."""
        with _clean_start():
            super().start()

    def terminate(self) -> None:
        """End it if it runs, and not by SIGTERM, which it ignores: that is for the main process."""
        if self.exitcode is None:
            self.was_terminated = True
            self.kill()


class WorkerContext(type(_CONTEXT)):  # type: ignore[misc]
    """A multiprocessing context that remembers the processes it made, so that their exit codes can be told.

    Its fork server runs from now on, and removes what this process and the workers leave behind.
    """

    def __init__(self) -> None:
        super().__init__()
        self.started: list[WorkerProcess] = []
        if _METHOD == "forkserver":
            self.set_forkserver_preload(["shared.reading.fork_server", "shared.reading.worker"])
            with _clean_start():
                forkserver.ensure_running()

    def Process(self, *args: Any, **kwargs: Any) -> BaseProcess:  # noqa: N802  (the name multiprocessing uses)
        """A process that is not started yet."""
        process = WorkerProcess(*args, **kwargs)
        self.started.append(process)
        return process


@contextlib.contextmanager
def _clean_start() -> Iterator[None]:
    """Hide the main module, which every worker would otherwise run again (and so import Paddle), let numerical
    libraries begin with one thread, and name this very package, which the working directory or an installation may
    have another version of."""
    main = sys.modules["__main__"]
    wanted = {
        **_ONE_THREAD,
        "PYTHONPATH": os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH")))),
        "PYTHONSAFEPATH": "1",  # Python 3.11
        PREFIX_VARIABLE: folder_prefix(),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def why_ended(processes: Sequence[WorkerProcess]) -> str:
    """Say how the first worker died. The others were ended for its sake; all must have been joined."""
    code = next((process.exitcode for process in processes if process.exitcode and not process.was_terminated), None)
    if code is None:
        return "ended before it could read; the log above says why"
    if code > 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (the system kills so when memory runs out)" if code == -9 else ""
    return f"was killed by {name}, exit code {code}{hint}"
