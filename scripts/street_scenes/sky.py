"""The sky: a gradient, clouds, and a brighter side where the sun stands."""

from __future__ import annotations

import cv2
import numpy as np

from .classes import TrainId
from .light import Light
from .painter import Painter
from .textures import CLOUD, noise


def draw_sky(painter: Painter, light: Light, rng: np.random.Generator) -> None:
    """Fill the canvas above the horizon (and a little below it)."""
    camera = painter.camera
    seen = min(camera.height, int(camera.horizon) + 3)
    rows, columns = max(2, seen // 2), max(2, camera.width // 2)
    owner = painter.begin(TrainId.SKY, 0.0, 0.0)
    rise = np.linspace(1.0, 0.0, rows, dtype=np.float32)[:, None]
    low = np.array(light.haze_colour, np.float32)
    if light.direct > 0.2:
        zenith = np.array((90, 138, 196), np.float32) * rng.uniform(0.85, 1.1) + rng.uniform(-12, 12, 3)
        cover = rng.uniform(-1.2, 0.6)
    else:
        zenith = low * rng.uniform(0.75, 0.97)
        cover = rng.uniform(0.3, 2.0)
    share = np.clip(rise * rng.uniform(0.7, 1.3), 0, 1)[..., None]
    clouds = noise(rng, CLOUD, (rows, columns), (170, 300)) * 0.9
    opacity = np.clip((clouds + cover) * 0.55, 0, 0.92)[..., None]
    body = (222 + 16 * clouds - 30 * (1 - light.direct) * rise)[..., None] * np.array((1.0, 1.0, 1.02), np.float32)
    colour = (low * (1 - share) + zenith.astype(np.float32) * share) * (1 - opacity) + body * opacity
    if light.sun[2] > 0:
        x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
        glow = np.exp(-((x - light.sun[0] * 1.5) ** 2 + (rise - 0.8) ** 2) * 2.0)
        colour += (40 * light.direct * glow)[..., None]
    painter.rgb[:seen] = cv2.resize(np.clip(colour, 0, 255).astype(np.uint8), (camera.width, seen))
    painter.owner[:seen] = owner
