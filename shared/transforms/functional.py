"""Pure functions on images and label maps: the arithmetic behind the transforms.

``image`` is ``[H, W, 3]`` uint8 or float32 with grey levels 0..255, ``label`` is ``[H, W]`` uint8. Sizes are
(height, width); this is the one file where they are swapped to OpenCV's (width, height). Nothing is changed in place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

INTERPOLATIONS = {
    "NEAREST": cv2.INTER_NEAREST,
    "LINEAR": cv2.INTER_LINEAR,
    "CUBIC": cv2.INTER_CUBIC,
    "AREA": cv2.INTER_AREA,
    "LANCZOS4": cv2.INTER_LANCZOS4,
}
LUMA_RGB = (0.299, 0.587, 0.114)  # ITU-R BT.601


# --- size and place -------------------------------------------------------------------------------------------------


def resize(image: np.ndarray, size_hw: tuple[int, int], interpolation: str = "LINEAR") -> np.ndarray:
    """``image`` (or a label, with ``"NEAREST"``) at ``size_hw``; half-pixel centres, the dtype is kept."""
    height, width = size_hw
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=INTERPOLATIONS[interpolation])


def pad(array: np.ndarray, margins: tuple[int, int, int, int], fill: Sequence[float]) -> np.ndarray:
    """``array`` with ``margins`` (top, bottom, left, right) of constant ``fill``, one value per channel.

    A uint8 image becomes float32 when ``fill`` is not whole (the usual 127.5), so that the margin has exactly that
    value, whatever follows.
    """
    top, bottom, left, right = margins
    if not any(margins):
        return array
    if array.dtype == np.uint8 and any(value != int(value) for value in fill):
        array = array.astype(np.float32)
    return cv2.copyMakeBorder(array, top, bottom, left, right, cv2.BORDER_CONSTANT, value=tuple(fill))


def crop(array: np.ndarray, top: int, left: int, size_hw: tuple[int, int]) -> np.ndarray:
    """The window of ``size_hw`` whose top left corner is at (top, left): a view."""
    height, width = size_hw
    return array[top : top + height, left : left + width]


def flip_horizontal(array: np.ndarray) -> np.ndarray:
    """Left and right exchanged."""
    return cv2.flip(array, 1)


def flip_vertical(array: np.ndarray) -> np.ndarray:
    """Top and bottom exchanged."""
    return cv2.flip(array, 0)


# --- warps ----------------------------------------------------------------------------------------------------------


def similarity_matrix(
    size_hw: tuple[int, int],
    out_hw: tuple[int, int],
    degrees: float,
    scale: float = 1.0,
    shift_yx: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """``[2, 3]`` float64 matrix that takes (x, y) of the input to (x, y) of the output.

    It turns by ``degrees`` (counter-clockwise as seen) and scales about the middle of the input, which lands in the
    middle of the output plus ``shift_yx`` pixels. Pixel centres have whole coordinates, so the middle of N pixels is
    ``(N - 1) / 2`` and a quarter turn moves pixels onto pixels.
    """
    cosine, sine = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    linear = np.array([[cosine, sine], [-sine, cosine]])
    middle_in = np.array([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2])
    middle_out = np.array([(out_hw[1] - 1) / 2 + shift_yx[1], (out_hw[0] - 1) / 2 + shift_yx[0]])
    return np.column_stack([linear, middle_out - linear @ middle_in])


def rotated_size(size_hw: tuple[int, int], degrees: float) -> tuple[int, int]:
    """The canvas that holds an image turned by ``degrees``, rounded down to whole pixels."""
    height, width = size_hw
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    tolerance = 1e-6  # cos(90 degrees) is 6e-17, not 0
    return int(height * cosine + width * sine + tolerance), int(width * cosine + height * sine + tolerance)


def warp(
    array: np.ndarray, matrix: np.ndarray, out_hw: tuple[int, int], fill: Sequence[float], interpolation: str = "LINEAR"
) -> np.ndarray:
    """``array`` under an affine ``matrix`` (input to output), ``fill`` outside; in uint8 the fill is rounded."""
    height, width = out_hw
    mode = INTERPOLATIONS[interpolation]
    return cv2.warpAffine(array, matrix, (width, height), flags=mode, borderMode=cv2.BORDER_CONSTANT, borderValue=fill)


# --- values ---------------------------------------------------------------------------------------------------------


def swap_channels(image: np.ndarray) -> np.ndarray:
    """RGB for BGR, BGR for RGB."""
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def as_uint8(image: np.ndarray) -> np.ndarray:
    """Grey levels rounded to the nearest whole one and limited to 0..255."""
    return image if image.dtype == np.uint8 else cv2.convertScaleAbs(np.maximum(image, 0))


def _luma(rgb: bool) -> tuple[float, ...]:
    return LUMA_RGB if rgb else LUMA_RGB[::-1]


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """uint8 image times ``factor``, rounded and limited to 0..255."""
    return cv2.addWeighted(image, factor, image, 0, 0)


def contrast(image: np.ndarray, factor: float, rgb: bool = True) -> np.ndarray:
    """uint8 image drawn towards (factor < 1) or away from the mean luma of the whole image."""
    mean_luma = float(np.dot(cv2.mean(image)[:3], _luma(rgb)))
    return cv2.addWeighted(image, factor, image, 0, (1 - factor) * mean_luma)


def saturation(image: np.ndarray, factor: float, rgb: bool = True) -> np.ndarray:
    """uint8 image drawn towards (factor < 1) or away from its own luma, pixel by pixel."""
    matrix = factor * np.eye(3) + (1 - factor) * np.tile(_luma(rgb), (3, 1))
    return cv2.transform(image, matrix)


def hue(image: np.ndarray, steps: float, rgb: bool = True) -> np.ndarray:
    """uint8 image with its hue turned by ``steps`` of 1/255 turn (half of 255: complementary colours)."""
    to_hsv, back = (cv2.COLOR_RGB2HSV, cv2.COLOR_HSV2RGB) if rgb else (cv2.COLOR_BGR2HSV, cv2.COLOR_HSV2BGR)
    hsv = cv2.cvtColor(image.astype(np.float32), to_hsv)
    hsv[..., 0] += steps * 360 / 255 % 360  # OpenCV's way back takes angles above 360, but none below 0
    return as_uint8(cv2.cvtColor(hsv, back))


def sharpness(image: np.ndarray, factor: float) -> np.ndarray:
    """uint8 image drawn towards (factor < 1) or away from its 3x3 smoothing; the outermost pixels stay as they are."""
    smoothing = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    kernel = (1 - factor) * smoothing
    kernel[1, 1] += factor
    sharpened = image.copy()
    sharpened[1:-1, 1:-1] = cv2.filter2D(image, -1, kernel)[1:-1, 1:-1]
    return sharpened


def blur(image: np.ndarray, kind: str, kernel: int) -> np.ndarray:
    """uint8 image under a ``kernel`` x ``kernel`` (odd) ``"gaussian"``, ``"median"`` or ``"blur"`` (box) filter."""
    if kind == "gaussian":
        return cv2.GaussianBlur(image, (kernel, kernel), 0)
    if kind == "median":
        return cv2.medianBlur(image, kernel)
    return cv2.blur(image, (kernel, kernel))


def add_noise(image: np.ndarray, sigma: float, seed: int) -> np.ndarray:
    """uint8 image plus normal noise of standard deviation ``sigma`` on every value, rounded and limited to 0..255."""
    noise = np.random.Generator(np.random.SFC64(seed)).standard_normal(image.shape, dtype=np.float32)
    noise *= np.float32(sigma)
    noise += image
    return as_uint8(noise)


def normalize(image: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """``(image / 255 - mean) / std`` per channel, ``[H, W, 3]`` float32, within 1e-6 of the formula.

    The result is a view of channel planes, so that turning it into ``[3, H, W]`` later costs nothing. uint8 goes
    through one 256-entry table per channel.
    """
    height, width, channels = image.shape
    planes = np.empty((channels, height, width), np.float32)
    for channel, (m, s) in enumerate(zip(mean, std)):
        values = image[..., channel]
        if image.dtype == np.uint8:
            table = ((np.arange(256) / 255 - m) / s).astype(np.float32)
            cv2.LUT(np.ascontiguousarray(values), table, dst=planes[channel])
        else:
            np.multiply(values, np.float32(1 / (255 * s)), out=planes[channel])
            planes[channel] -= np.float32(m / s)
    return planes.transpose(1, 2, 0)
