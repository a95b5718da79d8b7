"""Poles, lamps, traffic lights, signs, and things that Cityscapes leaves without a class."""

from __future__ import annotations

import math

import numpy as np

from .camera import Frame
from .classes import TrainId
from .colours import SHOP_SIGNS, Colour, pick, tint, vary
from .layout import Item
from .light import Light
from .painter import Painter
from .sketch import Point, Sketch, end_box

METALS: tuple[Colour, ...] = ((92, 96, 98), (128, 130, 128), (64, 72, 66), (50, 50, 52), (112, 104, 90))
RED: Colour = (186, 30, 32)
WHITE: Colour = (232, 232, 228)
BLUE: Colour = (28, 72, 160)


def _sketch(painter: Painter, light: Light, item: Item) -> tuple[np.random.Generator, Sketch]:
    frame = Frame(item.s, item.z, item.heading, y=item.y)
    return np.random.default_rng(item.seed), Sketch(painter, light, frame)


def _post(sketch: Sketch, high: float, width: float, colour: Colour, owner: int, w: float = 0.0) -> None:
    """A post with a lit and a dark edge."""
    sketch.stroke([(0.0, 0.0, w), (0.0, high, w)], tint(colour, 0.85), width, owner)
    if sketch.pixels * width > 3:
        side = 0.25 * width * (1 if sketch.light.sun[0] > 0 else -1)
        sketch.stroke([(0.0, 0.0, w + side), (0.0, high, w + side)], tint(colour, 1.25), width * 0.4, owner)


def draw_lamp(painter: Painter, light: Light, item: Item) -> None:
    """A street lamp; its arm reaches over the road, which is to the left where ``item.s`` is positive."""
    rng, sketch = _sketch(painter, light, item)
    owner, metal = painter.begin(TrainId.POLE, item.z, 0.02), pick(rng, METALS)
    reach = -math.copysign(float(rng.uniform(1.0, 2.2)), item.s)
    _post(sketch, item.height, float(rng.uniform(0.14, 0.22)), metal, owner)
    sketch.stroke(
        [(0, item.height - 0.3, 0), (0, item.height, reach * 0.4), (0, item.height, reach)], metal, 0.1, owner
    )
    head = [(0, item.height - 0.06, reach), (0, item.height - 0.02, reach * 1.35)]
    sketch.stroke(head, tint(metal, 1.4), 0.18, owner)
    sketch.draw()


def draw_bollard(painter: Painter, light: Light, item: Item) -> None:
    """A short post, sometimes banded in red and white."""
    rng, sketch = _sketch(painter, light, item)
    owner, metal = painter.begin(TrainId.POLE, item.z, 0.02), pick(rng, METALS)
    _post(sketch, item.height, 0.14, metal, owner)
    if item.variant == "banded":
        sketch.stroke([(0, item.height - 0.22, 0), (0, item.height - 0.08, 0)], RED, 0.14, owner)
        sketch.stroke([(0, item.height - 0.36, 0), (0, item.height - 0.24, 0)], WHITE, 0.14, owner)
    sketch.draw()


def draw_traffic_light(painter: Painter, light: Light, item: Item) -> None:
    """A signal on a post; variant ``arm`` adds a second one over the road."""
    rng, sketch = _sketch(painter, light, item)
    pole, signal = painter.begin(TrainId.POLE, item.z, 0.02), painter.begin(TrainId.TRAFFIC_LIGHT, item.z, 0.02)
    metal, lit = pick(rng, METALS), int(rng.integers(3))
    away = rng.random() < 0.12
    housing = pick(rng, ((22, 24, 24), (30, 40, 34), (46, 46, 44), (150, 130, 40)))
    rim = rng.random() < 0.4
    if item.variant == "arm":
        reach = -math.copysign(float(rng.uniform(2.6, 4.0)), item.s)
        _post(sketch, 5.6, 0.18, metal, pole)
        sketch.stroke([(0, 5.5, 0), (0, 5.6, reach)], metal, 0.12, pole)
        _signal(sketch, 4.75, reach * 0.95, housing, lit, away, rim, signal)
    else:
        _post(sketch, item.height, 0.14, metal, pole)
    _signal(sketch, 2.35, 0.0, housing, lit, away, rim, signal)
    sketch.draw()


def _signal(sketch: Sketch, low: float, w: float, housing: Colour, lit: int, away: bool, rim: bool, owner: int) -> None:
    if rim and not away:
        sketch.face(end_box(w - 0.27, w + 0.27, low - 0.1, low + 1.05, 0.0), WHITE, owner)
    sketch.face(end_box(w - 0.19, w + 0.19, low, low + 0.95, -0.05), housing, owner)
    if away:
        return
    glow = ((60, 230, 130), (255, 190, 40), (255, 50, 40))
    for k in range(3):
        colour = glow[k] if k == lit else tint(glow[k], 0.16)
        sketch.ball((-0.1, low + 0.18 + 0.3 * k, w), (0.125, 0.125), colour, owner)


def draw_sign(painter: Painter, light: Light, item: Item) -> None:
    """A traffic sign on its post; the variant names the shape, ``board`` is a large direction sign."""
    rng, sketch = _sketch(painter, light, item)
    pole, plate = painter.begin(TrainId.POLE, item.z, 0.02), painter.begin(TrainId.TRAFFIC_SIGN, item.z, 0.015)
    metal = pick(rng, METALS)
    if item.variant == "board":
        half, low = float(rng.uniform(0.9, 1.5)), 2.6
        high = low + float(rng.uniform(0.9, 1.6))
        for w in (-0.6 * half, 0.6 * half):
            _post(sketch, high, 0.12, metal, pole, w)
        _board(sketch, rng, half, low, high, plate)
        sketch.draw()
        return
    _post(sketch, 2.9, 0.09, metal, pole)
    centre = (-0.05, 2.5, 0.0)
    size = float(rng.uniform(0.34, 0.46))
    _plate(sketch, item.variant, centre, size, rng, plate)
    if rng.random() < 0.35:
        sketch.face(end_box(-size * 0.9, size * 0.9, 1.72, 2.0, -0.05), WHITE, plate)
        sketch.face(end_box(-size * 0.6, size * 0.6, 1.82, 1.90, -0.06), (40, 40, 42), plate)
    sketch.draw()


def _polygon(centre: Point, radius: float, corners: int, turn: float) -> list[Point]:
    u, v, w = centre
    angles = (turn + 2 * math.pi * i / corners for i in range(corners))
    return [(u, v + radius * math.sin(a), w + radius * math.cos(a)) for a in angles]


def _plate(sketch: Sketch, shape: str, centre: Point, size: float, rng: np.random.Generator, owner: int) -> None:
    u, v, w = centre
    if shape == "round":
        rim, inside = pick(rng, ((RED, WHITE), (RED, BLUE), (BLUE, BLUE), (RED, RED)))
        sketch.ball(centre, (size, size), WHITE, owner)
        sketch.ball(centre, (size * 0.94, size * 0.94), rim, owner)
        sketch.ball(centre, (size * 0.68, size * 0.68), inside, owner)
        ink = WHITE if inside != WHITE else (30, 30, 32)
        sketch.face(end_box(w - size * 0.4, w + size * 0.4, v - size * 0.14, v + size * 0.14, u - 0.01), ink, owner)
    elif shape == "triangle":
        turn = math.pi / 2 if rng.random() < 0.6 else -math.pi / 2
        sketch.face(_polygon(centre, size * 1.25, 3, turn), RED, owner)
        sketch.face(_polygon(centre, size * 0.75, 3, turn), WHITE, owner)
    elif shape == "diamond":
        sketch.face(_polygon(centre, size * 1.2, 4, 0.0), WHITE, owner)
        sketch.face(_polygon(centre, size * 0.9, 4, 0.0), (236, 186, 30), owner)
    elif shape == "stop":
        sketch.face(_polygon(centre, size * 1.1, 8, math.pi / 8), WHITE, owner)
        sketch.face(_polygon(centre, size, 8, math.pi / 8), RED, owner)
        sketch.face(end_box(w - size * 0.6, w + size * 0.6, v - 0.09, v + 0.09, u), WHITE, owner)
    else:
        back = pick(rng, (BLUE, BLUE, (20, 110, 70), WHITE, (236, 196, 40)))
        sketch.face(end_box(w - size, w + size, v - size, v + size, u), back, owner)
        ink = WHITE if back != WHITE else (30, 30, 32)
        sketch.face(end_box(w - size * 0.25, w + size * 0.1, v - size * 0.7, v + size * 0.7, u), ink, owner)
        sketch.face(end_box(w + size * 0.1, w + size * 0.5, v, v + size * 0.7, u), ink, owner)


def _board(sketch: Sketch, rng: np.random.Generator, half: float, low: float, high: float, owner: int) -> None:
    back = pick(rng, (BLUE, (240, 200, 40), (20, 104, 66), WHITE))
    ink = WHITE if back in (BLUE, (20, 104, 66)) else (28, 28, 30)
    sketch.face(end_box(-half, half, low, high, -0.08), WHITE, owner)
    sketch.face(end_box(-half + 0.05, half - 0.05, low + 0.05, high - 0.05, -0.09), back, owner)
    for k in range(int((high - low) / 0.42)):
        v = low + 0.2 + 0.42 * k
        length = float(rng.uniform(0.5, 0.95)) * 2 * (half - 0.2)
        sketch.face(end_box(-half + 0.15, -half + 0.15 + length, v, v + 0.16, -0.1), ink, owner)


def draw_clutter(painter: Painter, light: Light, item: Item) -> None:
    """Bins, boxes and advertising boards: in the picture, without a class in the label."""
    rng, sketch = _sketch(painter, light, item)
    owner = painter.begin(TrainId.IGNORE, item.z, 0.03)
    half, high = item.width / 2, item.height
    paint = vary(rng, pick(rng, METALS + SHOP_SIGNS), 0.1, 0.2)
    sketch.solid([(-half, 0, half), (half, 0, half), (half, high, half), (-half, high, half)], paint, owner)
    if item.variant == "board":
        sketch.face(end_box(-half * 0.85, half * 0.85, 0.6, high - 0.15, -half - 0.01), pick(rng, SHOP_SIGNS), owner)
        for k in range(3):
            v = 0.8 + k * 0.4
            sketch.face(end_box(-half * 0.6, half * 0.5, v, v + 0.14, -half - 0.02), (230, 228, 220), owner)
    elif item.variant == "bin":
        lid = [(-half * 1.1, high, half * 1.1), (half * 1.1, high, half * 1.1), (half, high + 0.08, half),
               (-half, high + 0.08, half)]  # fmt: skip
        sketch.solid(lid, tint(paint, 0.6), owner)
    sketch.draw()
