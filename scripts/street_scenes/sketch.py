"""Solid objects in their own coordinates: collect faces and lines in painting order, project once, paint."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .camera import Frame
from .colours import Colour, tint
from .light import Light
from .painter import Painter, to_fixed

Point = tuple[float, float, float]  # (u ahead, v up, w to the right), metres
Profile = Sequence[tuple[float, float, float]]  # (u, v, half width), anticlockwise seen from the right


class Sketch:
    """One object in painting order. ``pixels`` is its scale: pixels per metre at its place."""

    def __init__(self, painter: Painter, light: Light, frame: Frame) -> None:
        self.painter, self.light, self.frame = painter, light, frame
        self.pixels = painter.camera.scale(frame.z)
        self.eye = frame.eye(painter.camera)
        self._points: list[Point] = []
        self._parts: list[tuple] = []

    def _add(self, kind: str, points: Sequence[Point], colour: Colour, owner: int, extra: object = None) -> None:
        self._parts.append((kind, len(self._points), len(points), colour, owner, extra))
        self._points.extend(points)

    def face(self, points: Sequence[Point], colour: Colour, owner: int) -> None:
        """A convex polygon."""
        self._add("face", points, colour, owner)

    def veil(self, points: Sequence[Point], colour: Colour, opacity: float, owner: int) -> None:
        """A convex polygon one can see through."""
        self._add("veil", points, colour, owner, opacity)

    def stroke(self, points: Sequence[Point], colour: Colour, width: float, owner: int) -> None:
        """A line ``width`` metres wide."""
        self._add("stroke", points, colour, owner, width)

    def bars(self, points: Sequence[Point], colour: Colour, width: float, owner: int) -> None:
        """Many equal lines: ``points`` holds start, end, start, end, ..."""
        if points:
            self._add("bars", points, colour, owner, width)

    def ball(self, centre: Point, axes: tuple[float, float], colour: Colour, owner: int) -> None:
        """An upright ellipse that always faces the camera; half axes (across, up) in metres."""
        self._add("ball", [centre], colour, owner, axes)

    def disc(self, centre: Point, radius: float, colour: Colour, owner: int, corners: int = 14) -> None:
        """A circle standing along the object (in its u-v plane)."""
        self.face(ring(centre, radius, corners), colour, owner)

    def facing(self, centre: Point, outline: Sequence[tuple[float, float]]) -> list[Point]:
        """A flat outline of (metres to the right, metres up) around ``centre``, turned towards the camera."""
        sin, cos = math.sin(self.frame.heading), math.cos(self.frame.heading)
        u, v, w = centre
        return [(u + a * sin, v + b, w + a * cos) for a, b in outline]

    def shade(self, nu: float, nv: float, nw: float) -> float:
        """Brightness of a surface with the local outward normal (nu, nv, nw)."""
        sin, cos = math.sin(self.frame.heading), math.cos(self.frame.heading)
        return self.light.shade((nu * sin + nw * cos, nv, nu * cos - nw * sin))

    def sees_right(self, half_width: float) -> bool:
        """Whether the camera sees the right side of a body of that half width."""
        return self.eye[2] > half_width

    def sees_left(self, half_width: float) -> bool:
        """Whether the camera sees the left side of a body of that half width."""
        return self.eye[2] < -half_width

    def solid(self, profile: Profile, colour: Colour, owner: int) -> list[int]:
        """A convex body: ``profile`` extruded to both sides. Returns the indices of the edges whose faces are seen."""
        seen = []
        for i, (u0, v0, h0) in enumerate(profile):
            u1, v1, h1 = profile[(i + 1) % len(profile)]
            nu, nv = v1 - v0, u0 - u1
            if (self.eye[0] - u0) * nu + (self.eye[1] - v0) * nv <= 0:
                continue
            length = math.hypot(nu, nv) or 1.0
            shade = self.shade(nu / length, nv / length, 0.0)
            self.face([(u1, v1, h1), (u0, v0, h0), (u0, v0, -h0), (u1, v1, -h1)], tint(colour, shade), owner)
            seen.append(i)
        low = min(h for _, _, h in profile)
        for sign, visible in ((1, self.sees_right(low)), (-1, self.sees_left(low))):
            if visible:
                shade = self.shade(0.0, 0.0, float(sign))
                self.face([(u, v, sign * h) for u, v, h in profile], tint(colour, shade), owner)
        return seen

    def panel(
        self, profile: Profile, edge: int, across: tuple[float, float], along: tuple[float, float]
    ) -> list[Point]:
        """A rectangle on the face above ``edge``: ``across`` in -1..1 (left to right), ``along`` in 0..1."""
        u0, v0, h0 = profile[edge]
        u1, v1, h1 = profile[(edge + 1) % len(profile)]

        def at(a: float, b: float) -> Point:
            return u0 + (u1 - u0) * b, v0 + (v1 - v0) * b, a * (h0 + (h1 - h0) * b)

        (a0, a1), (b0, b1) = across, along
        return [at(a0, b0), at(a1, b0), at(a1, b1), at(a0, b1)]

    def draw(self) -> None:
        """Project everything collected and paint it in order."""
        if not self._points:
            return
        camera = self.painter.camera
        pixels = camera.project(self.frame.to_street(np.array(self._points)))
        fixed = to_fixed(pixels)
        if self.painter.box(pixels) is None:
            return
        scale = self.pixels
        for kind, start, count, colour, owner, extra in self._parts:
            points = fixed[start : start + count]
            if kind == "face":
                self.painter.fill(points, colour, owner)
            elif kind == "stroke":
                self.painter.stroke(points, colour, extra * scale, owner)
            elif kind == "bars":
                self.painter.strokes(points.reshape(-1, 2, 2), colour, extra * scale, owner)
            elif kind == "ball":
                self.painter.ball(points[0], (extra[0] * scale, extra[1] * scale), colour, owner)
            else:
                self.painter.veil(pixels[start : start + count], colour, extra, owner)


def ring(centre: Point, radius: float, corners: int) -> list[Point]:
    """The corners of a circle in the u-v plane."""
    u, v, w = centre
    angles = (2 * math.pi * i / corners for i in range(corners))
    return [(u + radius * math.cos(a), v + radius * math.sin(a), w) for a in angles]


def side_box(u0: float, u1: float, v0: float, v1: float, w: float) -> list[Point]:
    """A rectangle on the side of a body, at lateral position ``w``."""
    return [(u0, v0, w), (u1, v0, w), (u1, v1, w), (u0, v1, w)]


def end_box(w0: float, w1: float, v0: float, v1: float, u: float) -> list[Point]:
    """A rectangle across a body, at position ``u`` along it."""
    return [(u, v0, w0), (u, v0, w1), (u, v1, w1), (u, v1, w0)]
