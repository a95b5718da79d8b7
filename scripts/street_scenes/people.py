"""Pedestrians: head, hair, clothes, a pose, sometimes a bag."""

from __future__ import annotations

import math

import numpy as np

from .camera import Frame
from .classes import TrainId
from .colours import CLOTHES, HAIR, SKIN, TROUSERS, Colour, mix, pick, tint, vary
from .layout import Item
from .light import Light
from .painter import Painter
from .sketch import Point, Sketch


def draw_person(painter: Painter, light: Light, item: Item) -> None:
    """One pedestrian ``item.height`` metres tall; variants ``walking`` and ``standing``."""
    rng = np.random.default_rng(item.seed)
    sketch = Sketch(painter, light, Frame(item.s, item.z, item.heading, y=item.y))
    owner = painter.begin(TrainId.PERSON, item.z, 0.03)
    k = item.height / 1.75
    coat = vary(rng, pick(rng, CLOTHES), 0.1, 0.25)
    legs = vary(rng, pick(rng, TROUSERS), 0.1, 0.25)
    skin, hair = vary(rng, pick(rng, SKIN), 0.03, 0.1), vary(rng, pick(rng, HAIR), 0.05, 0.2)
    swing = float(rng.uniform(0.5, 1.0)) if item.variant == "walking" else float(rng.uniform(0.0, 0.12))
    swing *= 1 if rng.random() < 0.5 else -1
    skirt, bag = rng.random() < 0.2, rng.random()
    bare = skin if rng.random() < 0.3 else None
    near = 1 if sketch.eye[2] > 0 else -1
    _leg(sketch, -near, -swing, k, tint(skin if skirt else legs, 0.82), owner)
    _arm(sketch, -near, swing, k, tint(coat, 0.78), bare, skin, owner)
    _leg(sketch, near, swing, k, skin if skirt else legs, owner)
    _trunk(sketch, k, coat, legs, skirt, owner)
    if bag < 0.18:
        back = [(-0.19 * k, 1.0 * k, 0.0), (-0.19 * k, 1.34 * k, 0.0)]
        sketch.stroke(back, vary(rng, pick(rng, CLOTHES)), 0.26 * k, owner)
    _arm(sketch, near, -swing, k, tint(coat, 0.92), bare, skin, owner)
    if 0.18 <= bag < 0.4:
        hand = (0.12 * k, 0.62 * k, near * 0.3 * k)
        sketch.face(sketch.facing(hand, _rect(0.15 * k, -0.18 * k, 0.14 * k)), vary(rng, pick(rng, CLOTHES)), owner)
    draw_head(sketch, (0.02, 1.60 * k, 0.0), k, skin, hair, owner)
    sketch.draw()


def _rect(half: float, low: float, high: float) -> list[tuple[float, float]]:
    return [(-half, low), (half, low), (half, high), (-half, high)]


def _leg(sketch: Sketch, side: int, swing: float, k: float, colour: Colour, owner: int) -> None:
    w = side * 0.10 * k
    hip, knee = (0.0, 0.90 * k, w * 0.8), (0.16 * swing * k + 0.03, 0.48 * k, w)
    foot = (0.34 * swing * k, 0.07 * k, w)
    sketch.stroke([hip, knee, foot], colour, 0.15 * k, owner)
    sketch.stroke([(foot[0] - 0.04, 0.04 * k, w), (foot[0] + 0.15 * k, 0.04 * k, w)], (30, 27, 26), 0.09 * k, owner)


def _arm(
    sketch: Sketch, side: int, swing: float, k: float, colour: Colour, bare: Colour | None, skin: Colour, owner: int
) -> None:
    shoulder, elbow = (0.0, 1.36 * k, side * 0.21 * k), (0.10 * swing * k - 0.02, 1.08 * k, side * 0.26 * k)
    hand = (0.28 * swing * k + 0.05, 0.84 * k, side * 0.27 * k)
    sketch.stroke([shoulder, elbow], colour, 0.11 * k, owner)
    sketch.stroke([elbow, hand], bare or colour, 0.09 * k, owner)
    sketch.ball(hand, (0.045 * k, 0.055 * k), skin, owner)


def _trunk(sketch: Sketch, k: float, coat: Colour, legs: Colour, skirt: bool, owner: int) -> None:
    turn = abs(math.cos(sketch.frame.heading))
    shoulders = (0.14 + 0.09 * turn) * k
    waist = shoulders * 0.82
    low = 0.86 * k
    if skirt:
        hem = [(-waist * 1.3, -0.40 * k), (waist * 1.3, -0.40 * k), (waist * 0.9, 0.1 * k), (-waist * 0.9, 0.1 * k)]
        sketch.face(sketch.facing((0, 0.92 * k, 0), hem), legs, owner)
    neck, high = shoulders * 0.6, 1.30 * k
    outline = [(-waist, low), (waist, low), (shoulders, high), (neck, 1.44 * k), (-neck, 1.44 * k), (-shoulders, high)]
    sketch.face(sketch.facing((0, 0, 0), outline), tint(coat, sketch.light.shade((0, 0.3, -0.95))), owner)
    dark = 1 if sketch.light.sun[0] < 0 else -1
    side = [(a if a * dark > 0 else dark * 0.15 * waist, b) for a, b in outline]
    sketch.face(sketch.facing((0, 0, 0), side), tint(coat, 0.72), owner)


def draw_head(
    sketch: Sketch, neck: Point, k: float, skin: Colour, hair: Colour, owner: int, helmet: bool = False
) -> None:
    """A head centred at ``neck``; from behind, hair covers it; a helmet is as wide as the head."""
    u, v, w = neck
    sketch.ball((u - 0.01, v - 0.13 * k, w), (0.05 * k, 0.08 * k), tint(skin, 0.8), owner)
    behind = math.cos(sketch.frame.heading) > 0.3
    sketch.ball(neck, (0.095 * k, 0.125 * k), mix(skin, hair, 0.85) if behind else skin, owner)
    cap = (0.125 * k, 0.09 * k) if helmet else (0.1 * k, 0.07 * k)
    sketch.ball((u - 0.03 * k, v + 0.065 * k, w), cap, hair, owner)
