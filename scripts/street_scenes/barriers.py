"""What stands along the street: fences, walls and hedges, in pieces short enough to be sorted by depth."""

from __future__ import annotations

import math

import numpy as np

from .camera import Frame
from .classes import TrainId
from .colours import BRICKS, LEAVES, PLASTERS, STONES, Colour, pick, tint, vary
from .layout import Item
from .light import Light
from .painter import Painter
from .sketch import Point, Sketch, side_box
from .textures import LEAF, add_courses, noise, surface, to_bytes


def draw_fence(painter: Painter, light: Light, item: Item) -> None:
    """A piece of fence along the street; variants ``railing``, ``mesh``, ``plank``, ``barrier``."""
    rng = np.random.default_rng(item.run)
    sketch = Sketch(painter, light, Frame(item.s, item.z, 0.0, y=item.y))
    owner = painter.begin(TrainId.FENCE, item.z, 0.03)
    u0, u1, high = -item.length / 2, item.length / 2, item.height
    metals = ((52, 54, 56), (120, 124, 126), (40, 66, 52), (196, 198, 196), (98, 72, 56))
    colour = vary(rng, pick(rng, metals), 0.05, 0.2)
    camera = painter.camera
    across = camera.focal * max(1.0, abs(item.s + camera.bend(item.z))) / item.z**2  # pixels per metre of fence
    if item.variant == "plank":
        wood = tint(vary(rng, (128, 98, 68), 0.08, 0.3), sketch.shade(0, 0, -math.copysign(1, item.s)))
        sketch.face(side_box(u0, u1, 0.0, high, 0.0), wood, owner)
        step = max(0.16, 3.0 / across)
        sketch.bars(_uprights(u0, u1, step, 0.0, high), tint(wood, 0.62), 0.02, owner)
        sketch.bars([(u0, high * 0.85, 0), (u1, high * 0.85, 0)], tint(wood, 0.75), 0.06, owner)
        sketch.draw()
        return
    sketch.veil(side_box(u0, u1, 0.0, high, 0.0), colour, 0.42 if item.variant == "mesh" else 0.22, owner)
    step = max(0.10 if item.variant == "mesh" else 0.16, 4.0 / across)
    sketch.bars(_uprights(u0, u1, step, 0.0, high), colour, 0.025, owner)
    rails = (0.06, 0.97) if item.variant == "railing" else (0.05, 0.5, 0.97)
    for share in rails:
        sketch.bars([(u0, high * share, 0.0), (u1, high * share, 0.0)], colour, 0.05, owner)
    sketch.bars(_uprights(u0, u1, 2.4, 0.0, high * 1.04), tint(colour, 0.8), 0.07, owner)
    sketch.draw()


def _uprights(u0: float, u1: float, step: float, low: float, high: float) -> list[Point]:
    return [(float(u), v, 0.0) for u in np.arange(u0, u1 + 1e-6, step) for v in (low, high)]


def _side_quad(painter: Painter, item: Item, high: float) -> np.ndarray:
    """The side of a piece towards the street, as (top left, top right, bottom right, bottom left) pixels."""
    z0, z1 = item.z - item.length / 2, item.z + item.length / 2
    left, right = (z0, z1) if item.s < 0 else (z1, z0)
    corners = [(left, high), (right, high), (right, 0.0), (left, 0.0)]
    return painter.camera.project(np.array([(item.s, item.y + v, z) for z, v in corners]))


def _end_quad(painter: Painter, item: Item, high: float) -> np.ndarray:
    """The end of a piece towards the camera."""
    z0, outer = item.z - item.length / 2, item.s + math.copysign(item.width, item.s)
    left, right = min(item.s, outer), max(item.s, outer)
    corners = [(left, high), (right, high), (right, 0.0), (left, 0.0)]
    return painter.camera.project(np.array([(s, item.y + v, z0) for s, v in corners]))


def _texture_size(painter: Painter, item: Item) -> tuple[int, int]:
    scale = min(60.0, painter.camera.scale(item.z - item.length / 2))
    return int(np.clip(item.height * scale, 4, 200)), int(np.clip(item.length * scale, 8, 500))


def draw_wall(painter: Painter, light: Light, item: Item) -> None:
    """A piece of wall with its coping; variants ``brick``, ``concrete``, ``stone``."""
    rng = np.random.default_rng(item.run)
    owner = painter.begin(TrainId.WALL, item.z, 0.05)
    palette = {"brick": BRICKS, "concrete": ((150, 148, 142), (170, 166, 156), (120, 120, 118)), "stone": STONES}
    base = vary(rng, pick(rng, palette[item.variant] if rng.random() < 0.8 else PLASTERS), 0.06, 0.2)
    coping = tint(base, 1.2)
    for quad, normal in (
        (_end_quad(painter, item, item.height), (0.0, 0.0, -1.0)),
        (_side_quad(painter, item, item.height), (-math.copysign(1, item.s), 0.0, 0.0)),
    ):
        if painter.box(quad) is None:
            continue
        height, width = _texture_size(painter, item)
        shade = light.shade(normal)
        texture = surface(rng, tint(base, shade), (height, width), 0.10)
        scale = height / item.height
        if item.variant != "concrete":
            course = (0.16 if item.variant == "brick" else 0.34) * scale
            add_courses(texture, course, course * 2.6, tint(base, 0.62 * shade), 0.7)
        else:
            texture[:, :: max(3, int(2.4 * scale))] = tint(base, 0.6 * shade)
        texture[: max(1, int(0.14 * scale))] = tint(coping, shade)
        texture[int(height * 0.93) :] = (texture[int(height * 0.93) :] * 0.75).astype(np.uint8)
        painter.warp(texture, quad, owner)


def draw_hedge(painter: Painter, light: Light, item: Item) -> None:
    """A piece of clipped hedge with an uneven upper edge."""
    rng = np.random.default_rng(item.run)
    leaf = vary(rng, pick(rng, LEAVES), 0.08, 0.2)
    rng = np.random.default_rng(item.seed)
    owner = painter.begin(TrainId.VEGETATION, item.z, 0.13)
    for quad, normal in (
        (_end_quad(painter, item, item.height), (0.0, 0.2, -0.98)),
        (_side_quad(painter, item, item.height), (-0.98 * math.copysign(1, item.s), 0.2, 0.0)),
    ):
        if painter.box(quad) is None:
            continue
        texture, cutout = _hedge_texture(rng, leaf, light.shade(normal), _texture_size(painter, item))
        painter.warp(texture, quad, owner, cutout)


def _hedge_texture(
    rng: np.random.Generator, leaf: Colour, shade: float, size_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    height, width = size_hw
    field = noise(rng, LEAF, size_hw, (max(8, height * 0.7), max(8, width * 0.7)))
    rise = np.linspace(1.0, 0.0, height, dtype=np.float32)[:, None]
    level = shade * (0.55 + 0.45 * rise + 0.20 * field)
    edge = 0.86 + 0.07 * noise(rng, LEAF, (1, width), (2, max(8, width * 0.3)))
    cutout = np.where(rise < edge, 255, 0).astype(np.uint8)
    return to_bytes(level[..., None] * np.array(leaf, np.float32)), cutout
