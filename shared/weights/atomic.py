"""Files that are either whole or not there: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from shared.errors import CheckpointError, MachineError, UserError

_FULL_ERRNOS = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_DENIED_ERRNOS = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def atomic_open(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary binary file beside ``path``; a clean exit makes it ``path``, an exception removes it."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_directory(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def sync_directory(directory: Path) -> None:
    """Force the names in ``directory`` to the disk (a no-op on Windows, where directories cannot be opened)."""
    if os.name == "nt":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def describe_file(path: Path) -> dict[str, Any]:
    """``{"bytes": size, "sha256": digest}``: what :func:`check_file` compares later."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def check_file(path: Path, recorded: Mapping[str, Any]) -> None:
    """Compare a file with what :func:`describe_file` recorded.

    Raises:
        CheckpointError: the file is missing, has another size or other bytes.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing: the checkpoint is incomplete; use another one")
    size = path.stat().st_size
    if size != recorded.get("bytes"):
        raise CheckpointError(f"{path} is damaged: {size} bytes, {recorded.get('bytes')} were written; use another one")
    if sha256_of(path) != recorded.get("sha256"):
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one recorded; use another one")


def write_problem(
    error: OSError, where: Path, needed_bytes: int | None = None, kind: type[UserError] = CheckpointError
) -> UserError:
    """The one message for a write that failed, with the cure: full disk, missing permission, or the system's words."""
    if error.errno in _FULL_ERRNOS:
        needs = "" if needed_bytes is None else f" needs about {_megabytes(needed_bytes)},"
        free = free_bytes(where)
        left = "free space unknown" if free is None else f"free {_megabytes(free)}"
        return kind(f"disk full: {where}{needs} {left}; delete old runs or choose another directory")
    if error.errno in _DENIED_ERRNOS:
        return kind(f"no permission to write {where} ({error.strerror}); choose another directory")
    return kind(f"cannot write {where}: {error}")


def free_bytes(path: Path) -> int | None:
    """Free bytes on the file system that holds ``path`` or would hold it; None where the system does not tell."""
    place = path.absolute()
    for candidate in (place, *place.parents):
        with suppress(OSError):
            return shutil.disk_usage(candidate).free
    return None


def ensure_writable(directory: Path) -> Path:
    """Create ``directory`` and write a temporary file in it.

    Raises:
        MachineError: it cannot be created or written to.
    """
    directory = Path(directory)
    probe = directory / f".write-test-{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"writable")
        probe.unlink()
    except OSError as error:
        with suppress(OSError):
            probe.unlink()
        full = "the disk is full" if error.errno in _FULL_ERRNOS else str(error.strerror or error)
        raise MachineError(
            f"{directory} is not a writable directory ({full}); free or unlock it, or choose another directory"
        ) from error
    return directory


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 10e6 else f"{count / 1e6:.0f} MB"
