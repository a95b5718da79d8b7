"""Label maps as pictures. Images are ``[H, W, 3]`` uint8 RGB, label maps ``[H, W]`` integers.

Paths may hold any letters the file system allows, and missing directories are made.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

IGNORED_RGB = (255, 255, 255)  # no colour of the default palette


def colorize(ids: np.ndarray, palette: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """Pseudo-colours.

    Args:
        ids: ``[H, W]`` integers in ``0..K-1`` or ``ignore_index``.
        palette: ``[K, 3]`` uint8 RGB.
        ignore_index: drawn white unless it is a class of the palette.

    Returns:
        ``[H, W, 3]`` uint8 RGB.

    Raises:
        ValueError: an id that is neither a class nor ``ignore_index``.
    """
    ignored = _ignored(ids, palette, ignore_index)
    table = np.concatenate([palette.astype(np.uint8), np.array([IGNORED_RGB], np.uint8)])
    return table[np.where(ignored, len(palette), ids)]


def overlay(
    image_rgb: np.ndarray, ids: np.ndarray, palette: np.ndarray, alpha: float = 0.6, ignore_index: int = 255
) -> np.ndarray:
    """The pseudo-colours laid over the image; ignored pixels show the image alone.

    Args:
        image_rgb: ``[H, W, 3]`` uint8 RGB.
        ids, palette, ignore_index: as in :func:`colorize`, with the image's size.
        alpha: share of the *image* in the mixture, 0..1 (PaddleSeg's ``weight``, with its value).

    Returns:
        ``[H, W, 3]`` uint8 RGB.

    Raises:
        ValueError: sizes differ, ``alpha`` is outside 0..1, or as :func:`colorize`.
    """
    if image_rgb.shape != (*ids.shape, 3) or image_rgb.dtype != np.uint8:
        raise ValueError(
            f"the image is {image_rgb.dtype} of shape {image_rgb.shape}; expected uint8 of shape {(*ids.shape, 3)}, "
            "the size of the label map"
        )
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; expected the image's share, 0..1")
    mixed = cv2.addWeighted(image_rgb, alpha, colorize(ids, palette, ignore_index), 1 - alpha, 0)
    ignored = _ignored(ids, palette, ignore_index)
    mixed[ignored] = image_rgb[ignored]
    return mixed


def save_index_png(path: str | Path, ids: np.ndarray, palette: np.ndarray) -> None:
    """Write the label map as a palette PNG: its pixel values *are* the ids, and viewers show the colours.

    Entry 255 is white where it is no class, so that ignored pixels look as in :func:`colorize`; other numbers beyond
    the palette are black.

    Args:
        ids: ``[H, W]`` integers in 0..255.
        palette: ``[K, 3]`` uint8 RGB; entries beyond 256 have no use here and are left out.

    Raises:
        ValueError: ids outside 0..255, or more than two dimensions.
    """
    if ids.ndim != 2:
        raise ValueError(f"the label map has shape {ids.shape}; expected [height, width]")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high > 255:
        raise ValueError(
            f"the label map holds the value {low if low < 0 else high}; a palette PNG stores ids in 0..255"
        )
    entries = np.zeros((256, 3), np.uint8)
    entries[255] = IGNORED_RGB
    entries[: len(palette)] = palette[:256]
    picture = Image.fromarray(np.ascontiguousarray(ids, np.uint8))
    picture.putpalette(entries.tobytes(), "RGB")
    picture.save(_made(path), format="PNG")


def save_rgb(path: str | Path, image_rgb: np.ndarray) -> None:
    """Write ``[H, W, 3]`` uint8 RGB in the format the suffix names (.png, .jpg, .bmp, .webp).

    Raises:
        ValueError: a suffix OpenCV writes no pictures for, or an array of another shape or type.
    """
    if image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or image_rgb.dtype != np.uint8:
        raise ValueError(
            f"the image is {image_rgb.dtype} of shape {image_rgb.shape}; expected uint8 [height, width, 3]"
        )
    suffix = Path(path).suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg", ".bmp", ".webp"):
        raise ValueError(f"cannot write a picture named {Path(path).name!r}; expected .png, .jpg, .bmp or .webp")
    _, encoded = cv2.imencode(suffix, cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
    _made(path).write_bytes(encoded.tobytes())  # OpenCV's own writer loses non-ASCII paths on Windows


def _ignored(ids: np.ndarray, palette: np.ndarray, ignore_index: int) -> np.ndarray:
    """Where ``ids`` is no class; every such pixel must hold ``ignore_index``."""
    outside = (ids < 0) | (ids >= len(palette))
    strange = outside & (ids != ignore_index)
    if strange.any():
        raise ValueError(
            f"the label map holds the value {int(ids[strange].flat[0])}; expected 0..{len(palette) - 1} or "
            f"ignore_index {ignore_index}"
        )
    return outside


def _made(path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
