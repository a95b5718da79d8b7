"""The losses whose values and gradients are recorded, and the batch they see.

Left out, because the recorded toolkit computes them wrongly: ``pos_weight`` of BCELoss (Paddle 2.6.2's operator scales
only part of the positive term) and dynamic weights where pixels are ignored (it counts them as negative).
"""

from __future__ import annotations

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
    (
        "MixedLoss",
        {"losses": [{"type": "CrossEntropyLoss"}, {"type": "LovaszSoftmaxLoss"}], "coef": [0.8, 0.2]},
        "four classes",
    ),
]


def loss_inputs(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Logits ``[2, 4, 7, 9]`` (binary: ``[2, 1, 7, 9]``) float64 and labels ``[2, 7, 9]`` int64, some of them 255."""
    is_binary = kind.startswith("binary")
    channels = 1 if is_binary else 4
    logits = 2.0 * fixed_input((2, channels, 7, 9))
    labels = np.floor((fixed_input((2, 7, 9)) + 1.5) / 3.0 * 4).astype(np.int64)
    if is_binary:
        labels %= 2
    if kind == "class 3 absent":
        labels[labels == 3] = 0
    if kind != "binary, none ignored":
        labels[0, :3] = 255
    if kind == "all ignored":
        labels[:] = 255
    return logits, labels
