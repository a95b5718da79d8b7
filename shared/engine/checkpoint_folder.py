"""Checkpoint folders that appear whole: written under a hidden name, flushed to the disk, renamed.

``.iter_500.tmp-4711`` is what process 4711 is writing, ``.iter_500.old-4711`` what it has moved aside to replace. Where
that process is dead, the next save removes the first, and gives the second its name back if nothing took its place.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import CheckpointError
from shared.weights.atomic import free_bytes, sync_directory, write_problem

_HIDDEN_NAME = re.compile(r"\.(iter_\d+|best_model)\.(tmp|old)-(\d+)\Z")


@contextmanager
def new_folder(target: Path, needed: int | None = None) -> Iterator[Path]:
    """A hidden folder beside ``target`` that takes its place on a clean exit and is removed otherwise.

    Args:
        target: the folder to make or replace.
        needed: the bytes about to be written, where known.

    Raises:
        CheckpointError: disk full or not writable; what was at ``target`` is still there.
    """
    save_dir = target.parent
    temporary = save_dir / f".{target.name}.tmp-{os.getpid()}"
    try:
        save_dir.mkdir(parents=True, exist_ok=True)
        _tidy(save_dir)
        free = free_bytes(save_dir)
        if needed is not None and free is not None and free < needed:
            raise write_problem(OSError(errno.ENOSPC, "No space left on device"), save_dir, needed)
        temporary.mkdir()
        yield temporary
        sync_directory(temporary)
        _swap(temporary, target)
    except OSError as error:
        raise write_problem(error, save_dir, needed) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(temporary: Path, target: Path) -> None:
    """Rename ``temporary`` to ``target``; what was there steps aside first and is removed last."""
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    replaced = target.exists()
    if replaced:
        os.replace(target, old)
    try:
        os.replace(temporary, target)
    except OSError:
        if replaced:
            os.replace(old, target)
        raise
    sync_directory(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def restore_interrupted(save_dir: Path) -> None:
    """Give back their names to folders that a process moved aside before it died."""
    for path, name, kind in _left_behind(save_dir):
        if kind == "old" and not (save_dir / name).exists():
            with suppress(OSError):
                os.replace(path, save_dir / name)


def _tidy(save_dir: Path) -> None:
    restore_interrupted(save_dir)
    for path, name, kind in _left_behind(save_dir):
        if kind == "tmp" or (save_dir / name).exists():
            shutil.rmtree(path, ignore_errors=True)


def _left_behind(save_dir: Path) -> list[tuple[Path, str, str]]:
    """(hidden folder, the name it stands for, ``tmp`` or ``old``) of processes that no longer run."""
    try:
        found = [(path, _HIDDEN_NAME.match(path.name)) for path in sorted(save_dir.iterdir())]
    except OSError:
        return []
    return [(path, m.group(1), m.group(2)) for path, m in found if m and not _runs(int(m.group(3)))]


def _runs(process: int) -> bool:
    """Whether another process of this number is alive."""
    if process == os.getpid():
        return False
    if os.name == "nt":  # os.kill would end it there
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link, or a flushed copy where the disk knows none. Checkpoint files are never changed in place."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise CheckpointError(f"{source} is missing: the checkpoint is incomplete; use another one") from None
    except OSError:
        shutil.copyfile(source, target)
        with open(target, "rb+") as file:
            os.fsync(file.fileno())
