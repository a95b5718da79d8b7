"""Unpacking an archive from the network into a folder: every member is looked at first, and the folder is whole or
not there."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from shared.errors import DownloadError
from shared.weights.atomic import sync_directory, write_problem

logger = logging.getLogger(__name__)

MAX_UNPACKED_BYTES = 32 * 1024**3
MAX_MEMBERS = 500_000
_SHOWN = 10
_BLOCK = 1 << 20
_ENCRYPTED = 1  # bit of a ZIP member's flags
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError)


@dataclass(frozen=True)
class _Member:
    name: str
    kind: str  # "file", "folder", or what it is instead
    size: int
    entry: Any  # the archive's own description, by which it is opened


@dataclass(frozen=True)
class _Archive:
    path: str
    members: Iterable[_Member]
    open_entry: Callable[[Any], IO[bytes] | None]


def lies_outside(name: str) -> bool:
    r"""Whether a member's name leads out of the folder its archive is unpacked to; ``\`` separates as well."""
    path = _path_of(name)
    return path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1])


def unpack(archive: str | os.PathLike[str], target: str | os.PathLike[str], folder: str) -> None:
    """Unpack what a ``.zip`` or ``.tar`` holds below ``folder`` to ``target``.

    It is written to ``.<name of target>.unpacking`` beside ``target`` and renamed when it is whole; what an earlier
    process left there half done is removed first. Permissions and times are not taken over.

    Args:
        archive: the file.
        target: the folder to make; its parent must exist, itself it must not.
        folder: a folder at the top of the archive. Members beside it are looked at, but not written.

    Raises:
        DownloadError: the archive is damaged or of another kind; a member lies outside, is a link, a device or
            encrypted; there are more than 500,000 members or 32 GiB; there is no ``folder``; the disk is full.
    """
    target = Path(target)
    temporary = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with _opened(str(archive)) as opened:
            members = _below(folder, _checked(opened), opened.path)
            logger.info("unpacking %d files of %s to %s", len(members), archive, target)
            for member, path in members:
                _write(opened, member, temporary / path)
        os.replace(temporary, target)
        sync_directory(target.parent)
    except OSError as error:
        raise write_problem(error, target, kind=DownloadError) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _opened(path: str) -> Iterator[_Archive]:
    with _damage_is_told(path):
        archive = zipfile.ZipFile(path) if path.endswith(".zip") else tarfile.open(path, "r:")  # noqa: SIM115
    with archive:
        if isinstance(archive, zipfile.ZipFile):
            yield _Archive(path, (_zip_member(entry) for entry in archive.infolist()), archive.open)
        else:
            yield _Archive(path, (_tar_member(entry) for entry in archive), archive.extractfile)


@contextmanager
def _damage_is_told(path: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        kind = "ZIP" if path.endswith(".zip") else "tar"
        raise DownloadError(f"{path} is damaged or no {kind} archive ({error}); delete it to fetch it again") from error


def _zip_member(entry: zipfile.ZipInfo) -> _Member:
    mode = entry.external_attr >> 16  # 0 where the archive was not made on Unix
    kind = "folder" if entry.is_dir() else "file"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        kind = "a link or a device"
    if entry.flag_bits & _ENCRYPTED:
        kind = "encrypted"
    return _Member(entry.filename, kind, entry.file_size, entry)


def _tar_member(entry: tarfile.TarInfo) -> _Member:
    kind = "folder" if entry.isdir() else "file" if entry.isfile() else "a link or a device"
    return _Member(entry.name, "sparse" if entry.issparse() else kind, entry.size, entry)


def _checked(archive: _Archive) -> list[_Member]:
    """Every member, none of which leaves the folder or is more than a file."""
    members: list[_Member] = []
    size = 0
    with _damage_is_told(archive.path):
        for member in archive.members:
            if lies_outside(member.name):
                raise DownloadError(f"{archive.path} is refused: its member {member.name!r} lies outside the archive")
            if member.kind not in ("file", "folder"):
                raise DownloadError(f"{archive.path} is refused: its member {member.name!r} is {member.kind}")
            members.append(member)
            size += member.size
            if len(members) > MAX_MEMBERS:
                raise DownloadError(f"{archive.path} is refused: more than {MAX_MEMBERS} members")
            if size > MAX_UNPACKED_BYTES:
                raise DownloadError(f"{archive.path} is refused: it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    return members


def _below(folder: str, members: Sequence[_Member], source: str) -> list[tuple[_Member, PurePosixPath]]:
    """The files below ``folder``, with their paths below it."""
    files = [(member, _path_of(member.name)) for member in members if member.kind == "file"]
    chosen = [(member, path.relative_to(folder)) for member, path in files if path.parts[:1] == (folder,)]
    if not chosen:
        top = sorted({path.parts[0] for _, path in files if path.parts})
        raise DownloadError(f"{source} has no folder {folder!r}; it holds {', '.join(top[:_SHOWN]) or 'no file'}")
    return chosen


def _path_of(name: str) -> PurePosixPath:
    return PurePosixPath(name.replace("\\", "/"))


def _write(archive: _Archive, member: _Member, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _damage_is_told(archive.path):
        content = archive.open_entry(member.entry)
    with content, open(path, "wb") as file:
        while block := _read(archive, content):
            file.write(block)


def _read(archive: _Archive, content: IO[bytes]) -> bytes:
    with _damage_is_told(archive.path):
        return content.read(_BLOCK)
