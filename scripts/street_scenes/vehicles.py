"""Cars and vans: a body, a cabin with glass, wheels and lamps."""

from __future__ import annotations

import numpy as np

from .camera import Frame
from .classes import TrainId
from .colours import CAR_PAINTS, Colour, mix, pick, tint, vary
from .layout import Item
from .light import Light
from .painter import Painter
from .sketch import Profile, Sketch, end_box, side_box

GLASS: Colour = (44, 52, 60)
TYRE: Colour = (24, 24, 26)

# length, width, height, then the cabin: (bottom rear, bottom front, top front, top rear) as shares of the length
SHAPES: dict[str, tuple[float, float, float, tuple[float, float, float, float]]] = {
    "hatch": (4.0, 1.74, 1.48, (0.01, 0.74, 0.52, 0.10)),
    "saloon": (4.7, 1.80, 1.44, (0.14, 0.76, 0.57, 0.30)),
    "estate": (4.7, 1.80, 1.50, (0.01, 0.76, 0.57, 0.05)),
    "suv": (4.6, 1.88, 1.72, (0.01, 0.76, 0.60, 0.06)),
    "van": (5.2, 1.98, 2.15, (0.00, 0.86, 0.70, 0.01)),
}


def draw_car(painter: Painter, light: Light, item: Item) -> None:
    """One car of ``item.variant``."""
    rng = np.random.default_rng(item.seed)
    length, width, height, cabin = SHAPES[item.variant]
    sketch = Sketch(painter, light, Frame(item.s, item.z, item.heading))
    owner = painter.begin(TrainId.CAR, item.z, 0.015)
    paint = vary(rng, pick(rng, CAR_PAINTS), 0.05, 0.2)
    half, rear, waist = width / 2, -length / 2, height * (0.60 if item.variant != "van" else 0.52)
    front = -rear
    body: Profile = [
        (rear + 0.10, 0.22, half * 0.96), (front - 0.12, 0.22, half * 0.96), (front, 0.45, half),
        (front - 0.05, waist - 0.14, half), (front - 0.28 * length, waist, half),
        (rear + 0.03, waist, half), (rear, 0.5, half),
    ]  # fmt: skip
    top: Profile = [
        (rear + cabin[0] * length, waist, half * 0.96), (rear + cabin[1] * length, waist, half * 0.96),
        (rear + cabin[2] * length, height, half * 0.80), (rear + cabin[3] * length, height, half * 0.80),
    ]  # fmt: skip
    underside(sketch, rear + 0.3, front - 0.3, half * 0.8, owner)
    wheels(sketch, length, half, 0.31 + 0.02 * (height > 1.6), owner, far=True)
    sketch.solid(body, paint, owner)
    _cabin(sketch, top, paint, owner, panel_van=item.variant == "van" and rng.random() < 0.5)
    wheels(sketch, length, half, 0.31 + 0.02 * (height > 1.6), owner)
    _ends(sketch, front, rear, half, waist, paint, light, owner)
    if sketch.pixels > 14:
        _seams(sketch, length, half, waist, paint, owner)
    sketch.draw()


def underside(sketch: Sketch, rear: float, front: float, half: float, owner: int) -> None:
    """The dark space between the wheels."""
    profile = [(rear, 0.14, half), (front, 0.14, half), (front, 0.3, half), (rear, 0.3, half)]
    sketch.solid(profile, (20, 20, 21), owner)


def wheels(
    sketch: Sketch,
    length: float,
    half: float,
    radius: float,
    owner: int,
    far: bool = False,
    axles: tuple = (0.19, 0.81),
) -> None:
    """Wheels of the side that is seen; with ``far``, the tyres seen from behind or ahead under the body."""
    if far:
        for w in (-half + 0.12, half - 0.12):
            for u in (length * (axles[0] - 0.5), length * (axles[-1] - 0.5)):
                sketch.face(end_box(w - 0.11, w + 0.11, 0.0, radius, u), TYRE, owner)
        return
    for sign, visible in ((1, sketch.sees_right(half)), (-1, sketch.sees_left(half))):
        if not visible:
            continue
        for axle in axles:
            centre = (length * (axle - 0.5), radius, sign * half)
            sketch.disc(centre, radius * 1.12, (16, 16, 17), owner)
            sketch.disc(centre, radius, TYRE, owner)
            if sketch.pixels > 9:
                sketch.disc(centre, radius * 0.62, tint((150, 152, 156), sketch.shade(0, 0, sign)), owner, 10)
                sketch.disc(centre, radius * 0.22, (60, 60, 62), owner, 6)


def _cabin(sketch: Sketch, top: Profile, paint: Colour, owner: int, panel_van: bool) -> None:
    seen = sketch.solid(top, paint, owner)
    sky = sketch.light.haze_colour
    for edge in (1, 3):  # windscreen, rear window
        if edge in seen and not (panel_van and edge == 3):
            glass = mix(GLASS, sky, 0.28 if edge == 1 else 0.16)
            sketch.face(sketch.panel(top, edge, (-0.9, 0.9), (0.12, 0.9)), glass, owner)
            if sketch.pixels > 10:
                shine = mix(glass, sky, 0.22)
                sketch.face(sketch.panel(top, edge, (-0.85, -0.1), (0.5, 0.88)), shine, owner)
    low_v, high_v = top[0][1], top[2][1]
    for sign, visible in ((1, sketch.sees_right(top[0][2])), (-1, sketch.sees_left(top[0][2]))):
        if not visible:
            continue
        glass = mix(GLASS, sky, 0.10 + 0.12 * (sketch.shade(0, 0, sign) > 0.75))
        windows = ((0.62, 0.95),) if panel_van else ((0.06, 0.30), (0.33, 0.62), (0.65, 0.94))
        for start, end in windows:
            sketch.face([_on_side(top, share, v, sign) for share, v in
                         ((start, 0.12), (end, 0.12), (end, 0.86), (start, 0.86))], glass, owner)  # fmt: skip
    if sketch.pixels > 20 and high_v - low_v > 0:
        for sign in (-1, 1):  # mirrors
            u = top[1][0] - 0.25
            sketch.face(side_box(u, u + 0.18, low_v, low_v + 0.14, sign * (top[0][2] + 0.12)), tint(paint, 0.5), owner)


def _on_side(top: Profile, share: float, rise: float, sign: int) -> tuple[float, float, float]:
    """A point on the cabin's side: ``share`` from rear to front, ``rise`` from waist to roof."""
    (u_rear, v0, h0), (u_front, _, _), (u_front_top, v1, h1), (u_rear_top, _, _) = top
    rear = u_rear + (u_rear_top - u_rear) * rise
    front = u_front + (u_front_top - u_front) * rise
    return rear + (front - rear) * share, v0 + (v1 - v0) * rise, sign * (h0 + (h1 - h0) * rise)


def _ends(
    sketch: Sketch, front: float, rear: float, half: float, waist: float, paint: Colour, light: Light, owner: int
) -> None:
    sees_front, sees_rear = sketch.eye[0] > front, sketch.eye[0] < rear
    if not (sees_front or sees_rear):
        return
    u = front + 0.01 if sees_front else rear - 0.01
    shade = sketch.shade(1.0 if sees_front else -1.0, 0, 0)
    dark = tint(mix(paint, (30, 30, 32), 0.75), shade)
    sketch.face(end_box(-half * 0.97, half * 0.97, 0.24, 0.42, u), dark, owner)
    lamp = (226, 226, 214) if sees_front else (150, 18, 20)
    for sign in (-1, 1):
        sketch.face(end_box(sign * half * 0.62, sign * half * 0.97, waist - 0.34, waist - 0.14, u), lamp, owner)
    if sketch.pixels > 9:
        if sees_front:
            sketch.face(end_box(-half * 0.5, half * 0.5, waist - 0.36, waist - 0.2, u), (26, 26, 28), owner)
        plate = tint((222, 222, 212), 0.6 + 0.4 * shade * (1 - 0.2 * light.direct))
        sketch.face(end_box(-0.26, 0.26, 0.42, 0.54, u), plate, owner)


def _seams(sketch: Sketch, length: float, half: float, waist: float, paint: Colour, owner: int) -> None:
    line = tint(paint, 0.45)
    for sign, visible in ((1, sketch.sees_right(half)), (-1, sketch.sees_left(half))):
        if visible:
            for share in (-0.18, 0.06, 0.27):
                seam = [(share * length, 0.28, sign * half), (share * length, waist, sign * half)]
                sketch.stroke(seam, line, 0.012, owner)
            sketch.face(side_box(-0.46 * length, 0.46 * length, 0.24, 0.31, sign * half), tint(paint, 0.35), owner)
            handle = side_box(-0.14 * length, -0.10 * length, waist - 0.14, waist - 0.10, sign * half)
            sketch.face(handle, tint(paint, 0.5), owner)


def reach(item: Item) -> list[tuple[float, float]]:
    """The corners (s, z) of an item's footprint."""
    frame = Frame(item.s, item.z, item.heading)
    corners = [(a * item.length / 2, 0.0, b * item.width / 2) for a in (-1, 1) for b in (-1, 1)]
    return [(float(p[0]), float(p[2])) for p in frame.to_street(np.array(corners))]
