"""The losses whose values and gradients are recorded, and the batch they see.

Left out, because the recorded toolkit computes them wrongly or not at all:

* BCELoss: ``pos_weight`` (Paddle 2.6.2's operator scales only part of the positive term), and dynamic weights where
  pixels are ignored (it counts them as negative).
* BootstrappedCrossEntropyLoss: ``min_K`` of at least the image's pixels (an IndexError).
* LovaszHingeLoss: two channels (its score is the log probability of the second one, never positive, so that no
  prediction brings the loss to 0) and more (pixels of one channel meet labels of another).
* RelaxBoundaryLoss: more than one image (each is weighed by the windows of all, and the sum grows with the square of
  the batch), a ``border`` other than 1 and ``calculate_weights`` (errors). Its divisor is one more than the number of
  pixels that count.

Recorded with help: RelaxBoundaryLoss with floating arithmetic (``record_losses.promoted``), and DualTaskLoss, which
draws, with ``fixed_noise`` in place of what it draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scripts.oracle.fixed_weights import fixed_input

WEIGHT = [0.3, 1.0, 2.2, 0.1]

LOSS_CASES: list[tuple[str, dict[str, Any], str]] = [
    ("CrossEntropyLoss", {}, "four classes"),
    ("CrossEntropyLoss", {"avg_non_ignore": False}, "four classes"),
    ("CrossEntropyLoss", {"weight": WEIGHT}, "four classes"),
    ("CrossEntropyLoss", {"top_k_percent_pixels": 0.3}, "four classes"),
    ("CrossEntropyLoss", {"top_k_percent_pixels": 0.9}, "four classes"),
    ("CrossEntropyLoss", {"top_k_percent_pixels": 0.3, "weight": WEIGHT}, "four classes"),
    ("CrossEntropyLoss", {}, "all ignored"),
    ("OhemCrossEntropyLoss", {"thresh": 0.7, "min_kept": 10}, "four classes"),
    ("OhemCrossEntropyLoss", {"thresh": 0.1, "min_kept": 10}, "four classes"),
    ("OhemCrossEntropyLoss", {"thresh": 0.1, "min_kept": 60}, "four classes"),
    ("OhemCrossEntropyLoss", {"thresh": 0.1, "min_kept": 1000}, "four classes"),
    ("OhemCrossEntropyLoss", {"thresh": 0.1, "min_kept": 10}, "all ignored"),
    ("DiceLoss", {}, "four classes"),
    ("DiceLoss", {"weight": WEIGHT}, "four classes"),
    ("DiceLoss", {"smooth": 0.1}, "class 3 absent"),
    ("LovaszSoftmaxLoss", {}, "four classes"),
    ("LovaszSoftmaxLoss", {}, "class 3 absent"),
    ("LovaszSoftmaxLoss", {"classes": "all"}, "class 3 absent"),
    ("LovaszSoftmaxLoss", {"classes": [1, 2]}, "four classes"),
    ("BCELoss", {}, "binary"),
    ("BCELoss", {"weight": 0.3}, "binary"),
    ("BCELoss", {"weight": "dynamic"}, "binary, none ignored"),
    ("BCELoss", {}, "four classes"),
    ("BCELoss", {"weight": "dynamic"}, "four classes"),
    ("BootstrappedCrossEntropyLoss", {"min_K": 10, "loss_th": 0.3}, "four classes"),
    ("BootstrappedCrossEntropyLoss", {"min_K": 30, "loss_th": 3.0}, "four classes"),
    ("BootstrappedCrossEntropyLoss", {"min_K": 60, "loss_th": 3.0}, "four classes"),
    ("BootstrappedCrossEntropyLoss", {"min_K": 30, "loss_th": 2.0, "weight": WEIGHT}, "four classes"),
    ("BootstrappedCrossEntropyLoss", {"min_K": 10, "loss_th": 0.3}, "all ignored"),
    ("EdgeAttentionLoss", {}, "pair"),
    ("EdgeAttentionLoss", {"edge_threshold": 0.3}, "pair"),
    ("OhemEdgeAttentionLoss", {"edge_threshold": 0.3}, "pair"),
    ("OhemEdgeAttentionLoss", {"edge_threshold": 0.3, "thresh": 0.1, "min_kept": 20}, "pair"),
    ("OhemEdgeAttentionLoss", {"edge_threshold": 0.3, "thresh": 0.7, "min_kept": 10}, "pair"),
    ("DualTaskLoss", {}, "four classes"),
    ("DualTaskLoss", {"tau": 1.5}, "class 3 absent"),
    ("DualTaskLoss", {}, "all ignored"),
    ("RelaxBoundaryLoss", {}, "one image"),
    ("RelaxBoundaryLoss", {}, "one image in blocks"),
    ("FocalLoss", {}, "two classes"),
    ("FocalLoss", {"alpha": 0.6, "gamma": 0.5}, "two classes"),
    ("MultiClassFocalLoss", {"num_class": 4}, "four classes"),
    ("MultiClassFocalLoss", {"num_class": 4, "alpha": 0.7, "gamma": 0.5}, "four classes"),
    ("MultiClassFocalLoss", {"num_class": 4}, "all ignored"),
    ("LovaszHingeLoss", {}, "binary"),
    ("LovaszHingeLoss", {}, "binary, no positive"),
    (
        "MixedLoss",
        {"losses": [{"type": "CrossEntropyLoss"}, {"type": "LovaszSoftmaxLoss"}], "coef": [0.8, 0.2]},
        "four classes",
    ),
]


#: height, width and radius of labels whose edges are recorded.
EDGE_CASES: list[tuple[int, int, int]] = [(24, 31, 2), (24, 31, 1), (27, 18, 3), (6, 33, 2), (2, 3, 2)]


def loss_inputs(kind: str) -> tuple[list[np.ndarray], np.ndarray]:
    """One batch.

    Returns:
        The maps: logits ``[N, K, 7, 9]`` float64, and for a pair edge probabilities ``[N, 1, 7, 9]``; the labels
        ``[N, 7, 9]`` int64, some of them 255. N is 2 unless the kind says one image.
    """
    is_binary = kind.startswith("binary")
    channels = 1 if is_binary else 2 if kind == "two classes" else 4
    logits = 2.0 * fixed_input((2, channels, 7, 9))
    labels = np.floor((fixed_input((2, 7, 9)) + 1.5) / 3.0 * 4).astype(np.int64)
    if channels < 4:
        labels %= 2
    if kind == "class 3 absent":
        labels[labels == 3] = 0
    if kind == "binary, no positive":
        labels[:] = 0
    if kind == "one image in blocks":
        labels = labels[:, :3, :3].repeat(3, axis=1).repeat(3, axis=2)[:, 1:8]
        labels[0, 5, 7] = 255
    if kind != "binary, none ignored":
        labels[0, :3] = 255
    if kind == "all ignored":
        labels[:] = 255
    count = 1 if kind.startswith("one image") else 2
    edges = [fixed_input((2, 1, 7, 9)) / 3.0 + 0.5] if kind == "pair" else []
    return [x[:count] for x in (logits, *edges)], labels[:count]


def fixed_noise(shape: Sequence[int]) -> np.ndarray:
    """What stands in for numbers drawn from [0, 1)."""
    return fixed_input(shape) / 3.0 + 0.5


def edge_case_label(height: int, width: int, radius: int) -> tuple[np.ndarray, int]:
    """A label ``[H, W]`` of blocks and specks, some of them 255, and its number of classes."""
    rng = np.random.default_rng([height, width, radius])
    label = rng.integers(0, 3, (-(-height // 9), -(-width // 9))).repeat(9, axis=0).repeat(9, axis=1)[:height, :width]
    specks = rng.random((height, width))
    label[specks < 0.02] = 1
    label[specks > 0.99] = 255
    label[: height // 3, width // 2 :] = 255
    return label.astype(np.int64), 3
