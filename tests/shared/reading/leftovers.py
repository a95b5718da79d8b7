"""What may outlive a reader and must not."""

from __future__ import annotations

import os
from pathlib import Path


def left_behind(pid: int, elsewhere: Path) -> list[str]:
    """The reader's folders of a process, in memory and among its temporary files."""
    folders = [folder for folder in ("/dev/shm", elsewhere) if os.path.isdir(folder)]
    return [str(path) for folder in folders for path in Path(folder).glob(f"dualseg-{pid}-*")]


def is_running(pid: int) -> bool:
    """Whether a process is there, and not merely waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before opening, or between opening and reading
        return False
