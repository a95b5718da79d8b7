"""What all data sets need around files: finding them, and saying what is wrong with all of them at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

MODES = ("train", "val", "trainval", "test")
_SHOWN = 10

#: Endings of the image files that folders are searched for.
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif"})


def check_mode(mode: str, modes: Sequence[str] = MODES) -> None:
    """ValueError unless ``mode`` is one of ``modes`` (train, val, trainval, test)."""
    if mode not in modes:
        raise ValueError(f"mode is {mode!r}; expected one of {', '.join(modes)}")


def absolute(path: str, root: str | None = None) -> str:
    """``path`` made absolute against ``root`` (default: the working directory); ``~`` is expanded."""
    return os.path.abspath(os.path.join(root or "", os.path.expanduser(path)))


def what_is_in(folder: str) -> str:
    """A phrase for messages: the first entries of ``folder``, or where its path ends and what there is instead."""
    if not os.path.isdir(folder):
        parent = os.path.dirname(folder)
        if not os.path.isdir(parent):
            return what_is_in(parent)
        return f"{folder} is a file" if os.path.exists(folder) else f"{folder} does not exist; {what_is_in(parent)}"
    names = sorted(name for name in os.listdir(folder) if not name.startswith("."))
    if not names:
        return f"{folder} is empty"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{folder} contains {', '.join(names[:_SHOWN])}{more}"


def walk_files(folder: str) -> Iterator[str]:
    """Every visible file below ``folder`` as a path relative to it, sorted; links to folders are followed once."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link back up: os.walk alone would go round until the path is too long
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(parent, name), folder)
