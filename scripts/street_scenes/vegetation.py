"""Trees and bushes: crowns cut out of noise, lit from the sun's side."""

from __future__ import annotations

import math

import numpy as np

from .camera import Frame
from .classes import TrainId
from .colours import LEAVES, Colour, pick, tint, vary
from .layout import Item
from .light import Light
from .painter import Painter
from .sketch import Sketch
from .textures import LEAF, PATCH, noise, to_bytes


def draw_tree(painter: Painter, light: Light, item: Item) -> None:
    """A tree with a crown ``item.width`` wide; variants ``round``, ``tall``, ``conifer``, ``bush``."""
    rng = np.random.default_rng(item.seed)
    owner = painter.begin(TrainId.VEGETATION, item.z, 0.14)
    leaf = vary(rng, pick(rng, LEAVES), 0.10, 0.28)
    low = {"bush": 0.0, "conifer": 0.12, "tall": 0.18, "round": 0.30}[item.variant] * item.height
    foot = np.array([[item.s, low, item.z], [item.s, item.height, item.z]])
    (x, bottom), (_, top) = painter.camera.project(foot)
    half = item.width / 2 * painter.camera.scale(item.z)
    box = np.array([[x - half, top], [x + half, bottom]])
    if painter.box(box) is None:
        return
    if item.variant != "bush":
        _trunk(painter, light, item, rng, low, owner)
    height, width = max(2, int(bottom - top)), max(2, int(2 * half))
    mask, rgb = crown(rng, leaf, light, (height, width), item.variant, item.width)
    painter.stamp(mask, rgb, (int(x - half), int(top)), owner)


def _trunk(painter: Painter, light: Light, item: Item, rng: np.random.Generator, low: float, owner: int) -> None:
    sketch = Sketch(painter, light, Frame(item.s, item.z, 0.0, y=item.y))
    bark = vary(rng, pick(rng, ((84, 70, 56), (66, 58, 50), (112, 100, 84))), 0.06, 0.2)
    girth = 0.14 + 0.022 * item.height
    top = low + 0.45 * (item.height - low)
    sketch.stroke([(0, 0, 0), (0, low * 1.1, 0)], bark, girth, owner)
    if sketch.pixels * girth > 2:
        side = 0.25 * girth * (1 if light.sun[0] > 0 else -1)
        sketch.stroke([(0, 0, side), (0, low * 1.1, side)], tint(bark, 1.0 + 0.35 * light.direct), girth * 0.45, owner)
    if item.variant != "conifer":
        for w in (-0.24, 0.2):
            sketch.stroke([(0, low, 0), (0, top, w * item.width)], tint(bark, 0.8), girth * 0.45, owner)
    sketch.draw()


def crown(
    rng: np.random.Generator, leaf: Colour, light: Light, size_hw: tuple[int, int], variant: str, metres: float
) -> tuple[np.ndarray, np.ndarray]:
    """A crown of leaves.

    Returns:
        Mask ``[h, w]`` uint8 (0 or 255) and colour ``[h, w, 3]`` uint8.
    """
    height, width = size_hw
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) * (2.0 / height) - 1.0
    x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) * (2.0 / width) - 1.0
    spread = np.float32(1.0)
    if variant == "conifer":
        spread = np.clip((y + 1.02) / 2, 0.04, 1.0) ** 0.8
    body = x * x / (spread * spread) + (y * y if variant != "conifer" else 0.35 * np.abs(y) ** 6)
    clump = 22.0 * metres / 5.0
    shape = noise(rng, PATCH, size_hw, (clump * height / width, clump))
    texels = min(256.0, 18.0 * metres)
    leaves = noise(rng, LEAF, size_hw, (texels * height / width, texels))
    field = 1.0 - body + 0.16 * shape + 0.13 * leaves
    mask = np.where(field > 0.22, 255, 0).astype(np.uint8)
    sun_x, sun_y = light.sun[0], light.sun[1]
    lit = 0.5 - 0.5 * (y * (0.5 + 0.5 * sun_y) - x * sun_x * 0.7)
    level = 0.42 + (0.28 + 0.42 * light.direct) * lit + 0.15 * shape + 0.18 * leaves
    colour = np.array(leaf, np.float32) * np.array(
        [1.0, 1.0, 1.0 - 0.1 * math.copysign(1, light.direct - 0.2)], np.float32
    )
    return mask, to_bytes(level[..., None] * colour)
