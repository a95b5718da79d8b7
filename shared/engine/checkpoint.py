"""Checkpoints on disk: one folder each, whole or not there at all.

::

    <save_dir>/iter_500/model.safetensors       weights by state_dict() name
                        optimizer.safetensors   "<accumulator>/<parameter>" -> array
                        state.json              progress, loss scale, config, sizes and SHA-256 of the two files
    <save_dir>/best_model/                      the same three files, of the best checkpoint so far

Folders appear whole through :mod:`shared.engine.checkpoint_folder`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shared.engine.checkpoint_folder import link_or_copy, new_folder, restore_interrupted
from shared.engine.stepper import StepperState
from shared.errors import CheckpointError
from shared.weights.atomic import atomic_open, check_file, describe_file, ensure_writable, write_problem
from shared.weights.safetensors_file import load_arrays, save_arrays

__all__ = [
    "Progress",
    "ensure_writable",
    "find_resumable",
    "load_checkpoint",
    "resolve_resume",
    "save_best",
    "save_checkpoint",
    "stored_score",
    "update_progress",
    "verify_checkpoint",
]

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
BEST_NAME = "best_model"
_MODEL, _OPTIMIZER, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"
_ITERATION_NAME = re.compile(r"iter_(\d+)\Z")
_MODES = ("eager", "static")


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        iteration: training steps done.
        best_score: the best mIoU so far, in 0..1; None before the first evaluation.
        best_iteration: the iteration it belongs to.
        extra: whatever else a resumed run needs and JSON can hold (epoch, learning rate, seed, loss scale, random
            states, sampler position); NumPy scalars come back as numbers, tuples and arrays as lists, keys as strings.
    """

    iteration: int
    best_score: float | None = None
    best_iteration: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    save_dir: Path,
    state: StepperState,
    progress: Progress,
    *,
    mode: str,
    config: Mapping[str, Any],
    keep_max: int,
    versions: Mapping[str, str] | None = None,
) -> Path:
    """Write ``<save_dir>/iter_<progress.iteration>`` and remove the oldest checkpoints beyond ``keep_max``.

    Args:
        save_dir: created where missing.
        state: weights and optimiser state.
        progress: written to ``state.json``.
        mode: ``"eager"`` or ``"static"``: who wrote it; either mode can read it.
        config: the run's effective config, in plain containers.
        keep_max: how many ``iter_*`` to keep; 0 or less keeps all. The one just written always stays.
        versions: e.g. ``{"dualseg": "1.0", "paddle": "3.3.1"}``, for the record.

    Raises:
        ValueError: another ``mode``, or ``config`` or ``progress.extra`` hold what JSON cannot.
        CheckpointError: disk full or not writable; older checkpoints are as they were.
    """
    if mode not in _MODES:
        raise ValueError(f"mode is {mode!r}; expected one of {_MODES}")
    save_dir = Path(save_dir)
    meta = {**_meta(progress, mode, config, versions or {}), "scaler": state.scaler}
    size = len(_to_json(meta))
    arrays = (*state.model.values(), *state.optimizer.values())
    needed = sum(np.asarray(a).nbytes for a in arrays) + size + 300 * len(arrays)
    target = save_dir / f"iter_{progress.iteration}"
    with new_folder(target, needed) as folder:
        save_arrays(folder / _MODEL, state.model)
        save_arrays(folder / _OPTIMIZER, state.optimizer)
        meta["files"] = {name: describe_file(folder / name) for name in (_MODEL, _OPTIMIZER)}
        _write_synced(folder / _STATE, _to_json(_sealed(meta)))
    _prune(save_dir, keep_max, target)
    return target


def save_best(save_dir: Path, checkpoint_dir: Path, progress: Progress | None = None) -> Path:
    """Make ``<save_dir>/best_model`` a full, resumable copy of a checkpoint; hard links where the disk knows them.

    Args:
        save_dir: the run folder.
        checkpoint_dir: what is copied.
        progress: written to the copy in place of the checkpoint's own.

    Raises:
        CheckpointError: ``checkpoint_dir`` is incomplete, or the disk is full or not writable; the former best stays.
    """
    save_dir, checkpoint_dir = Path(save_dir), Path(checkpoint_dir)
    target = save_dir / BEST_NAME
    meta = _read_meta(checkpoint_dir)
    with new_folder(target) as folder:
        for name in (_MODEL, _OPTIMIZER):
            link_or_copy(checkpoint_dir / name, folder / name)
        _write_synced(folder / _STATE, _to_json(_sealed(meta if progress is None else _advanced(meta, progress))))
    return target


def update_progress(checkpoint_dir: Path, progress: Progress) -> None:
    """Replace the progress in a checkpoint's ``state.json``: an evaluation comes after the save it belongs to.

    Raises:
        CheckpointError: ``checkpoint_dir`` is incomplete, or cannot be written to.
    """
    new = _advanced(_read_meta(Path(checkpoint_dir)), progress)
    path = Path(checkpoint_dir) / _STATE
    try:
        with atomic_open(path) as file:
            file.write(_to_json(_sealed(new)).encode("utf-8"))
    except OSError as error:
        raise write_problem(error, path) from error


def _advanced(meta: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """``state.json`` with another progress."""
    new = _meta(progress, meta["mode"], meta["config"], meta["versions"])
    return {**new, **{key: meta[key] for key in ("files", "scaler") if key in meta}}


def stored_score(path: Path) -> float | None:
    """The mIoU a checkpoint was evaluated with when it was saved, or None where it was not, or is none of ours."""
    try:
        meta = _read_meta(Path(path))
    except CheckpointError:
        return None
    score = meta["extra"].get("miou")
    return score if isinstance(score, float) else None


def load_checkpoint(path: Path) -> tuple[StepperState, Progress, dict[str, Any]]:
    """Read a checkpoint folder after checking sizes and checksums.

    Returns:
        the weights and optimiser state, the progress, and all of ``state.json`` (``mode``, ``config``, ``versions``).

    Raises:
        CheckpointError: missing, damaged (names the file and what is wrong), of a newer format, or not ours.
    """
    path = Path(path)
    meta = verify_checkpoint(path)
    best = meta["best"] or {"miou": None, "iteration": None}
    progress = Progress(meta["iteration"], best["miou"], best["iteration"], meta["extra"])
    state = StepperState(load_arrays(path / _MODEL), load_arrays(path / _OPTIMIZER), meta.get("scaler"))
    return state, progress, meta


def verify_checkpoint(path: Path) -> dict[str, Any]:
    """Check a checkpoint folder without loading its arrays; returns ``state.json``. Raises as load_checkpoint."""
    path = Path(path)
    meta = _read_meta(path)
    for name in (_MODEL, _OPTIMIZER):
        check_file(path / name, meta["files"][name])
    return meta


def find_resumable(save_dir: Path) -> Path | None:
    """The newest undamaged ``iter_*`` in ``save_dir``, or None; each damaged one is skipped with a warning."""
    save_dir = Path(save_dir)
    restore_interrupted(save_dir)
    for path in reversed(_iterations(save_dir)):
        try:
            verify_checkpoint(path)
        except CheckpointError as error:
            logger.warning("%s is skipped: %s", path, error)
        else:
            return path
    return None


def resolve_resume(value: str, save_dir: Path) -> Path:
    """The checkpoint folder that ``--resume <value>`` means.

    Args:
        value: a checkpoint folder, by path or by its name in ``save_dir``; a run folder, whose newest undamaged
            checkpoint is taken; ``""`` or ``"auto"`` for the newest in ``save_dir``.
        save_dir: the run folder.

    Raises:
        CheckpointError: nothing there to resume from.
    """
    save_dir = Path(save_dir)
    if value in ("", "auto"):
        return _newest_in(save_dir)
    path = Path(value).expanduser()
    if not path.exists() and (save_dir / value).is_dir():
        path = save_dir / value
    if not path.exists():
        raise CheckpointError(f"cannot resume from {path}: there is no such folder; {_what_lies_in(save_dir)}")
    if not path.is_dir():
        raise CheckpointError(f"cannot resume from {path}: it is a file; give its folder, {path.parent}")
    if (path / _STATE).exists() or any((path / name).exists() for name in (_MODEL, _OPTIMIZER, "model.pdparams")):
        verify_checkpoint(path)
        return path
    return _newest_in(path)


def _newest_in(run_dir: Path) -> Path:
    found = find_resumable(run_dir)
    if found is None:
        raise CheckpointError(f"cannot resume: {run_dir} has no undamaged checkpoint; {_what_lies_in(run_dir)}")
    return found


def _what_lies_in(run_dir: Path) -> str:
    names = [path.name for path in _iterations(run_dir)]
    if (run_dir / BEST_NAME).is_dir():
        names.append(BEST_NAME)
    return f"{run_dir} holds {', '.join(names) if names else 'no checkpoints'}"


def _meta(progress: Progress, mode: str, config: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    best = None
    if progress.best_score is not None:
        best = {"miou": float(progress.best_score), "iteration": progress.best_iteration}
    return {
        "format_version": FORMAT_VERSION,
        "iteration": progress.iteration,
        "best": best,
        "mode": mode,
        "versions": versions,
        "extra": progress.extra,
        "config": config,
    }


def _to_json(meta: Mapping[str, Any]) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, np.ndarray):
            return value.tolist()
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, os.PathLike):
            return os.fspath(value)
        raise ValueError(f"a checkpoint cannot hold {value!r} of type {type(value).__name__}; give what JSON knows")

    try:
        return json.dumps(meta, indent=1, default=plain)
    except TypeError as error:  # a dict key
        raise ValueError(f"a checkpoint cannot hold this: {error}") from error


def _sealed(meta: Mapping[str, Any]) -> dict[str, Any]:
    """``meta`` as JSON gives it back, with a checksum over itself."""
    content = {key: value for key, value in json.loads(_to_json(meta)).items() if key != "checksum"}
    text = json.dumps(content, sort_keys=True)
    return {**content, "checksum": hashlib.sha256(text.encode()).hexdigest()}


def _read_meta(path: Path) -> dict[str, Any]:
    """``state.json``, checked for everything this module reads from it."""
    if not path.is_dir():
        raise CheckpointError(f"{path} is not a folder; give a checkpoint folder such as output/iter_1000")
    file = path / _STATE
    if not file.is_file():
        if (path / "model.pdparams").is_file():
            raise CheckpointError(
                f"{path} is a PaddleSeg checkpoint: training cannot go on from its optimiser state; start from its "
                f"weights with --opts model.pretrained={path / 'model.pdparams'}"
            )
        raise CheckpointError(f"{file} is missing: {path} is no complete checkpoint; use another one")
    try:
        meta = json.loads(file.read_text("utf-8"))
        version = meta["format_version"]
        if type(version) is int and version > FORMAT_VERSION:
            raise CheckpointError(
                f"{file} has format {version}, this DualSeg reads up to {FORMAT_VERSION}; update DualSeg"
            )
        if meta["checksum"] != _sealed(meta)["checksum"]:
            raise ValueError("its content is not what was written")
        _check_meta(meta)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{file} is damaged ({type(error).__name__}: {error}); use another checkpoint") from error
    return meta


def _check_meta(meta: dict[str, Any]) -> None:
    kinds = {"format_version": int, "iteration": int, "extra": dict, "config": dict, "mode": str, "versions": dict}
    for key, kind in kinds.items():
        if not isinstance(meta[key], kind):
            raise TypeError(f"{key} is {meta[key]!r}")
    seed, best = meta["extra"].get("seed", 0), meta["best"]
    if meta["iteration"] < 0 or type(seed) is not int or seed < 0:
        raise ValueError(f"iteration is {meta['iteration']}, seed {seed!r}")
    if best is not None and not (isinstance(best["miou"], float) and isinstance(best["iteration"], (int, type(None)))):
        raise TypeError(f"best is {best!r}")
    scaler = meta.get("scaler")  # checkpoints of earlier versions have none
    if scaler is not None and not all(isinstance(scaler[key], (int, float)) for key in ("scale", "good", "bad")):
        raise TypeError(f"scaler is {scaler!r}")
    for name in (_MODEL, _OPTIMIZER):
        if not isinstance(meta["files"][name], dict):
            raise TypeError(f"files.{name} is {meta['files'][name]!r}")


def _iterations(save_dir: Path) -> list[Path]:
    """Checkpoint folders in ``save_dir``, by ascending iteration."""
    try:
        found = [
            (int(m.group(1)), p) for p in save_dir.iterdir() if (m := _ITERATION_NAME.match(p.name)) and p.is_dir()
        ]
    except OSError:
        return []
    return [path for _, path in sorted(found)]


def _prune(save_dir: Path, keep_max: int, written: Path) -> None:
    """Remove the oldest of our own checkpoints; folders of other programs are not ours to delete."""
    if keep_max <= 0:
        return
    ours = [p for p in _iterations(save_dir) if p != written and (p / _STATE).is_file()]
    for path in ours[: max(0, len(ours) + 1 - keep_max)]:
        doomed = path.with_name(f".{path.name}.tmp-{os.getpid()}")
        try:
            os.replace(path, doomed)
            shutil.rmtree(doomed)
        except OSError as error:
            logger.warning("%s could not be removed: %s", path, error)


def _write_synced(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
