"""How an image becomes class ids: in one piece, through sliding windows, or at several scales and flips.

Everything here is NumPy and OpenCV around a :class:`~shared.engine.stepper.Predictor`, so both modes and an exported
model share it. Letters: N images, K classes, h and w the size of the images as the network gets them.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from shared.config.run_config import EvalConfig
from shared.engine.stepper import Predictor
from shared.errors import ConfigError


def predict_ids(predictor: Predictor, images: np.ndarray, config: EvalConfig) -> np.ndarray:
    """``[N, 3, h, w]`` float32 -> the likeliest class of each pixel, ``[N, h, w]`` int32.

    Without sliding windows and augmentation the argmax is the predictor's own.

    Raises:
        ConfigError: as :func:`check_eval_config`.
        ValueError: the images are not ``[N, 3, h, w]``.
    """
    if config.is_slide or config.aug_eval:
        return argmax_classes(predict_logits(predictor, images, config))
    _check_images(images)
    return predictor.class_ids(images)


def predict_logits(predictor: Predictor, images: np.ndarray, config: EvalConfig) -> np.ndarray:
    """``[N, 3, h, w]`` float32 -> the main logits ``[N, K, h, w]`` float32.

    Overlapping windows and the scales and flips of ``aug_eval`` are joined by the mean of their logits, as measured
    on paddleseg 2.8.0; their softmax is taken nowhere on the way.

    Raises:
        ConfigError: as :func:`check_eval_config`.
        ValueError: the images are not ``[N, 3, h, w]``.
    """
    check_eval_config(config)
    _check_images(images)
    if config.aug_eval:
        return _augmented(predictor, images, config)
    return _forward(predictor, images, config)


def predict_probabilities(predictor: Predictor, images: np.ndarray, config: EvalConfig) -> np.ndarray:
    """``[N, 3, h, w]`` float32 -> class probabilities ``[N, K, h, w]`` float32 that sum to 1 over K.

    Errors are those of :func:`predict_logits`.
    """
    return softmax_classes(predict_logits(predictor, images, config))


def check_eval_config(config: EvalConfig) -> None:
    """Refuse settings that cannot work, all of them in one message.

    Raises:
        ConfigError: ``is_slide`` without crop or stride, sizes below 1, a stride that leaves gaps between windows;
            ``aug_eval`` without a scale or with one that is not positive.
    """
    problems = []
    if config.is_slide:
        for flag, size in (("crop_size", config.crop_hw), ("stride", config.stride_hw)):
            if size is None:
                problems.append(f"{flag}: missing; sliding windows (--is_slide) need --crop_size W H and --stride W H")
            elif min(size) < 1:
                problems.append(f"{flag}: (height, width) is {tuple(size)}; expected at least 1 pixel each way")
        if not problems and any(s > c for s, c in zip(config.stride_hw, config.crop_hw)):
            problems.append(
                f"stride: (height, width) is {tuple(config.stride_hw)} with crop_size {tuple(config.crop_hw)}; "
                "windows further apart than they are large leave gaps: choose a smaller stride (two thirds is usual)"
            )
    if config.aug_eval and (not config.scales or min(config.scales) <= 0):
        problems.append(
            f"scales: got {list(config.scales)}; expected one or more numbers above 0, like --scales 0.75 1.0"
        )
    if problems:
        raise ConfigError(problems)


def argmax_classes(values: np.ndarray) -> np.ndarray:
    """``[N, K, h, w]`` -> the class with the largest value, the first of equal ones, ``[N, h, w]`` int32."""
    best = values[:, 0].copy()
    ids = np.zeros(best.shape, np.int32)
    for k in range(1, values.shape[1]):
        np.copyto(ids, k, where=values[:, k] > best)
        np.maximum(best, values[:, k], out=best)
    return ids


def softmax_classes(logits: np.ndarray) -> np.ndarray:
    """``[N, K, h, w]`` logits -> probabilities over K, a new array of the same type."""
    values = logits - logits.max(axis=1, keepdims=True)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values


def _check_images(images: np.ndarray) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape) < 1:
        raise ValueError(f"images have shape {images.shape}; expected [N, 3, height, width] with at least one of each")


def _forward(predictor: Predictor, images: np.ndarray, config: EvalConfig) -> np.ndarray:
    return _slide(predictor, images, config.crop_hw, config.stride_hw) if config.is_slide else predictor.logits(images)


def _slide(
    predictor: Predictor, images: np.ndarray, crop_hw: tuple[int, int], stride_hw: tuple[int, int]
) -> np.ndarray:
    """Mean of the logits of all windows over a pixel; holds one array of the image's size besides the window's."""
    rows, columns = (list(_windows(n, c, s)) for n, c, s in zip(images.shape[2:], crop_hw, stride_hw))
    total = None
    for top, bottom in rows:
        for left, right in columns:
            logits = predictor.logits(np.ascontiguousarray(images[:, :, top:bottom, left:right]))
            if total is None:
                total = np.zeros((*logits.shape[:2], *images.shape[2:]), np.float32)
            total[:, :, top:bottom, left:right] += logits
    total /= np.multiply.outer(_coverage(rows), _coverage(columns))
    return total


def _windows(length: int, crop: int, stride: int) -> Iterator[tuple[int, int]]:
    """Begin and end of the windows along one axis; the last one is shifted back so that it ends at the border.

    >>> list(_windows(10, 4, 3)), list(_windows(11, 4, 3)), list(_windows(3, 4, 3))
    ([(0, 4), (3, 7), (6, 10)], [(0, 4), (3, 7), (6, 10), (7, 11)], [(0, 3)])
    """
    count = -(-max(0, length - crop) // stride) + 1
    for i in range(count):
        end = min(i * stride + crop, length)
        yield max(0, end - crop), end


def _coverage(windows: list[tuple[int, int]]) -> np.ndarray:
    """How many windows of one axis lie over each of its pixels, float32."""
    covered = np.zeros(windows[-1][1], np.float32)
    for begin, end in windows:
        covered[begin:end] += 1
    return covered


def _augmented(predictor: Predictor, images: np.ndarray, config: EvalConfig) -> np.ndarray:
    """Mean of the logits over scales and flips. Every scale starts from the given images."""
    size_hw = images.shape[2:]
    flips = _flip_axes(config.flip_horizontal, config.flip_vertical)
    total = None
    for scale in config.scales:
        scaled = _resize(images, tuple(max(1, int(n * scale + 0.5)) for n in size_hw))
        for axes in flips:
            logits = _forward(predictor, np.ascontiguousarray(np.flip(scaled, axes)), config)
            logits = _resize(np.flip(logits, axes), size_hw)
            if total is None:
                total = logits.astype(np.float32)  # a copy: the predictor may own what it returned
            else:
                total += logits
    total /= np.float32(len(config.scales) * len(flips))
    return total


def _flip_axes(horizontal: bool, vertical: bool) -> list[tuple[int, ...]]:
    """Axes of ``[N, C, h, w]`` to flip, one entry per pass; the unflipped pass always comes first."""
    flips: list[tuple[int, ...]] = [()]
    if horizontal:
        flips.append((3,))
    if vertical:
        flips.append((2,))
    if horizontal and vertical:
        flips.append((2, 3))
    return flips


def _resize(values: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Bilinear resize of ``[N, C, h, w]`` float32, pixel centres at halves, the border repeated outside."""
    if values.shape[2:] == tuple(size_hw):
        return values
    out = np.empty((*values.shape[:2], *size_hw), np.float32)
    for source, target in zip(values.reshape(-1, *values.shape[2:]), out.reshape(-1, *size_hw)):
        target[...] = cv2.resize(np.ascontiguousarray(source), size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    return out
