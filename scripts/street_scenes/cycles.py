"""Bicycles and motorcycles, parked or ridden; machine and rider carry their own labels."""

from __future__ import annotations

import numpy as np

from .camera import Frame
from .classes import TrainId
from .colours import CAR_PAINTS, CLOTHES, HAIR, SHOP_SIGNS, SKIN, TROUSERS, Colour, pick, tint, vary
from .layout import Item
from .light import Light
from .painter import Painter
from .people import draw_head
from .sketch import Point, Sketch, ring

RUBBER: Colour = (28, 28, 30)


def draw_bicycle(painter: Painter, light: Light, item: Item) -> None:
    """A bicycle; variant ``ridden`` puts a rider on it."""
    rng = np.random.default_rng(item.seed)
    sketch = Sketch(painter, light, Frame(item.s, item.z, item.heading, y=item.y))
    owner = painter.begin(TrainId.BICYCLE, item.z, 0.03)
    paint = vary(rng, pick(rng, CAR_PAINTS + SHOP_SIGNS), 0.1, 0.25)
    ridden = item.variant == "ridden"
    rider = painter.begin(TrainId.RIDER, item.z, 0.03) if ridden else owner
    look = Rider(rng) if ridden else None
    near = 1 if sketch.eye[2] > 0 else -1
    pedals = [(0.02, 0.22, 0.1), (0.10, 0.42, -0.1)]
    if look:
        look.leg(sketch, (-0.18, 0.92), pedals[near > 0], -near, rider)
    for u in (-0.52, 0.52):
        hub = (u, 0.34, 0.0)
        circle = ring(hub, 0.33, 16)
        sketch.veil(circle, (70, 70, 72), 0.35, owner)
        if sketch.pixels > 22:
            spokes = [point for corner in circle[::2] for point in (hub, corner)]
            sketch.bars(spokes, (120, 120, 122), 0.008, owner)
        sketch.stroke([*circle, circle[0]], RUBBER, 0.055, owner)
    crank, saddle, head = (-0.04, 0.30, 0.0), (-0.22, 0.84, 0.0), (0.36, 0.82, 0.0)
    lines = (
        [(-0.52, 0.34, 0.0), crank, head],
        [(-0.52, 0.34, 0.0), saddle, crank],
        [saddle, head],
        [(0.52, 0.34, 0.0), head],
    )
    for line in lines:
        sketch.stroke(list(line), paint, 0.045, owner)
    sketch.stroke([head, (0.34, 1.0, 0.0)], (70, 70, 72), 0.04, owner)
    sketch.stroke([(0.28, 1.02, -0.28), (0.36, 1.02, 0.0), (0.28, 1.02, 0.28)], (40, 40, 42), 0.04, owner)
    sketch.stroke([(-0.36, 0.9, 0.0), (-0.1, 0.9, 0.0)], (32, 30, 30), 0.09, owner)
    sketch.stroke([(-0.75, 0.66, 0.0), (-0.3, 0.68, 0.0)], (60, 60, 62), 0.05, owner)
    if rng.random() < 0.35:
        sketch.face([(0.42, 0.7, -0.17), (0.42, 0.7, 0.17), (0.62, 0.92, 0.2), (0.62, 0.92, -0.2)], (96, 80, 58), owner)
    if look:
        look.upper(sketch, hips=(-0.18, 0.95), shoulders=(0.14, 1.42), grip=(0.3, 1.04, 0.26), owner=rider)
        look.leg(sketch, (-0.18, 0.92), pedals[near < 0], near, rider)
        look.head(sketch, (0.24, 1.66, 0.0), rider, helmet=rng.random() < 0.5)
    sketch.draw()


def draw_motorcycle(painter: Painter, light: Light, item: Item) -> None:
    """A motorcycle or scooter; variants ``ridden``, ``parked``, ``scooter`` (parked)."""
    rng = np.random.default_rng(item.seed)
    sketch = Sketch(painter, light, Frame(item.s, item.z, item.heading, y=item.y))
    owner = painter.begin(TrainId.MOTORCYCLE, item.z, 0.02)
    paint = vary(rng, pick(rng, CAR_PAINTS), 0.08, 0.2)
    scooter = item.variant == "scooter" or rng.random() < 0.3
    ridden = item.variant == "ridden"
    rider = painter.begin(TrainId.RIDER, item.z, 0.03) if ridden else owner
    look = Rider(rng) if ridden else None
    near = 1 if sketch.eye[2] > 0 else -1
    if look:
        look.leg(sketch, (-0.15, 0.84), (0.0, 0.34, 0.0), -near, rider)
    radius, base = (0.23, 0.58) if scooter else (0.31, 0.70)
    for u in (-base, base):
        circle = ring((u, radius, 0.0), radius - 0.06, 14)
        sketch.face(circle, (52, 52, 55), owner)
        sketch.stroke([*circle, circle[0]], RUBBER, 0.14, owner)
        sketch.disc((u, radius, 0.07 * near), radius * 0.35, (142, 144, 148), owner, 8)
    _frame_of_motorcycle(sketch, paint, scooter, base, radius, owner)
    if look:
        look.upper(sketch, hips=(-0.2, 0.9), shoulders=(0.05, 1.4), grip=(0.42, 1.05, 0.32), owner=rider)
        look.leg(sketch, (-0.15, 0.84), (0.02, 0.34, 0.12), near, rider)
        look.head(sketch, (0.14, 1.62, 0.0), rider, helmet=True)
    sketch.draw()


def _frame_of_motorcycle(sketch: Sketch, paint: Colour, scooter: bool, base: float, radius: float, owner: int) -> None:
    dark, metal = (34, 34, 36), (124, 126, 130)
    sketch.stroke([(base, radius, 0.0), (base - 0.28, 0.95, 0.0)], metal, 0.09, owner)
    if scooter:
        sketch.solid([(-0.75, 0.35, 0.16), (-0.05, 0.30, 0.16), (0.0, 0.72, 0.14), (-0.8, 0.78, 0.12)], paint, owner)
        sketch.solid([(-0.1, 0.26, 0.17), (0.36, 0.26, 0.17), (0.36, 0.34, 0.17), (-0.1, 0.34, 0.17)], dark, owner)
        sketch.solid([(0.28, 0.3, 0.2), (0.38, 0.3, 0.2), (0.34, 0.98, 0.17), (0.28, 0.98, 0.17)], paint, owner)
        sketch.solid([(-0.7, 0.78, 0.14), (-0.02, 0.74, 0.14), (-0.05, 0.84, 0.12), (-0.7, 0.88, 0.12)], dark, owner)
    else:
        sketch.solid([(-0.35, 0.3, 0.17), (0.36, 0.3, 0.17), (0.3, 0.66, 0.16), (-0.3, 0.66, 0.16)], metal, owner)
        sketch.stroke([(-0.1, 0.36, 0.2), (-0.85, 0.34, 0.2)], metal, 0.10, owner)
        sketch.solid([(-0.95, 0.72, 0.1), (-0.1, 0.66, 0.15), (-0.1, 0.84, 0.14), (-0.95, 0.86, 0.08)], dark, owner)
        sketch.solid([(-0.15, 0.64, 0.16), (0.42, 0.62, 0.16), (0.45, 0.92, 0.14), (0.05, 1.0, 0.13)], paint, owner)
    bar = base - 0.28
    sketch.stroke([(bar - 0.1, 1.04, -0.36), (bar, 1.0, 0.0), (bar - 0.1, 1.04, 0.36)], dark, 0.05, owner)
    if sketch.eye[0] > 0:
        sketch.ball((bar + 0.12, 0.88, 0.0), (0.10, 0.10), (236, 234, 220), owner)
    else:
        sketch.face(
            [(-0.97, 0.68, -0.1), (-0.97, 0.68, 0.1), (-0.97, 0.8, 0.1), (-0.97, 0.8, -0.1)], (170, 24, 24), owner
        )
        sketch.face(
            [(-0.98, 0.48, -0.1), (-0.98, 0.48, 0.1), (-0.98, 0.62, 0.1), (-0.98, 0.62, -0.1)], (220, 218, 206), owner
        )
    for w in (-0.38, 0.38):
        sketch.ball((bar - 0.02, 1.2, w), (0.06, 0.045), dark, owner)


class Rider:
    """Clothes and limbs of somebody who rides; the machine decides where hands and feet are."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.jacket: Colour = vary(rng, pick(rng, CLOTHES), 0.1, 0.25)
        self.trousers: Colour = vary(rng, pick(rng, TROUSERS), 0.1, 0.25)
        self.skin: Colour = vary(rng, pick(rng, SKIN), 0.03, 0.1)
        self.hair: Colour = vary(rng, pick(rng, HAIR), 0.05, 0.2)
        self.helmet: Colour = vary(rng, pick(rng, CAR_PAINTS), 0.1, 0.2)

    def leg(self, sketch: Sketch, hip: tuple[float, float], foot: Point, side: int, owner: int) -> None:
        """One leg with its knee forward."""
        w = 0.12 * side
        knee = (hip[0] + 0.36, (hip[1] + foot[1]) / 2 + 0.10, w * 1.3)
        colour = tint(self.trousers, 1.0 if side * sketch.eye[2] > 0 else 0.8)
        sketch.stroke([(hip[0], hip[1], w * 0.8), knee, (foot[0], foot[1] + 0.05, w * 1.3)], colour, 0.15, owner)
        shoe = [(foot[0] - 0.06, foot[1], w * 1.3), (foot[0] + 0.15, foot[1], w * 1.3)]
        sketch.stroke(shoe, (30, 27, 26), 0.09, owner)

    def upper(
        self, sketch: Sketch, hips: tuple[float, float], shoulders: tuple[float, float], grip: Point, owner: int
    ) -> None:
        """Trunk and both arms."""
        (u0, v0), (u1, v1) = hips, shoulders
        for w, level in ((-0.11, 0.85), (0.11, 1.0), (0.0, 0.95)):
            sketch.stroke([(u0, v0, w * 0.8), (u1, v1, w)], tint(self.jacket, level), 0.25, owner)
        for side in (-1, 1):
            elbow = ((u1 + grip[0]) / 2 - 0.04, (v1 + grip[1]) / 2 - 0.08, side * 0.3)
            points = [(u1, v1, side * 0.19), elbow, (grip[0], grip[1], side * grip[2])]
            sketch.stroke(points, tint(self.jacket, 0.85), 0.10, owner)
            sketch.ball(points[-1], (0.05, 0.05), self.skin, owner)

    def head(self, sketch: Sketch, centre: Point, owner: int, helmet: bool) -> None:
        """Head, with a helmet in its own colour or with hair."""
        draw_head(sketch, centre, 1.0, self.skin, self.helmet if helmet else self.hair, owner, helmet)
