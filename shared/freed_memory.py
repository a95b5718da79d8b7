"""Freed memory that the C library keeps for the next use, instead of giving it back to the system.

The system clears memory page by page before it hands it out, which can take longer than what is done with it then. Only
glibc is told anything here; other C libraries go on as they do.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_SET_BY_USER = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")
_MIB = 2**20
_ALWAYS_TAKEN_MIB = 32  # what every glibc takes for _MMAP_THRESHOLD


def keep_freed_memory(largest_mib: int, unused_mib: int) -> None:
    """Keep freed blocks for the next use, in this process from now on; what the environment says of it goes first.

    Args:
        largest_mib: larger blocks go back to the system, each by itself.
        unused_mib: of kept memory at the end of the heap, what exceeds this goes back.
    """
    set_option = _mallopt()
    if set_option is not None and not any(name in os.environ for name in _SET_BY_USER):
        if not set_option(_MMAP_THRESHOLD, largest_mib * _MIB):
            set_option(_MMAP_THRESHOLD, min(largest_mib, _ALWAYS_TAKEN_MIB) * _MIB)
        set_option(_TRIM_THRESHOLD, unused_mib * _MIB)


def _mallopt() -> Callable[[int, int], int] | None:
    """The C library's function of that name; None where it has none."""
    try:
        return ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return None
