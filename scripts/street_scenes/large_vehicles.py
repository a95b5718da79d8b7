"""Buses, lorries and trams: long boxes with their own windows, doors and lamps."""

from __future__ import annotations

import numpy as np

from .camera import Frame
from .classes import TrainId
from .colours import FLEET_PAINTS, SHOP_SIGNS, Colour, mix, pick, tint, vary
from .layout import Item
from .light import Light
from .painter import Painter
from .sketch import Sketch, end_box, side_box
from .vehicles import GLASS, underside, wheels


def _box(rear: float, front: float, low: float, high: float, half: float, nose: float = 0.0) -> list:
    """A box whose front leans back by ``nose`` metres at the top."""
    return [(rear, low, half), (front, low, half), (front, low + 0.45 * (high - low), half),
            (front - nose, high, half * 0.97), (rear, high, half * 0.97)]  # fmt: skip


def _sides(sketch: Sketch, half: float) -> list[int]:
    return [sign for sign, seen in ((1, sketch.sees_right(half)), (-1, sketch.sees_left(half))) if seen]


def _lamps(sketch: Sketch, front: float, rear: float, half: float, v: float, owner: int) -> None:
    if sketch.eye[0] > front:
        u, colour = front + 0.01, (236, 234, 220)
    elif sketch.eye[0] < rear:
        u, colour = rear - 0.01, (164, 22, 22)
    else:
        return
    for sign in (-1, 1):
        sketch.face(end_box(sign * half * 0.68, sign * half * 0.94, v, v + 0.22, u), colour, owner)
    sketch.face(end_box(-0.26, 0.26, v - 0.18, v - 0.05, u), (214, 212, 200), owner)


def draw_bus(painter: Painter, light: Light, item: Item) -> None:
    """A city bus: window band, doors on its right, line number above the windscreen."""
    rng = np.random.default_rng(item.seed)
    sketch = Sketch(painter, light, Frame(item.s, item.z, item.heading))
    owner = painter.begin(TrainId.BUS, item.z, 0.015)
    paint, half, high = vary(rng, pick(rng, FLEET_PAINTS)), item.width / 2, item.height
    second = pick(rng, FLEET_PAINTS) if rng.random() < 0.6 else paint
    front, rear = item.length / 2, -item.length / 2
    underside(sketch, rear + 0.2, front - 0.2, half * 0.95, owner)
    wheels(sketch, item.length, half, 0.48, owner, far=True, axles=(0.28, 0.78))
    sketch.solid(_box(rear, front, 0.3, high, half, 0.08), paint, owner)
    glass = mix(GLASS, light.haze_colour, 0.14)
    for sign in _sides(sketch, half):
        shade, w = sketch.shade(0, 0, sign), sign * (half + 0.005)
        sketch.face(side_box(rear, front, 0.3, 0.95, w), tint(second, shade), owner)
        sketch.face(side_box(rear + 0.3, front - 0.1, 1.25, 2.45, w), glass, owner)
        step = 1.45
        for k in range(int(item.length / step)):
            u = rear + 0.3 + k * step
            sketch.face(side_box(u, u + 0.10, 1.25, 2.45, w), tint(mix(paint, (40, 40, 42), 0.6), shade), owner)
        if sign > 0:
            for u in (front - 1.4, rear + 0.42 * item.length):
                sketch.face(side_box(u - 0.55, u + 0.55, 0.42, 2.45, w), mix(glass, (10, 10, 12), 0.3), owner)
                sketch.face(side_box(u - 0.04, u + 0.04, 0.42, 2.45, w), tint(paint, 0.5 * shade), owner)
        elif rng.random() < 0.4:
            advert = pick(rng, SHOP_SIGNS)
            sketch.face(side_box(rear + 2.0, rear + 5.5, 0.5, 1.2, w), tint(advert, shade), owner)
    wheels(sketch, item.length, half, 0.48, owner, axles=(0.28, 0.78))
    if sketch.eye[0] > front:
        u = front + 0.01
        sketch.face(end_box(-half * 0.93, half * 0.93, 1.15, 2.55, u), mix(glass, light.haze_colour, 0.14), owner)
        sketch.face(end_box(-half * 0.7, half * 0.7, 2.62, 2.92, u), (22, 22, 22), owner)
        sketch.face(end_box(-half * 0.5, half * 0.4, 2.70, 2.84, u), (232, 170, 60), owner)
    elif sketch.eye[0] < rear:
        u = rear - 0.01
        sketch.face(end_box(-half * 0.80, half * 0.80, 1.6, 2.6, u), glass, owner)
        sketch.face(end_box(-half * 0.75, half * 0.75, 0.62, 1.3, u), tint(second, 0.6), owner)
        sketch.face(end_box(half * 0.2, half * 0.6, 2.66, 2.9, u), (222, 160, 60), owner)
    _lamps(sketch, front, rear, half, 0.55, owner)
    sketch.draw()


def draw_truck(painter: Painter, light: Light, item: Item) -> None:
    """A lorry: a cab and a box, a tarpaulin, a tipper's trough or an open platform behind it."""
    rng = np.random.default_rng(item.seed)
    sketch = Sketch(painter, light, Frame(item.s, item.z, item.heading))
    owner = painter.begin(TrainId.TRUCK, item.z, 0.02)
    cab_paint, load_paint = vary(rng, pick(rng, FLEET_PAINTS)), vary(rng, pick(rng, FLEET_PAINTS))
    half, front, rear = item.width / 2, item.length / 2, -item.length / 2
    split, cab_high = front - 2.0, min(item.height - 0.25, 2.7)
    axles = (0.14, 0.26, 0.85) if item.length > 7.5 else (0.2, 0.83)

    def cab() -> None:
        sketch.solid(_box(split + 0.1, front, 0.35, cab_high, half * 0.95, 0.3), cab_paint, owner)
        glass = mix(GLASS, light.haze_colour, 0.2)
        for sign in _sides(sketch, half):
            sketch.face(side_box(front - 1.4, front - 0.45, 1.45, 2.25, sign * half * 0.96), glass, owner)
        if sketch.eye[0] > front:
            sketch.face(end_box(-half * 0.85, half * 0.85, 1.5, 2.35, front - 0.1), glass, owner)
            sketch.face(end_box(-half * 0.6, half * 0.6, 0.75, 1.25, front + 0.01), tint(cab_paint, 0.35), owner)

    def load() -> None:
        high = {"box": item.height, "tarp": item.height, "tipper": 2.0, "platform": 1.5}[item.variant]
        sketch.solid(_box(rear, split, 0.85, high, half), load_paint, owner)
        if item.variant in ("box", "tarp"):
            _load_details(sketch, rng, rear, split, high, half, load_paint, owner)
        elif item.variant == "tipper":
            mound = [(rear + 0.3, 1.9, half * 0.9), (split - 0.3, 1.9, half * 0.9), (split - 1.2, 2.6, half * 0.3),
                     (rear + 1.2, 2.6, half * 0.3)]  # fmt: skip
            sketch.solid(mound, (118, 98, 74), owner)
        else:
            for k in range(3):
                u = rear + 0.4 + k * 1.3
                crate = _box(u, u + 1.0, 1.5, 2.0 + 0.3 * float(rng.random()), half * 0.8)
                sketch.solid(crate, vary(rng, (170, 136, 92), 0.1, 0.3), owner)

    underside(sketch, rear + 0.2, front - 0.2, half * 0.8, owner)
    sketch.solid(_box(rear + 0.1, split, 0.55, 0.9, half * 0.7), (38, 38, 40), owner)
    wheels(sketch, item.length, half, 0.48, owner, far=True, axles=axles)
    for part in (load, cab) if sketch.eye[0] > 0 else (cab, load):
        part()
    wheels(sketch, item.length, half, 0.48, owner, axles=axles)
    _lamps(sketch, front, rear, half, 0.62, owner)
    sketch.draw()


def _load_details(
    sketch: Sketch, rng: np.random.Generator, rear: float, split: float, high: float, half: float, paint: Colour,
    owner: int,
) -> None:  # fmt: skip
    stripe, length = pick(rng, SHOP_SIGNS), split - rear
    for sign in _sides(sketch, half):
        w, shade = sign * (half + 0.005), sketch.shade(0, 0, sign)
        low = float(rng.uniform(1.2, 2.0))
        sketch.face(side_box(rear + 0.1 * length, rear + 0.8 * length, low, low + 0.6, w), tint(stripe, shade), owner)
        for k in range(1, int(length / 0.9)):
            rib = [(rear + k * 0.9, 0.9, w), (rear + k * 0.9, high, w)]
            sketch.stroke(rib, tint(paint, 0.72 * shade), 0.025, owner)
    if sketch.eye[0] < rear:
        shade = sketch.shade(-1, 0, 0)
        u = rear - 0.01
        sketch.face(end_box(-half * 0.9, half * 0.9, 1.0, high - 0.1, u), tint(paint, 0.88 * shade), owner)
        sketch.stroke([(u, 1.0, 0.0), (u, high - 0.1, 0.0)], tint(paint, 0.45 * shade), 0.04, owner)
        for w in (-0.25, 0.25):
            sketch.stroke([(u, 1.0, w * half), (u, high - 0.1, w * half)], (150, 150, 150), 0.03, owner)
        sketch.face(end_box(-half, half, 0.62, 0.74, u), (200, 60, 40), owner)


def draw_train(painter: Painter, light: Light, item: Item) -> None:
    """A tram: coupled cars with long window bands, bellows between them, a pantograph on the roof."""
    rng = np.random.default_rng(item.seed)
    owner = painter.begin(TrainId.TRAIN, item.z, 0.012)
    paint, band = vary(rng, pick(rng, FLEET_PAINTS)), pick(rng, FLEET_PAINTS)
    sketch = Sketch(painter, light, Frame(item.s, item.z, item.heading))
    cars = max(1, round(item.length / 9.0))
    piece = item.length / cars
    order = sorted(range(cars), key=lambda k: -abs(sketch.eye[0] - (-item.length / 2 + (k + 0.5) * piece)))
    for k in order:
        rear = -item.length / 2 + k * piece
        _tram_car(sketch, item, rear, piece, (k == 0, k == cars - 1), (paint, band), owner)
    sketch.draw()


def _tram_car(
    sketch: Sketch, item: Item, rear: float, piece: float, ends: tuple[bool, bool], paints: tuple[Colour, Colour],
    owner: int,
) -> None:  # fmt: skip
    (paint, band), half, high = paints, item.width / 2, item.height
    front = rear + piece
    sketch.solid(_box(rear, front, 0.25, high, half * 0.86), (46, 46, 48), owner)  # bellows and bogies
    body_rear, body_front = rear + (0.0 if ends[0] else 0.3), front - (0.0 if ends[1] else 0.3)
    lean_front, lean_rear = 0.5 * ends[1], 0.5 * ends[0]
    profile = [(body_rear, 0.32, half), (body_front, 0.32, half), (body_front, 1.4, half),
               (body_front - lean_front, high, half * 0.95), (body_rear + lean_rear, high, half * 0.95),
               (body_rear, 1.4, half)]  # fmt: skip
    sketch.solid(profile, paint, owner)
    glass = mix(GLASS, sketch.light.haze_colour, 0.16)
    for sign in _sides(sketch, half):
        w, shade = sign * (half + 0.005), sketch.shade(0, 0, sign)
        sketch.face(side_box(body_rear, body_front, 0.32, 0.85, w), tint(band, shade), owner)
        sketch.face(side_box(body_rear + 0.5, body_front - 0.5, 1.35, 2.6, w), glass, owner)
        for u in np.arange(body_rear + 1.6, body_front - 1.0, 1.6):
            sketch.face(side_box(u, u + 0.12, 1.35, 2.6, w), tint(paint, 0.5 * shade), owner)
        door = body_rear + piece * 0.42
        sketch.face(side_box(door, door + 1.4, 0.5, 2.6, w), mix(glass, paint, 0.15), owner)
        sketch.face(side_box(door + 0.66, door + 0.74, 0.5, 2.6, w), tint(paint, 0.5), owner)
    for at_front, end, u in ((True, ends[1], body_front), (False, ends[0], body_rear)):
        if end and (sketch.eye[0] > u if at_front else sketch.eye[0] < u):
            edge = 2 if at_front else 4
            span = (0.05, 0.78) if at_front else (0.22, 0.95)
            sketch.face(sketch.panel(profile, edge, (-0.92, 0.92), span), glass, owner)
            board = (0.82, 0.96) if at_front else (0.04, 0.18)
            sketch.face(sketch.panel(profile, edge, (-0.6, 0.6), board), (226, 168, 60), owner)
            sketch.face(end_box(-half * 0.98, half * 0.98, 0.32, 0.7, u + (0.01 if at_front else -0.01)), band, owner)
            colour = (240, 238, 226) if at_front else (170, 24, 24)
            for sign in (-1, 1):
                sketch.ball((u, 0.95, sign * half * 0.72), (0.13, 0.13), colour, owner)
    if ends[0]:
        u = rear + piece / 2
        arm = [(u - 0.6, high, 0.0), (u + 0.3, high + 0.7, 0.0), (u - 0.5, high + 1.3, 0.0)]
        for line in (arm, [(u - 0.5, high + 1.3, -0.8), (u - 0.5, high + 1.3, 0.8)]):
            sketch.stroke(line, (52, 52, 54), 0.07, owner)
