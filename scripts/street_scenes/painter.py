"""The canvas: every stroke writes colour and owner with one mask, so that image and label cannot disagree."""

from __future__ import annotations

import cv2
import numpy as np

from .camera import Camera
from .classes import TrainId
from .colours import Colour

_SHIFT = 4  # fractional bits of the polygon coordinates
_LIMIT = 30000.0 * (1 << _SHIFT)


class Painter:
    """An RGB canvas with an owner map beside it.

    Attributes:
        rgb: ``[H, W, 3]`` uint8.
        owner: ``[H, W]`` uint16, the number returned by :meth:`begin` of the object seen at each pixel.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.rgb = np.zeros((camera.height, camera.width, 3), np.uint8)
        self.owner = np.zeros((camera.height, camera.width), np.uint16)
        self.labels: list[int] = []
        self.depths: list[float] = []
        self.grains: list[float] = []

    def begin(self, label: TrainId, depth: float, grain: float = 0.03) -> int:
        """Announce an object: its class, its depth in metres (for the haze) and how rough its surface looks."""
        self.labels.append(int(label))
        self.depths.append(depth)
        self.grains.append(grain)
        return len(self.labels) - 1

    def fill(self, points: np.ndarray, colour: Colour, owner: int) -> None:
        """Fill the convex polygon ``points`` ``[n, 2]`` (pixels, or the result of :func:`to_fixed`)."""
        fixed = to_fixed(points)
        cv2.fillConvexPoly(self.rgb, fixed, colour, shift=_SHIFT)
        cv2.fillConvexPoly(self.owner, fixed, owner, shift=_SHIFT)

    def stroke(self, points: np.ndarray, colour: Colour, width: float, owner: int) -> None:
        """Draw the open line ``points`` ``[n, 2]``, ``width`` pixels wide (at least one)."""
        fixed = [to_fixed(points)]
        thickness = max(1, round(width))
        cv2.polylines(self.rgb, fixed, False, colour, thickness, shift=_SHIFT)
        cv2.polylines(self.owner, fixed, False, owner, thickness, shift=_SHIFT)

    def strokes(self, lines: np.ndarray, colour: Colour, width: float, owner: int) -> None:
        """Draw ``lines`` ``[n, 2, 2]`` (n pieces, two ends, pixels) in one go."""
        fixed = list(to_fixed(lines))
        thickness = max(1, round(width))
        cv2.polylines(self.rgb, fixed, False, colour, thickness, shift=_SHIFT)
        cv2.polylines(self.owner, fixed, False, owner, thickness, shift=_SHIFT)

    def ball(self, centre: np.ndarray, axes: tuple[float, float], colour: Colour, owner: int) -> None:
        """Fill an upright ellipse with half ``axes`` (across, down) in pixels."""
        place = tuple(int(v) for v in to_fixed(centre))
        half = tuple(int(max(0.5, a) * (1 << _SHIFT)) for a in axes)
        cv2.ellipse(self.rgb, place, half, 0, 0, 360, colour, -1, shift=_SHIFT)
        cv2.ellipse(self.owner, place, half, 0, 0, 360, owner, -1, shift=_SHIFT)

    def veil(self, points: np.ndarray, colour: Colour, opacity: float, owner: int) -> None:
        """Fill a convex polygon through which the background still shows; the label belongs to the veil."""
        box = self.box(points)
        if box is None:
            return
        x0, y0, x1, y1 = box
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillConvexPoly(mask, to_fixed(points - (x0, y0)), 255, shift=_SHIFT)
        roi = self.rgb[y0:y1, x0:x1]
        paint = np.full_like(roi, np.array(colour))
        cv2.copyTo(cv2.addWeighted(roi, 1.0 - opacity, paint, opacity, 0.0), mask, roi)
        cv2.copyTo(np.full(mask.shape, owner, np.uint16), mask, self.owner[y0:y1, x0:x1])

    def warp(self, texture: np.ndarray, quad: np.ndarray, owner: int, cutout: np.ndarray | None = None) -> None:
        """Fill the convex ``quad`` ``[4, 2]`` (top left, top right, bottom right, bottom left) with ``texture``.

        ``cutout`` (uint8, as large as the texture) leaves out the parts where it is below 128.
        """
        box = self.box(quad)
        if box is None:
            return
        x0, y0, x1, y1 = box
        height, width = texture.shape[:2]
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
        matrix = cv2.getPerspectiveTransform(source, (quad - (x0, y0)).astype(np.float32))
        size = (x1 - x0, y1 - y0)
        seen = cv2.warpPerspective(texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillConvexPoly(mask, to_fixed(quad - (x0, y0)), 255, shift=_SHIFT)
        if cutout is not None:
            mask[cv2.warpPerspective(cutout, matrix, size, flags=cv2.INTER_LINEAR) < 128] = 0
        self._stamp(mask, seen, x0, y0, owner)

    def stamp(self, mask: np.ndarray, texture: np.ndarray, corner: tuple[int, int], owner: int) -> None:
        """Copy ``texture`` ``[h, w, 3]`` uint8 where ``mask`` ``[h, w]`` uint8 is set; ``corner`` may lie outside."""
        x, y = corner
        height, width = mask.shape
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + width, self.camera.width), min(y + height, self.camera.height)
        if x1 <= x0 or y1 <= y0:
            return
        part = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
        self._stamp(np.ascontiguousarray(mask[part]), np.ascontiguousarray(texture[part]), x0, y0, owner)

    def _stamp(self, mask: np.ndarray, texture: np.ndarray, x: int, y: int, owner: int) -> None:
        height, width = mask.shape
        cv2.copyTo(texture, mask, self.rgb[y : y + height, x : x + width])
        cv2.copyTo(np.full(mask.shape, owner, np.uint16), mask, self.owner[y : y + height, x : x + width])

    def box(self, points: np.ndarray) -> tuple[int, int, int, int] | None:
        """Pixel box (x0, y0, x1, y1) of ``points`` inside the canvas, or None where nothing would be seen."""
        low, high = points.min(axis=0), points.max(axis=0)
        x0, y0 = max(0, int(low[0]) - 1), max(0, int(low[1]) - 1)
        x1, y1 = min(self.camera.width, int(high[0]) + 2), min(self.camera.height, int(high[1]) + 2)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def to_fixed(points: np.ndarray) -> np.ndarray:
    """Float pixels to the integers that the drawing functions take; integers pass through."""
    if points.dtype == np.int32:
        return points
    scaled = points * (1 << _SHIFT)
    np.minimum(np.maximum(scaled, -_LIMIT, out=scaled), _LIMIT, out=scaled)
    return np.rint(scaled, out=scaled).astype(np.int32)
