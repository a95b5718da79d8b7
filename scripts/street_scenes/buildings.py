"""Buildings along the street: a facade, the end wall that is seen over a gap, a roof; and far towers."""

from __future__ import annotations

import math

import numpy as np

from .classes import TrainId
from .colours import BRICKS, PLASTERS, STONES, Colour, mix, pick, tint, vary
from .facades import Facade
from .layout import Item
from .light import Light
from .painter import Painter

ROOFS: tuple[Colour, ...] = ((112, 60, 46), (92, 52, 44), (72, 72, 76), (86, 84, 80), (58, 58, 62))


def draw_building(painter: Painter, light: Light, item: Item) -> None:
    """One building; ``item.variant`` is the theme of its side of the street."""
    rng = np.random.default_rng(item.seed)
    sign = math.copysign(1.0, item.s)
    camera = painter.camera
    z0, z1 = item.z - item.length / 2, item.z + item.length / 2
    owner = painter.begin(TrainId.BUILDING, item.z, 0.035)
    style = pick(rng, ("plaster", "plaster", "brick", "stone", "glass") if item.variant == "shops" else
                 ("plaster", "plaster", "brick"))  # fmt: skip
    base = vary(rng, pick(rng, {"brick": BRICKS, "stone": STONES}.get(style, PLASTERS)), 0.06, 0.18)
    pitched = style != "glass" and rng.random() < 0.7
    roof = vary(rng, pick(rng, ROOFS), 0.06, 0.2)
    nearest = max(z0, 3.0)
    if z0 > 3.0:
        _end_wall(painter, light, item, base, owner, pitched)
    seen_from = abs(item.s + camera.bend(nearest)) * camera.focal / (0.5 * camera.width) * 0.85
    start = min(max(nearest, seen_from if camera.curvature == 0 else nearest), z1)
    if start > z1 - 0.2:
        return
    if pitched and abs(item.s) * 3.2 > (item.height - camera.eye_height) * 4.5:  # else the eaves hide the slope
        ridge = item.s + sign * 4.5
        slope = np.array([[item.s - sign * 0.3, item.height, start], [item.s - sign * 0.3, item.height, z1],
                          [ridge, item.height + 3.2, z1], [ridge, item.height + 3.2, start]])  # fmt: skip
        painter.fill(camera.project(slope), tint(roof, light.shade((-0.6 * sign, 0.8, 0.0))), owner)
    left, right = (start, z1) if sign < 0 else (z1, start)
    quad = camera.project(np.array([(item.s, item.height, left), (item.s, item.height, right), (item.s, 0.0, right),
                                    (item.s, 0.0, left)]))  # fmt: skip
    if painter.box(quad) is None:
        return
    scale = camera.scale(start)
    height = int(np.clip(item.height * scale, 6, 900))
    width = int(np.clip((z1 - start) * scale, 6, 1000))
    facade = Facade(rng, style, base, item.variant, light.haze_colour, light.shade((-sign, 0.0, 0.0)))
    painter.warp(facade.paint(z1 - start, item.height, (height, width)), quad, owner)


def _end_wall(painter: Painter, light: Light, item: Item, base: Colour, owner: int, pitched: bool) -> None:
    """The wall that faces the camera, with a few windows; a pitched roof gives it a gable."""
    sign, z0 = math.copysign(1.0, item.s), item.z - item.length / 2
    outer = item.s + sign * item.width
    corners = [(item.s, 0.0), (item.s, item.height), (outer, item.height), (outer, 0.0)]
    if pitched:
        corners.insert(2, (item.s + sign * 4.5, item.height + 3.2))
    outline = painter.camera.project(np.array([(s, y, z0) for s, y in corners]))
    if painter.box(outline) is None:
        return
    shade = light.shade((0.0, 0.0, -1.0))
    painter.fill(outline, tint(base, 0.94 * shade), owner)
    if painter.camera.scale(z0) < 5:
        return
    glass = mix((40, 46, 54), light.haze_colour, 0.15)
    windows = []
    for floor in range(int(item.height / 3.1)):
        for k in range(2):
            s, y = item.s + sign * (2.0 + 3.6 * k), 1.2 + 3.1 * floor
            if y + 1.4 > item.height:
                continue
            windows += [(s, y, z0), (s + sign * 1.1, y, z0), (s + sign * 1.1, y + 1.4, z0), (s, y + 1.4, z0)]
    if windows:
        for window in painter.camera.project(np.array(windows)).reshape(-1, 4, 2):
            painter.fill(window, glass, owner)


def draw_tower(painter: Painter, light: Light, item: Item) -> None:
    """A distant building that closes the view."""
    rng = np.random.default_rng(item.seed)
    owner = painter.begin(TrainId.BUILDING, item.z, 0.03)
    base = tint(vary(rng, pick(rng, PLASTERS + BRICKS), 0.06, 0.2), light.shade((0.0, 0.0, -1.0)))
    left, right, z = item.s - item.width / 2, item.s + item.width / 2, item.z
    quad = painter.camera.project(
        np.array([(left, item.height, z), (right, item.height, z), (right, 0, z), (left, 0, z)])
    )
    if painter.box(quad) is None:
        return
    painter.fill(quad, base, owner)
    dark = mix(base, (40, 46, 56), 0.45)
    bands = [point for y in np.arange(1.5, item.height - 1.5, 3.2) for point in
             ((left + 1, y, z), (right - 1, y, z), (right - 1, y + 1.4, z), (left + 1, y + 1.4, z))]  # fmt: skip
    for band in painter.camera.project(np.array(bands)).reshape(-1, 4, 2):
        painter.fill(band, dark, owner)
