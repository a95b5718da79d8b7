"""The folder of a decoded cache: where it is, how large it may grow, and when it is removed.

Processes agree by file locks, which the system gives back when a process dies, however it dies.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

from shared.config.run_config import ReaderConfig
from shared.download.fetch import cache_home
from shared.errors import ConfigError, MachineError
from shared.reading.parcel import SHARED_MEMORY

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

ENTRY_SUFFIX, TEMPORARY_SUFFIX = ".decoded", ".writing"
KEPT_FREE = 0.1  # of the file system: in memory, batches need room too
_STALE_SECONDS = 3600.0  # after which a half-written file belongs to nobody
_GIGABYTE = 10**9


class CacheFolder:
    """A bounded folder of entries. Made by :func:`open_folder`.

    Entries that nobody has used since this run began make room for new ones, the longest unused first. When none is
    left the folder is full, and what does not fit is decoded each time.

    Attributes:
        path: the folder.
        most_bytes: its bound; processes that write at the same moment may exceed it by an entry each.
        outlives_machine: whether entries are to survive a power failure.
        opened_at: the time this run began to use it, as ``time.time`` says.
    """

    def __init__(self, path: str, most_bytes: int, outlives_machine: bool) -> None:
        self.path = path
        self.most_bytes = most_bytes
        self.outlives_machine = outlives_machine
        self.opened_at = time.time()
        self._full = False

    def used_bytes(self) -> int:
        """Bytes of all entries, counted anew and noted for :meth:`reserve`; half-written files of the dead go."""
        with self._count() as count:
            total = 0
            for entry in os.scandir(self.path):
                with suppress(FileNotFoundError):
                    if entry.name.endswith(ENTRY_SUFFIX):
                        total += entry.stat().st_size
                    elif entry.name.endswith(TEMPORARY_SUFFIX) and _age(entry) > _STALE_SECONDS:
                        os.remove(entry.path)
            with suppress(FileNotFoundError):
                os.remove(self._full_mark)
            _write_number(count, total)
            return total

    def reserve(self, size: int) -> bool:
        """Whether an entry of ``size`` bytes may be written; it counts from now on."""
        if self._full:
            return False
        with self._count() as count:
            used = _read_number(count)
            if used + size > self.most_bytes:
                used -= self._remove_unused(used + size - self.most_bytes)
                _write_number(count, used)
            if used + size > self.most_bytes:
                self._say_full(f"has reached its size of {self.most_bytes / _GIGABYTE:.3g} GB")
                return False
            disk = shutil.disk_usage(self.path)
            if disk.free - size < KEPT_FREE * disk.total:
                self._say_full(f"has left {disk.free / _GIGABYTE:.3g} GB free, and a tenth of the place is kept so")
                return False
            _write_number(count, used + size)
        return True

    def release(self, size: int) -> None:
        """Give back what :meth:`reserve` gave: nothing was written."""
        with self._count() as count:
            _write_number(count, max(0, _read_number(count) - size))

    def put(self, temporary: str, path: str) -> None:
        """Make the written file the entry ``path``; one that is replaced no longer counts."""
        replaced = os.path.getsize(path) if os.path.exists(path) else 0
        os.replace(temporary, path)
        if replaced:
            self.release(replaced)

    def stop_filling(self, reason: str) -> None:
        """Keep the entries, and add no more; the first process to do so says why."""
        self._say_full(reason)

    @property
    def _full_mark(self) -> str:
        return os.path.join(self.path, "full")

    def _say_full(self, reason: str) -> None:
        self._full = True
        with suppress(OSError):
            os.close(os.open(self._full_mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            logger.warning(
                "the decoded cache %s %s: samples that are not in it are decoded each time; raise its size "
                "(reader.cache_size, DATALOADER.CACHE_SIZE) or name another place for it on disk",
                *(self.path, reason),
            )

    def _remove_unused(self, needed: int) -> int:
        """Remove entries from before this run until ``needed`` bytes are free; how many became so."""
        entries = []
        for entry in os.scandir(self.path):
            with suppress(FileNotFoundError):
                if entry.name.endswith(ENTRY_SUFFIX) and entry.stat().st_atime < self.opened_at:
                    entries.append((entry.stat().st_atime, entry.stat().st_size, entry.path))
        freed = 0
        for _, size, path in sorted(entries):
            if freed >= needed:
                break
            with suppress(FileNotFoundError):
                os.remove(path)
                freed += size
        return freed

    @contextmanager
    def _count(self) -> Iterator[IO[bytes]]:
        """The file that holds the number of bytes in use, locked."""
        with open(os.path.join(self.path, "bytes"), "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


class _SharedFolder(CacheFolder):
    """A folder in memory: the last process to leave it removes it, or the next to come after a crash uses it on."""

    def __init__(self, path: str, most_bytes: int) -> None:
        users = _join_users(path)
        super().__init__(path, most_bytes, outlives_machine=False)
        weakref.finalize(self, _leave, users, path)

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_worker, (self.path, self.most_bytes, self.opened_at)


def _as_worker(path: str, most_bytes: int, opened_at: float) -> CacheFolder:
    """A worker's view of a folder in memory, which it neither keeps nor removes."""
    folder = CacheFolder(path, most_bytes, outlives_machine=False)
    folder.opened_at = opened_at
    return folder


def open_folder(config: ReaderConfig) -> CacheFolder:
    """The folder that ``config`` names, made where it is missing.

    Raises:
        ConfigError: this system has no file locks, or no memory that is a folder.
        MachineError: the folder cannot be written to.
    """
    if fcntl is None:
        raise ConfigError(f"reader.cache: got {config.cache}, which needs the file locks of Linux or macOS; set off")
    most_bytes = int(config.cache_size * _GIGABYTE)
    if config.cache == "disk":
        path = os.path.abspath(config.cache_dir or os.path.join(cache_home(), "decoded"))
        _make(path)
        folder = CacheFolder(path, most_bytes, outlives_machine=True)
    else:
        if not os.path.isdir(SHARED_MEMORY):
            raise ConfigError(f"reader.cache: got ram, which needs {SHARED_MEMORY}, and there is none; use disk")
        path = os.path.join(SHARED_MEMORY, f"dualseg-decoded-{os.getuid()}")
        _check_owner(path)
        folder = _SharedFolder(path, most_bytes)
    used = folder.used_bytes()
    logger.info(
        "decoded cache: %s, %.2f of %.3g GB used", *(folder.path, used / _GIGABYTE, folder.most_bytes / _GIGABYTE)
    )
    return folder


def _check_owner(path: str) -> None:
    """Anybody may make folders in memory, and what lies in this one is believed."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise MachineError(
            f"the decoded cache is kept in {path}, which is there and not a folder that only its user may write to: "
            "remove it, or keep the cache on disk (reader.cache: disk, DATALOADER.CACHE disk)"
        )


def _make(path: str) -> None:
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        with open(os.path.join(path, "bytes"), "ab"):
            pass
    except OSError as error:
        raise MachineError(
            f"the decoded cache cannot be kept in {path}: {error.strerror}; name another place (reader.cache_dir, "
            "DATALOADER.CACHE_DIR) or set the cache off"
        ) from error


def _join_users(path: str) -> IO[bytes]:
    """Hold a share of the folder; again where the last user removed it meanwhile."""
    while True:
        _make(path)
        try:
            users = open(os.path.join(path, "users"), "ab")  # noqa: SIM115 - held for as long as the folder is used
        except FileNotFoundError:
            continue
        fcntl.flock(users, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(users.fileno()), os.stat(users.name)):
                return users
        users.close()


def _leave(users: IO[bytes], path: str) -> None:
    with users, suppress(OSError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while anybody else holds a share
        shutil.rmtree(path, ignore_errors=True)


def _age(entry: os.DirEntry[str]) -> float:
    return time.time() - entry.stat().st_mtime


def _read_number(file: IO[bytes]) -> int:
    file.seek(0)
    text = file.read()
    return int(text) if text.isdigit() else 0


def _write_number(file: IO[bytes], number: int) -> None:
    file.seek(0)
    file.truncate()
    file.write(b"%d" % number)
    file.flush()
