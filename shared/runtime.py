"""Processor settings that only count before Paddle is imported; every command calls :func:`prepare` first."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import MutableMapping
from pathlib import Path

logger = logging.getLogger(__name__)


def _is_amd(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    try:
        return "AuthenticAMD" in cpuinfo.read_text(encoding="ascii", errors="replace")[:4096]
    except OSError:
        return "AMD" in platform.processor()


def usable_cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """How many a library is to compute with: ``OMP_NUM_THREADS``, its first number; 0 where it is not set."""
    return int(os.environ.get("OMP_NUM_THREADS", "0").split(",")[0])


def prepare(environ: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """Set what fits this processor and is not set yet; return what was set.

    - ``MKL_DEBUG_CPU_TYPE=5`` on AMD: the MKL inside Paddle otherwise takes its slow path there.
    - ``GLOG_minloglevel=2``: Paddle's C++ log begins at errors.
    - ``OMP_NUM_THREADS`` and ``FLAGS_paddle_num_threads``: Paddle's default is one thread.
    """
    environ = os.environ if environ is None else environ
    wanted = {}
    if _is_amd():
        wanted["MKL_DEBUG_CPU_TYPE"] = "5"
    threads = environ.get("OMP_NUM_THREADS", str(usable_cores()))
    wanted["OMP_NUM_THREADS"] = threads
    wanted["FLAGS_paddle_num_threads"] = threads
    chosen = {key: value for key, value in wanted.items() if key not in environ}
    environ.update(chosen)
    environ.setdefault("GLOG_minloglevel", "2")
    if chosen:
        logger.info("processor settings: %s", ", ".join(f"{k}={v}" for k, v in chosen.items()))
    return chosen
