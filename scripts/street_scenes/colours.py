"""Colours as ``(r, g, b)`` floats 0..255, and the palettes the scenes choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Colour = tuple[float, float, float]
T = TypeVar("T")

CAR_PAINTS: tuple[Colour, ...] = (
    (28, 28, 30), (60, 63, 67), (120, 124, 128), (176, 180, 184), (226, 228, 228), (236, 234, 226),
    (30, 44, 88), (44, 84, 140), (104, 138, 170), (132, 22, 26), (176, 38, 32), (84, 22, 30),
    (38, 72, 48), (92, 108, 72), (190, 160, 40), (188, 96, 34), (112, 86, 62), (168, 152, 122),
)  # fmt: skip
FLEET_PAINTS: tuple[Colour, ...] = (
    (228, 228, 224), (196, 170, 30), (172, 32, 36), (30, 70, 130), (40, 110, 72), (214, 120, 34),
    (120, 124, 128), (96, 40, 92), (48, 52, 60), (222, 204, 160), (90, 150, 180),
)  # fmt: skip
CLOTHES: tuple[Colour, ...] = (
    (24, 25, 30), (48, 50, 58), (86, 88, 94), (150, 150, 150), (222, 220, 214), (32, 44, 86),
    (60, 86, 132), (120, 150, 186), (150, 34, 40), (196, 66, 50), (206, 120, 150), (96, 44, 84),
    (44, 86, 60), (110, 120, 60), (206, 176, 60), (224, 130, 50), (110, 80, 56), (178, 150, 116),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = (
    (26, 27, 32), (40, 46, 66), (58, 76, 112), (92, 110, 140), (84, 78, 70), (150, 136, 110), (66, 66, 68),
)  # fmt: skip
SKIN: tuple[Colour, ...] = ((232, 194, 168), (214, 168, 138), (178, 128, 98), (132, 90, 66), (92, 62, 46))
HAIR: tuple[Colour, ...] = ((28, 24, 22), (60, 42, 30), (108, 78, 46), (170, 138, 84), (150, 148, 144))
PLASTERS: tuple[Colour, ...] = (
    (206, 196, 174), (222, 214, 200), (190, 176, 150), (214, 190, 140), (196, 150, 120), (176, 186, 176),
    (160, 172, 184), (226, 206, 172), (180, 160, 152), (148, 140, 130), (204, 170, 160), (232, 230, 224),
)  # fmt: skip
BRICKS: tuple[Colour, ...] = (
    (146, 78, 60),
    (122, 66, 52),
    (164, 104, 76),
    (108, 74, 62),
    (172, 134, 100),
    (96, 58, 50),
)
STONES: tuple[Colour, ...] = ((166, 156, 138), (142, 134, 122), (184, 172, 150), (120, 116, 110))
SHOP_SIGNS: tuple[Colour, ...] = (
    (176, 30, 34), (28, 66, 140), (26, 110, 70), (226, 180, 30), (30, 30, 34), (228, 228, 224), (200, 90, 30),
    (120, 40, 110), (40, 140, 160),
)  # fmt: skip
LEAVES: tuple[Colour, ...] = (
    (74, 98, 44), (60, 86, 46), (88, 108, 50), (52, 74, 44), (98, 114, 58), (70, 92, 60), (110, 112, 48), (124, 96, 44),
)  # fmt: skip


def pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    """One of ``options``, each as likely."""
    return options[int(rng.random() * len(options))]


def tint(colour: Colour, factor: float) -> Colour:
    """``colour`` times ``factor`` (not negative), at most 255."""
    r, g, b = colour
    return min(255.0, r * factor), min(255.0, g * factor), min(255.0, b * factor)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """``first`` at share 0, ``second`` at share 1."""
    (r0, g0, b0), (r1, g1, b1) = first, second
    return r0 + (r1 - r0) * share, g0 + (g1 - g0) * share, b0 + (b1 - b0) * share


def vary(rng: np.random.Generator, colour: Colour, hue: float = 0.06, brightness: float = 0.15) -> Colour:
    """``colour`` with each channel moved by up to ``hue`` and all of them by up to ``brightness`` (relative)."""
    a, b, c, d = (2.0 * rng.random(4) - 1.0).tolist()
    level = 1.0 + brightness * a
    red, green, blue = colour
    moved = red * level * (1 + hue * b), green * level * (1 + hue * c), blue * level * (1 + hue * d)
    return tint(moved, 1.0)
