"""Noise tiles and surfaces, all made from numbers: no image file is read."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from .colours import Colour

TILE = 512
CLOUD, PATCH, LEAF, GRIT = 1.7, 1.25, 0.85, 0.35  # spectral slopes, from soft to gritty


@cache
def noise_tile(slope: float) -> np.ndarray:
    """A seamless noise tile ``[1024, 1024]`` float32 (period 512), mean 0 and standard deviation 1.

    Amplitude falls with frequency as ``f**-slope``. The tile is the same in every run.
    """
    rng = np.random.default_rng(int(slope * 1000))
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    fy, fx = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :]
    radius = np.maximum(np.hypot(fy, fx), 1.0 / TILE)
    tile = np.fft.irfft2(spectrum * radius**-slope, s=(TILE, TILE))
    tile = ((tile - tile.mean()) / tile.std()).astype(np.float32)
    return np.tile(tile, (2, 2))


def noise(
    rng: np.random.Generator, slope: float, size_hw: tuple[int, int], texels_hw: tuple[float, float]
) -> np.ndarray:
    """A random window of a noise tile, ``texels_hw`` texels large, stretched to ``size_hw``; float32."""
    tile = noise_tile(slope)
    rows, columns = (int(min(max(2, t), TILE)) for t in texels_hw)
    y, x = (int(v) for v in rng.integers(0, TILE, 2))
    window = tile[y : y + rows, x : x + columns]
    if (rows, columns) == tuple(size_hw):
        return window
    return cv2.resize(window, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_LINEAR)


def surface(
    rng: np.random.Generator, colour: Colour, size_hw: tuple[int, int], roughness: float, slope: float = PATCH
) -> np.ndarray:
    """A plain surface ``[h, w, 3]`` uint8 whose brightness wavers by ``roughness`` (standard deviation)."""
    field = 1.0 + roughness * noise(rng, slope, size_hw, size_hw)
    return to_bytes(field[..., None] * np.array(colour, np.float32))


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Float values to uint8, saturating."""
    return np.clip(values, 0, 255).astype(np.uint8)


def add_courses(texture: np.ndarray, course: float, brick: float, mortar: Colour, strength: float) -> None:
    """Draw brick or block courses on ``texture`` in place; ``course`` and ``brick`` are sizes in pixels."""
    height, width = texture.shape[:2]
    if course < 3:
        return
    layer = texture.copy()
    ys = np.arange(0, height, course).astype(int)
    layer[ys] = mortar
    for i, y in enumerate(ys):
        xs = np.arange((i % 2) * brick / 2, width, brick).astype(int)
        layer[y : y + int(course), xs] = mortar
    cv2.addWeighted(layer, strength, texture, 1.0 - strength, 0.0, dst=texture)
