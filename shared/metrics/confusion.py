"""The confusion matrix, from which every score follows.

``confusion_matrix`` is the mathematics; ``ConfusionMatrix`` adds it up over a whole data set. Rows are the label,
columns the prediction, so ``matrix[2, 5]`` counts the pixels of class 2 that were taken for class 5.
"""

from __future__ import annotations

import cv2
import numpy as np

_EXACT_COUNTS = 2**24  # up to here every whole number is a float32
_LABEL_ROWS = 256  # a uint8 label needs no range check when it has a row for every value


def confusion_matrix(
    prediction: np.ndarray, label: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count the pixels of every (label, prediction) pair.

    Args:
        prediction: any shape, integer class ids in ``0..K-1``; also where the label is ignored.
        label: the same shape, integers in ``0..K-1`` or ``ignore_index``.
        num_classes: K, at least 1.
        ignore_index: label value whose pixels drop out. Any integer: outside ``0..K-1`` (255, -1) or one of the
            classes, whose row is then zero.

    Returns:
        ``[K, K]`` int64, rows are the label and columns the prediction.

    Raises:
        ValueError: shapes differ, an array is not of integers, or a value is out of range; the value is named.
    """
    _check_arrays(prediction, label, num_classes)
    if prediction.size == 0:
        return np.zeros((num_classes, num_classes), np.int64)
    _check_range("prediction", int(prediction.min()), int(prediction.max()), num_classes)
    rows, ignored_row = _label_rows(label, num_classes, ignore_index)
    height = _LABEL_ROWS if rows.dtype == np.uint8 else num_classes + 1

    code_dtype = np.uint16 if height * num_classes <= 1 << 16 else np.int64  # the narrow one is twice as fast
    code = rows.astype(code_dtype)
    code *= code_dtype(num_classes)
    code += prediction.astype(code_dtype)
    counts = _count(code.ravel(), height * num_classes).reshape(height, num_classes)

    if ignored_row is not None:
        counts[ignored_row] = 0
    strangers = np.flatnonzero(counts[num_classes:].any(axis=1))
    if strangers.size:
        _raise_range("label", num_classes + int(strangers[0]), num_classes, ignore_index)
    return counts[:num_classes].copy()


def _count(code: np.ndarray, bins: int) -> np.ndarray:
    """How often each of the values ``0..bins-1`` stands in ``code``, int64."""
    if code.dtype != np.uint16:
        return np.bincount(code, minlength=bins).astype(np.int64, copy=False)
    counts = np.zeros(bins, np.int64)
    for start in range(0, code.size, _EXACT_COUNTS):  # OpenCV counts three times as fast, and answers in float32
        part = code[start : start + _EXACT_COUNTS].reshape(1, -1)
        counts += cv2.calcHist([part], [0], None, [bins], [0, bins]).ravel().astype(np.int64)
    return counts


def _label_rows(label: np.ndarray, num_classes: int, ignore_index: int) -> tuple[np.ndarray, int | None]:
    """The label as row numbers, and the row that is to be dropped (None where no value can be ignored).

    uint8 rows stand for themselves, out-of-range ones included; other types come back with every value checked and
    the ignored one as row K.
    """
    low, high = int(label.min()), int(label.max())
    if low >= 0 and high < _LABEL_ROWS and num_classes <= _LABEL_ROWS:
        rows = label if label.dtype == np.uint8 else label.astype(np.uint8)
        return rows, ignore_index if 0 <= ignore_index < _LABEL_ROWS else None
    ignored = label == ignore_index
    known = ignored | ((label >= 0) & (label < num_classes))
    if not known.all():
        _raise_range("label", int(label[~known].flat[0]), num_classes, ignore_index)
    return np.where(ignored, num_classes, label.astype(np.int64, copy=False)), num_classes


def _check_arrays(prediction: np.ndarray, label: np.ndarray, num_classes: int) -> None:
    if num_classes < 1:
        raise ValueError(f"num_classes is {num_classes}; expected at least 1")
    if prediction.shape != label.shape:
        raise ValueError(
            f"prediction has shape {prediction.shape} and label {label.shape}; expected equal shapes: "
            "bring the prediction back to the label's size first"
        )
    for name, array in (("prediction", prediction), ("label", label)):
        if array.dtype.kind not in "ui":
            raise ValueError(f"{name} has dtype {array.dtype}; expected integer class ids (take the argmax first)")


def _check_range(name: str, low: int, high: int, num_classes: int) -> None:
    if low < 0 or high >= num_classes:
        _raise_range(name, low if low < 0 else high, num_classes)


def _raise_range(name: str, value: int, num_classes: int, ignore_index: int | None = None) -> None:
    also = "" if ignore_index is None else f" or ignore_index {ignore_index}"
    raise ValueError(
        f"{name} holds the value {value}; expected class ids in 0..{num_classes - 1}{also}: "
        "check num_classes and the label files"
    )


class ConfusionMatrix:
    """The confusion matrix of a data set, added up image by image in constant memory.

    >>> import numpy as np
    >>> total = ConfusionMatrix(num_classes=2)
    >>> total.update(prediction=np.array([0, 1, 1]), label=np.array([0, 0, 255]))
    >>> total.matrix.tolist()
    [[1, 1], [0, 0]]
    """

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        if num_classes < 1:
            raise ValueError(f"num_classes is {num_classes}; expected at least 1")
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self._matrix = np.zeros((num_classes, num_classes), np.int64)

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Add one image or batch; arguments and errors as in :func:`confusion_matrix`."""
        self._matrix += confusion_matrix(prediction, label, self.num_classes, self.ignore_index)

    def merge(self, other: ConfusionMatrix | np.ndarray) -> None:
        """Add what another process counted: a ``ConfusionMatrix`` or its ``matrix`` ``[K, K]``.

        Raises:
            ValueError: the other one has another number of classes, or is not of integers.
        """
        matrix = other.matrix if isinstance(other, ConfusionMatrix) else np.asarray(other)
        if matrix.shape != self._matrix.shape or matrix.dtype.kind not in "ui":
            raise ValueError(
                f"cannot add a matrix of shape {matrix.shape} and dtype {matrix.dtype}; "
                f"expected integers of shape {self._matrix.shape}"
            )
        self._matrix += matrix.astype(np.int64, copy=False)

    @property
    def matrix(self) -> np.ndarray:
        """A copy of the counts so far, ``[K, K]`` int64, rows are the label and columns the prediction."""
        return self._matrix.copy()
