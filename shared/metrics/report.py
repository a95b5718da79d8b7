"""Scores for people and for programs: a plain-text table, JSON, and the confusion matrix as a picture."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.metrics.scores import Scores

_NAME_WIDTH = 28
_MAX_LABELLED = 64  # above this many classes the picture names none of them


def format_table(scores: Scores, class_names: Sequence[str]) -> str:
    """The scores as an aligned table of at most 80 columns, one row a class, without a final newline.

    All values are percent, ``pixels`` is the class's share of the labels, and recall is what other toolkits call class
    accuracy; ``-`` stands for a score that is undefined (see :class:`Scores`).

    Raises:
        ValueError: ``class_names`` has not one name per class.
    """
    _check_names(scores, class_names)
    names = [_shorten(name, _NAME_WIDTH) for name in class_names]
    width = max([len("class"), *(_width(name) for name in names)])
    heads = ("pixels", "IoU", "recall=acc", "precision", "Dice")
    shares = scores.label_pixels / max(1, int(scores.label_pixels.sum()))
    columns = (shares, scores.iou, scores.recall, scores.precision, scores.dice)

    lines = [_pad("class", width) + "".join(f"{head:>{_column_width(head)}}" for head in heads)]
    rule = "-" * _width(lines[0])
    lines.append(rule)
    for k, name in enumerate(names):
        cells = (f"{_percent(column[k]):>{_column_width(head)}}" for head, column in zip(heads, columns))
        lines.append(_pad(name, width) + "".join(cells))
    lines += [rule, *_summary(scores)]
    return "\n".join(lines)


def _summary(scores: Scores) -> list[str]:
    left_out = int(np.isnan(scores.iou).sum())
    note = f"   ({left_out} of {len(scores.iou)} classes absent and left out)" if left_out else ""
    kappa = "-" if math.isnan(scores.kappa) else f"{scores.kappa:.4f}"
    return [
        f"mIoU {_percent(scores.miou)}   mean accuracy {_percent(scores.mean_accuracy)}   "
        f"mean Dice {_percent(scores.mean_dice)}",
        f"pixel accuracy {_percent(scores.pixel_accuracy)}   kappa {kappa}{note}",
    ]


def to_json_dict(scores: Scores, class_names: Sequence[str]) -> dict[str, Any]:
    """The scores as plain Python values in 0..1 (kappa in -1..1); an undefined score is None.

    Keys: ``miou``, ``mean_accuracy``, ``mean_dice``, ``pixel_accuracy``, ``kappa`` and ``classes``, a list in class
    order of ``name``, ``iou``, ``accuracy``, ``precision``, ``recall``, ``dice``, ``label_pixels`` and
    ``predicted_pixels``.

    Raises:
        ValueError: ``class_names`` has not one name per class.
    """
    _check_names(scores, class_names)
    classes = [
        {
            "name": str(name),
            **{
                key: _none_if_nan(getattr(scores, key)[k]) for key in ("iou", "accuracy", "precision", "recall", "dice")
            },
            "label_pixels": int(scores.label_pixels[k]),
            "predicted_pixels": int(scores.predicted_pixels[k]),
        }
        for k, name in enumerate(class_names)
    ]
    means = ("miou", "mean_accuracy", "mean_dice", "pixel_accuracy", "kappa")
    return {**{key: _none_if_nan(getattr(scores, key)) for key in means}, "classes": classes}


def save_json(path: str | Path, scores: Scores, class_names: Sequence[str]) -> None:
    """Write :func:`to_json_dict` to ``path`` as UTF-8; missing directories are made."""
    text = json.dumps(to_json_dict(scores, class_names), indent=2, ensure_ascii=False, allow_nan=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def confusion_picture(matrix: np.ndarray, class_names: Sequence[str], path: str | Path) -> None:
    """Draw the confusion matrix: each row is what became of one class's pixels, in percent.

    Rows are normalised, so rare classes are as visible as common ones; a class without pixels has an empty row.
    Cells under half a percent carry no number. The file type follows the suffix of ``path`` (png, pdf, svg).

    Args:
        matrix: ``[K, K]`` integers, rows are the label and columns the prediction.
        class_names: K names.
        path: the file to write; missing directories are made.

    Raises:
        ValueError: the matrix is not ``[K, K]`` with one name per class.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if matrix.shape != (len(class_names), len(class_names)):
        raise ValueError(f"the matrix has shape {matrix.shape}; expected [K, K] with {len(class_names)} class names")
    num_classes = len(class_names)
    total = matrix.sum(axis=1, keepdims=True)
    percent = np.where(total > 0, 100.0 * matrix / np.maximum(total, 1), np.nan)

    side = min(20.0, 3.4 + 0.42 * num_classes)
    figure = Figure(figsize=(side + 0.8, side), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    picture = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    axes.set_facecolor("0.92")  # rows without pixels
    axes.set(xlabel="prediction", ylabel="label", title="What became of each class, % of its pixels")
    if num_classes <= _MAX_LABELLED:
        names = [_shorten(str(name), _NAME_WIDTH) for name in class_names]
        axes.set_xticks(range(num_classes), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=9)
        axes.set_yticks(range(num_classes), names, fontsize=9)
        _write_cells(axes, percent, size=8.5 if num_classes <= 40 else 5)
        axes.set_xticks(np.arange(num_classes + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(num_classes + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1)
        axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.colorbar(picture, ax=axes, shrink=0.7, pad=0.02).outline.set_visible(False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _write_cells(axes: Any, percent: np.ndarray, size: float) -> None:
    for row, column in zip(*np.nonzero(np.nan_to_num(percent) >= 0.5)):
        value = percent[row, column]
        colour = "white" if value > 55 else "0.15"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=size)


def _check_names(scores: Scores, class_names: Sequence[str]) -> None:
    if len(class_names) != len(scores.iou):
        raise ValueError(f"got {len(class_names)} class names; expected one per class, {len(scores.iou)}")


def _column_width(head: str) -> int:
    return max(8, len(head) + 2)


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}"


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _width(text: str) -> int:
    """Columns a terminal needs: wide East Asian letters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _shorten(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return text + "…"
