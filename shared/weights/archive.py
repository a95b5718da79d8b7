"""Weights inside a ``.tar.gz``: the one weights file is read straight from the stream; nothing is unpacked to disk."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from shared.download.unpack import lies_outside
from shared.errors import CheckpointError
from shared.weights.pdparams import read_pdparams
from shared.weights.safetensors_file import load_arrays

MAX_UNPACKED_BYTES = 8 * 1024**3
_MAX_MEMBERS = 10_000
_SUFFIXES = (".pdparams", ".safetensors")
_PREFERRED = ("model.pdparams", "model.safetensors")


def load_archive(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the weights of an archive such as a published backbone: a folder with ``model.pdparams`` inside.

    Every member is checked before one is read.

    Raises:
        CheckpointError: the file is missing or damaged; a member lies outside the archive's folder, is a link or a
            device; the archive unpacks to more than 8 GiB; it holds no weights file, or several and none is called
            ``model.pdparams``.
    """
    if not os.path.isfile(path):
        raise CheckpointError(f"{path} is not a file; give a .tar.gz archive")
    try:
        chosen = _choose(str(path), _checked_names(path))
        with _members(path) as archive:
            for member in archive:
                if member.name == chosen:
                    return _read(archive.extractfile(member), f"{path}:{chosen}")
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or not a .tar.gz archive ({error}); download it again") from error
    raise CheckpointError(f"{path} changed while it was read; try again")


def _checked_names(path: str | os.PathLike[str]) -> list[str]:
    names = []
    with _members(path) as archive:
        for member in archive:
            if lies_outside(member.name):
                raise CheckpointError(f"{path} is refused: its member {member.name!r} lies outside the archive")
            if not (member.isfile() or member.isdir()) or member.issparse():
                raise CheckpointError(f"{path} is refused: its member {member.name!r} is a link, a device or sparse")
            names.append(member.name)
            if len(names) > _MAX_MEMBERS:
                raise CheckpointError(f"{path} is refused: more than {_MAX_MEMBERS} members")
    return names


def _choose(source: str, names: list[str]) -> str:
    """The member to read; macOS's ``._`` companions are no weights."""
    weights = [n for n in names if n.endswith(_SUFFIXES) and not PurePosixPath(n).name.startswith("._")]
    preferred = [n for n in weights if PurePosixPath(n).name in _PREFERRED]
    for candidates in (preferred, weights):
        if len(candidates) == 1:
            return candidates[0]
    if not weights:
        raise CheckpointError(f"{source} holds no .pdparams or .safetensors file; it holds {names[:10]}")
    raise CheckpointError(f"{source} holds several weights files: {weights[:10]}; unpack it and give one of them")


def _read(member: IO[bytes] | None, source: str) -> dict[str, np.ndarray]:
    content = member.read() if member is not None else b""
    if source.endswith(".pdparams"):
        return read_pdparams(io.BytesIO(content), source)
    with tempfile.TemporaryDirectory() as folder:  # safetensors maps a real file
        unpacked = Path(folder) / "model.safetensors"
        unpacked.write_bytes(content)
        return load_arrays(unpacked)


class _Bounded:
    """The unpacked stream, refused once it grows beyond the limit."""

    def __init__(self, stream: IO[bytes], source: str) -> None:
        self._stream = stream
        self._source = source
        self._read = 0

    def read(self, count: int = -1) -> bytes:
        content = self._stream.read(count)
        self._read += len(content)
        if self._read > MAX_UNPACKED_BYTES:
            raise CheckpointError(f"{self._source} is refused: it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        return content


@contextmanager
def _members(path: str | os.PathLike[str]) -> Iterator[tarfile.TarFile]:
    with gzip.open(path, "rb") as unpacked:
        bounded = _Bounded(unpacked, str(path))
        with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload]
            yield archive
            while bounded.read(1 << 20):  # to the end, where gzip keeps its checksum
                pass
