"""What the C library does with freed memory: keeps it for the next use, or gives it back to the system.

The system clears memory page by page before it hands it out, which can take longer than what is done with it then.
Memory that is kept lies in pieces between others. Only glibc is told anything here; other C libraries go on as they do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_MIB = 2**20
_ALWAYS_TAKEN_MIB = 32  # what every glibc takes for _MMAP_THRESHOLD
_WORTH_GIVING_BACK = 512 * _MIB


class _MallInfo2(ctypes.Structure):
    """``struct mallinfo2`` of ``malloc.h``."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


@lru_cache
def _function(name: str, result: Any = ctypes.c_int) -> Callable[..., Any] | None:
    """A function of the C library; None where it has no such one."""
    try:
        found = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
    found.restype = result
    return found


def keep_freed_memory(largest_mib: int, unused_mib: int) -> None:
    """Keep freed blocks for the next use, in this process from now on.

    Args:
        largest_mib: larger blocks go back to the system, each by itself.
        unused_mib: of kept memory at the end of the heap, what exceeds this goes back.
    """
    set_option = _function("mallopt")
    if set_option is not None:
        if not set_option(_MMAP_THRESHOLD, largest_mib * _MIB):
            set_option(_MMAP_THRESHOLD, min(largest_mib, _ALWAYS_TAKEN_MIB) * _MIB)
        set_option(_TRIM_THRESHOLD, unused_mib * _MIB)


def give_back_freed_memory() -> None:
    """Give kept memory back to the system, where it is 512 MiB or more."""
    information, trim = _function("mallinfo2", _MallInfo2), _function("malloc_trim")
    if information is not None and trim is not None and information().fordblks >= _WORTH_GIVING_BACK:
        trim(0)
