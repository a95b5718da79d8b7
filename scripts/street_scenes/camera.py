"""Perspective: a pinhole camera above a street that may bend.

Street coordinates are metres: ``s`` to the right of the camera's path (following the bend), ``y`` up from the road,
``z`` ahead. ``x = s + curvature / 2 * z**2`` undoes the bend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

NEAREST = 1.2  # metres; nothing is projected from nearer than this


@dataclass(frozen=True)
class Camera:
    """Projection from street coordinates to pixels of a ``height`` x ``width`` canvas (pixel centres are integers)."""

    width: int
    height: int
    focal: float
    horizon: float
    eye_height: float
    curvature: float

    @classmethod
    def for_canvas(cls, size_hw: tuple[int, int], horizon: float, eye_height: float, curvature: float) -> Camera:
        """A camera whose view angle suits the canvas; ``horizon`` is a share of the height."""
        height, width = size_hw
        return cls(width, height, 0.98 * math.sqrt(2.0 * width * height), horizon * height - 0.5, eye_height, curvature)

    @property
    def centre(self) -> float:
        """Column of the vanishing point of a straight street."""
        return self.width / 2 - 0.5

    def bend(self, z: float) -> float:
        """How far the street has moved sideways at depth ``z``, in metres."""
        return 0.5 * self.curvature * z * z

    def scale(self, z: float) -> float:
        """Pixels per metre at depth ``z``."""
        return self.focal / max(z, NEAREST)

    def project(self, points: np.ndarray) -> np.ndarray:
        """``[n, 3]`` street coordinates (s, y, z) to ``[n, 2]`` float64 pixels (column, row)."""
        z = np.maximum(points[:, 2], NEAREST)
        scale = self.focal / z
        out = np.empty((len(points), 2))
        out[:, 0] = self.centre + scale * (points[:, 0] + 0.5 * self.curvature * z * z)
        out[:, 1] = self.horizon + scale * (self.eye_height - points[:, 1])
        return out

    def ground(self) -> tuple[int, np.ndarray, np.ndarray]:
        """The street plane seen by each pixel below the horizon.

        Returns:
            First row, depth ``z`` of each row ``[rows]`` and lateral ``s`` of each pixel ``[rows, width]``, float32.
        """
        first = min(self.height - 1, math.floor(self.horizon) + 1)
        below = np.arange(first, self.height, dtype=np.float32) - np.float32(self.horizon)
        z = np.minimum(self.focal * self.eye_height / np.maximum(below, 1e-3), 600.0).astype(np.float32)
        columns = np.arange(self.width, dtype=np.float32) - np.float32(self.centre)
        s = columns[None, :] * (z / np.float32(self.focal))[:, None]
        s -= (0.5 * self.curvature * z * z)[:, None].astype(np.float32)
        return first, z, s


@dataclass(frozen=True)
class Frame:
    """Place and heading of an object: local ``u`` ahead, ``v`` up, ``w`` to its right, in metres.

    ``heading`` 0 drives away from the camera, pi towards it, pi/2 to the right.
    """

    s: float
    z: float
    heading: float = 0.0
    y: float = 0.0

    def to_street(self, local: np.ndarray) -> np.ndarray:
        """``[n, 3]`` local (u, v, w) to ``[n, 3]`` street (s, y, z)."""
        sin, cos = math.sin(self.heading), math.cos(self.heading)
        out = np.empty_like(local)
        out[:, 0] = self.s + local[:, 0] * sin + local[:, 2] * cos
        out[:, 1] = self.y + local[:, 1]
        out[:, 2] = self.z + local[:, 0] * cos - local[:, 2] * sin
        return out

    def eye(self, camera: Camera) -> tuple[float, float, float]:
        """The camera's position in local coordinates (u, v, w)."""
        sin, cos = math.sin(self.heading), math.cos(self.heading)
        ds, dz = -camera.bend(self.z) - self.s, -self.z
        return ds * sin + dz * cos, camera.eye_height - self.y, ds * cos - dz * sin
