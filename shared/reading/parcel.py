"""How a batch travels from a worker process to the main one: its arrays as a file in memory (``/dev/shm``), the rest
through the executor's pipe.

A file that is written, rather than a segment both map, because a full ``/dev/shm`` then is an ``OSError`` and not a
killed worker, and because removing one folder removes everything that was under way. Reading it maps the file and
copies nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import pickle
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import MachineError

SHARED_MEMORY = "/dev/shm"
PREFIX_VARIABLE = "DUALSEG_READER_PREFIX"  # of the environment, which tells the fork server folder_prefix()
_ALIGNMENT = 64
_TOKEN = uuid.uuid4().hex[:8]  # containers may share their memory, and each has a process 1


@dataclass(frozen=True)
class Parcel:
    """A pickled value whose large buffers, of ``sizes`` bytes, lie in the file ``path``, each at a multiple of 64."""

    body: bytes
    sizes: tuple[int, ...]
    path: str


class Spool:
    """The folders of one reader: first choice in memory, then the system's folder for temporary files.

    While it is open, :meth:`is_open` holds in every process that has a (pickled) copy.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []
        for parent in parents():
            with contextlib.suppress(OSError):
                self.folders.append(tempfile.mkdtemp(prefix=folder_prefix(), dir=parent))
        if not self.folders:
            raise MachineError(
                f"neither {SHARED_MEMORY} nor {tempfile.gettempdir()} can be written to; set TMPDIR to a folder that "
                "can, or read with threads"
            )
        self._mark = os.path.join(self.folders[0], "open")
        with open(self._mark, "wb"):
            pass

    def is_open(self) -> bool:
        """False once any process has called :meth:`stop`."""
        return os.path.exists(self._mark)

    def stop(self) -> None:
        """Ask the workers to leave what they are doing."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(self._mark)

    def remove(self) -> None:
        """Delete the folders and whatever is in them."""
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def pack(self, value: Any) -> Parcel:
        """Pickle ``value``, its arrays into a file of the first folder that has room; MachineError if none has."""
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        refusals = []
        for folder in self.folders:
            path = os.path.join(folder, uuid.uuid4().hex)
            try:
                _write(path, views)
            except OSError as error:
                refusals.append(f"{os.path.dirname(folder)}: {error.strerror}")
            else:
                return Parcel(body, tuple(view.nbytes for view in views), path)
        size = sum(view.nbytes for view in views) / 2**20
        raise MachineError(
            f"there is no room for a batch of {size:.0f} MB ({'; '.join(refusals)}); free some, give the container "
            "more (--shm-size), or lower the batch size, the workers or their prefetch"
        )

    def unpack(self, parcel: Parcel) -> Any:
        """The packed value with arrays of its own, which may be written to; the file's name is gone at once."""
        needed = sum(map(_aligned, parcel.sizes))
        with open(parcel.path, "rb") as file:
            if os.fstat(file.fileno()).st_size != needed:
                raise OSError(f"{file.name} is incomplete")
            pages = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) if needed else b"")
        os.remove(parcel.path)
        begins = itertools.accumulate(map(_aligned, parcel.sizes), initial=0)
        buffers = [pages[begin : begin + size] for begin, size in zip(begins, parcel.sizes)]
        return pickle.loads(parcel.body, buffers=buffers)

    def is_first_choice(self, parcel: Parcel) -> bool:
        """Whether the parcel travelled in memory."""
        return os.path.dirname(os.path.dirname(parcel.path)) == SHARED_MEMORY


def parents() -> list[str]:
    """Where a :class:`Spool` makes its folders, the first choice first."""
    return list(dict.fromkeys((SHARED_MEMORY, tempfile.gettempdir())))


def folder_prefix() -> str:
    """How the names of this process's folders begin, and nobody else's."""
    return f"dualseg-{os.getpid()}-{_TOKEN}-"


def room_in_memory() -> int | None:
    """Free bytes of ``/dev/shm``; None where there is none."""
    try:
        return shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return None


def _write(path: str, views: Sequence[memoryview]) -> None:
    try:
        with open(path, "xb", buffering=0) as file:
            for view in views:
                written = 0
                while written < view.nbytes:
                    written += file.write(view[written:])
                file.write(bytes(_aligned(view.nbytes) - view.nbytes))
    except OSError:
        with contextlib.suppress(OSError):
            os.remove(path)
        raise


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
