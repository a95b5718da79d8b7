"""Nothing a run wrote is lost to the next one: what would be overwritten or mistaken goes to ``earlier_runs/<n>``."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

_FILES = ("metrics.jsonl", "train.log", "best_model", "vdl_log")


def move_run_aside(save_dir: Path) -> None:
    """Before a new run: move everything an earlier run wrote into ``save_dir``."""
    old = [path for path in save_dir.iterdir() if path.name in _FILES]
    _move([*old, *save_dir.glob("iter_*")], save_dir, "held an earlier run")


def move_later_aside(save_dir: Path, iteration: int) -> None:
    """Before a run goes on from ``iteration``: move the checkpoints, and the best one, that lie beyond it."""
    later = [path for path in save_dir.glob("iter_*") if (_iteration_of(path) or 0) > iteration]
    best = save_dir / "best_model"
    if (_iteration_of(best) or 0) > iteration:
        later.append(best)
    _move(later, save_dir, f"held checkpoints beyond iteration {iteration}, from which this run goes on")


def _iteration_of(checkpoint: Path) -> int | None:
    """The iteration of a checkpoint folder, by its state or, where that cannot be read, by its name."""
    try:
        return int(json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))["iteration"])
    except (OSError, ValueError, KeyError, TypeError):
        number = checkpoint.name.rpartition("_")[2]
        return int(number) if number.isdigit() else None


def _move(paths: Sequence[Path], save_dir: Path, why: str) -> None:
    if not paths:
        return
    number = 1
    while (target := save_dir / "earlier_runs" / str(number)).exists():
        number += 1
    target.mkdir(parents=True)
    for path in paths:
        shutil.move(str(path), str(target / path.name))
    logger.warning("%s %s: moved to %s", save_dir, why, target)
