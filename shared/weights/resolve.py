"""From what a user names as weights (a file, a folder, a URL) to named arrays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from shared.download.fetch import fetch
from shared.errors import CheckpointError
from shared.weights.archive import load_archive
from shared.weights.atomic import check_file
from shared.weights.pdparams import load_pdparams
from shared.weights.safetensors_file import load_arrays

_READERS: Mapping[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".safetensors": load_arrays,
    ".pdparams": load_pdparams,
    ".tar.gz": load_archive,
    ".tgz": load_archive,
}
_IN_FOLDER = ("model.safetensors", "model.pdparams", "best_model/model.safetensors", "best_model/model.pdparams")
_SHOWN = 10


def read_weights(source: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read named arrays from wherever ``source`` points.

    Args:
        source: a ``.safetensors``, ``.pdparams``, ``.tar.gz`` or ``.tgz`` file; a checkpoint folder holding
            ``model.safetensors`` or ``model.pdparams``; a run folder holding ``best_model/``; or the URL of such
            a file.

    Raises:
        CheckpointError: nothing is there (the message says what was tried and what lies there), or it is damaged.
        DownloadError: a URL whose file cannot be had; DownloadUnreachable where the network is the reason.
    """
    text = os.fspath(source)
    if "://" in text:
        _reader_of(urlsplit(text).path, text)
        path = fetch(text)
        try:
            return _reader_of(path.name, text)(path)
        except CheckpointError as error:
            raise CheckpointError(f"{error} (fetched from {text}; delete the file to fetch it again)") from error
    path = Path(text).expanduser()
    if path.is_dir():
        path = _in_folder(path)
    elif not path.exists():
        raise CheckpointError(f"no weights at {path}: there is no such file or folder; {_lies_there(path.parent)}")
    reader = _reader_of(path.name, str(path))
    _check_recorded(path)
    return reader(path)


def _reader_of(name: str, source: str) -> Callable[[Path], dict[str, np.ndarray]]:
    for suffix, reader in _READERS.items():
        if name.lower().endswith(suffix):
            return reader
    raise CheckpointError(f"{source} is no weights file: expected one of {', '.join(_READERS)}, or a checkpoint folder")


def _in_folder(folder: Path) -> Path:
    for name in _IN_FOLDER:
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(f"no weights in {folder}: tried {', '.join(_IN_FOLDER)}; {_lies_there(folder)}")


def _lies_there(folder: Path) -> str:
    try:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    except OSError:
        return f"the folder {folder} is not there either"
    dots = ", ..." if len(names) > _SHOWN else ""
    return f"{folder} holds {', '.join(names[:_SHOWN]) + dots if names else 'nothing'}"


def _check_recorded(path: Path) -> None:
    """Compare a file of our own checkpoints with the checksum kept beside it; other files have none."""
    try:
        recorded = json.loads((path.parent / "state.json").read_text("utf-8"))["files"][path.name]
    except (OSError, ValueError, KeyError, TypeError):
        return
    check_file(path, recorded)
