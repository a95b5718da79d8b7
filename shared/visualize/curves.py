"""Loss, learning rate and mIoU of one or more runs, from their ``metrics.jsonl``."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import DataError

logger = logging.getLogger(__name__)

_COLOURS = ("#1f6fb4", "#e0662b", "#2f9e5b", "#8a56b8", "#b8902a", "#3aa7b3")
_DASHES = ("-", (0, (4, 3)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
_SMOOTH_FROM = 300  # from this many points on, a running mean is drawn over the faint raw curve


@dataclass(frozen=True)
class Curves:
    """What one run logged. Series are ``[n]`` float64 over their own iterations ``[n]`` int64, in rising order.

    Attributes:
        train_iters, loss, lr: one entry per logged interval.
        eval_iters, miou: one entry per evaluation; empty where the run had none.
    """

    train_iters: np.ndarray
    loss: np.ndarray
    lr: np.ndarray
    eval_iters: np.ndarray
    miou: np.ndarray


def read_curves(run_dir: str | Path) -> Curves:
    """Read ``metrics.jsonl`` of a run (or the file itself).

    An iteration logged twice, as after a resume, counts as logged last. A broken last line, as a killed run leaves,
    is left out with a warning. ``null`` and ``NaN`` become ``nan``.

    Raises:
        DataError: the file is missing, a line before the last is no JSON object, an entry lacks a key, or nothing has
            been logged.
    """
    path = Path(run_dir)
    path = path if path.is_file() else path / "metrics.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror}); expected the folder of a training run") from None
    train: dict[int, dict[str, Any]] = {}
    evaluations: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        record = _parse(line, f"{path}:{number}", is_last=number == len(lines))
        if record.get("kind") == "train":
            train[_get(record, "iter", f"{path}:{number}")] = record
            _get(record, "loss", f"{path}:{number}"), _get(record, "lr", f"{path}:{number}")
        elif record.get("kind") == "eval":
            evaluations[_get(record, "iter", f"{path}:{number}")] = record
            _get(record, "miou", f"{path}:{number}")
    if not train and not evaluations:
        raise DataError(f"{path} holds no training or evaluation entry yet; wait for the first log line of the run")
    return Curves(
        np.array(sorted(train), np.int64),
        _series(train, "loss"),
        _series(train, "lr"),
        np.array(sorted(evaluations), np.int64),
        _series(evaluations, "miou"),
    )


def loss_difference(first: Curves, second: Curves) -> float | None:
    """The largest absolute difference of the losses at iterations both runs logged; None where there is none.

    ``nan`` in one run only is an infinite difference; in both it is none at all.
    """
    shared, a, b = np.intersect1d(first.train_iters, second.train_iters, return_indices=True)
    if not len(shared):
        return None
    left, right = first.loss[a], second.loss[b]
    same = (left == right) | np.isnan(left) & np.isnan(right)
    difference = np.abs(np.subtract(left, right, out=np.zeros_like(left), where=~same))
    return float(np.where(np.isnan(difference), math.inf, difference).max())


def draw_curves(runs: Mapping[str, Curves], path: str | Path, title: str = "") -> None:
    """Draw the runs over one another: loss on top, learning rate and, where one was evaluated, mIoU below.

    Each run has its own dashes, so coincident curves stay visible. Of two runs that logged the same iterations the
    largest difference of their losses is written under the heading.

    Args:
        runs: legend entry -> curves.
        path: the picture to write; its suffix names the format (png, pdf, svg). Missing directories are made.
        title: heading of the picture.

    Raises:
        ValueError: no run.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not runs:
        raise ValueError("got no run; expected at least one")
    has_eval = any(len(run.eval_iters) for run in runs.values())
    figure = Figure(figsize=(10, 7.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.7, 1))
    loss_axes = figure.add_subplot(grid[0, :])
    lr_axes = figure.add_subplot(grid[1, 0] if has_eval else grid[1, :])
    miou_axes = figure.add_subplot(grid[1, 1]) if has_eval else None

    for number, (name, run) in enumerate(runs.items()):
        style = {"color": _COLOURS[number % len(_COLOURS)], "linestyle": _DASHES[number % len(_DASHES)]}
        style["linewidth"] = 2.4 if number == 0 and len(runs) > 1 else 1.7
        _draw_loss(loss_axes, run, name, style)
        lr_axes.plot(run.train_iters, run.lr, **style)
        if miou_axes is not None:
            miou_axes.plot(run.eval_iters, 100 * run.miou, marker="o", markersize=4, **style)
            _mark_best(miou_axes, run, style["color"])
    _finish(loss_axes, "training loss")
    _finish(lr_axes, "learning rate")
    lr_axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    if miou_axes is not None:
        _finish(miou_axes, "mIoU, %")
    loss_axes.legend(frameon=False, fontsize=9)
    loss_axes.set_title(_heading(list(runs.values()), title), loc="left", fontsize=11)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _heading(runs: Sequence[Curves], title: str) -> str:
    difference = loss_difference(*runs) if len(runs) == 2 else None
    if difference is None:
        return title
    sentence = (
        "the logged losses are equal" if difference == 0 else f"largest difference of the losses: {difference:.3g}"
    )
    return f"{title}\n{sentence}" if title else sentence


def _draw_loss(axes: Any, run: Curves, name: str, style: Mapping[str, Any]) -> None:
    if len(run.loss) < _SMOOTH_FROM:
        axes.plot(run.train_iters, run.loss, label=name, **style)
        return
    axes.plot(run.train_iters, run.loss, color=style["color"], linewidth=0.6, alpha=0.3)
    axes.plot(run.train_iters, running_mean(run.loss, len(run.loss) // 50), label=f"{name} (running mean)", **style)


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over a window of ``2 * (width // 2) + 1`` around each value, narrower at the ends; ``nan`` is left out.

    Args:
        values: ``[n]`` float64.

    Returns:
        ``[n]`` float64, ``nan`` where a window holds no number.
    """
    half = width // 2
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    begin = np.maximum(np.arange(len(values)) - half, 0)
    end = np.minimum(np.arange(len(values)) + half + 1, len(values))
    with np.errstate(invalid="ignore"):
        return (sums[end] - sums[begin]) / (counts[end] - counts[begin])


def _mark_best(axes: Any, run: Curves, colour: str) -> None:
    if not np.isfinite(run.miou).any():
        return
    best = int(np.nanargmax(run.miou))
    axes.annotate(
        f"{100 * run.miou[best]:.2f}",
        (run.eval_iters[best], 100 * run.miou[best]),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        fontsize=8,
        color=colour,
    )


def _finish(axes: Any, label: str) -> None:
    axes.set_xlabel("iteration", fontsize=9)
    axes.set_ylabel(label, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.02, y=0.08)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _parse(line: str, where: str, is_last: bool) -> dict[str, Any]:
    if not line.strip():
        return {}
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        if is_last:
            logger.warning("%s is cut short and left out", where)
            return {}
        raise DataError(f"{where} is no JSON ({error}); restore the file or delete the line") from None
    if not isinstance(record, dict):
        raise DataError(f'{where} holds {line[:40]!r}; expected a JSON object like {{"kind": "train", "iter": 10}}')
    return record


def _get(record: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in record:
        raise DataError(f"{where} has no {key!r}; a {record['kind']} entry needs one")
    return record[key]


def _series(records: Mapping[int, Mapping[str, Any]], key: str) -> np.ndarray:
    values = (records[iteration][key] for iteration in sorted(records))
    return np.array([math.nan if value is None else value for value in values], np.float64)
