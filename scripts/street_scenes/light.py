"""Sun, haze and the camera's own marks: everything that changes the image and never the label."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .colours import Colour
from .painter import Painter
from .textures import GRIT, LEAF, noise


@dataclass(frozen=True)
class Light:
    """The light of one scene.

    ``sun`` points towards the sun (s, y, z); ``direct`` is its share of the light (0 overcast, about 0.7 sunny);
    ``gains`` tint the whole picture; ``gamma``, ``exposure`` and ``black`` are the camera's; ``haze`` is the depth in
    metres at which 63 % of the colour is gone.
    """

    sun: tuple[float, float, float]
    direct: float
    haze: float
    haze_colour: Colour
    gains: tuple[float, float, float]
    exposure: float
    gamma: float
    black: float
    vignette: float
    sensor_noise: float
    blur: float

    def shade(self, normal: tuple[float, float, float]) -> float:
        """Brightness factor of a surface with that outward normal, about 0.45..1.15."""
        ambient = (1.0 - self.direct) * (0.82 + 0.18 * normal[1])
        cosine = sum(a * b for a, b in zip(normal, self.sun))
        return ambient + self.direct * (0.28 + 0.88 * max(0.0, cosine))

    @property
    def shadow_step(self) -> tuple[float, float]:
        """How far (s, z) the shadow of a point one metre up is thrown."""
        height = max(self.sun[1], 0.25)
        return -self.sun[0] / height, -self.sun[2] / height

    @property
    def shadow_strength(self) -> float:
        """Share of the light that a cast shadow takes away."""
        return 0.12 + 0.62 * self.direct


def sample_light(rng: np.random.Generator) -> Light:
    """Draw the light of a scene: a third overcast, the rest with a sun at any side."""
    direct = float(rng.uniform(0.0, 0.15) if rng.random() < 0.35 else rng.uniform(0.35, 0.7))
    azimuth, elevation = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(24, 60))
    level = math.cos(elevation)
    sun = (level * math.sin(azimuth), math.sin(elevation), level * math.cos(azimuth))
    grey = rng.uniform(176, 232)
    haze_colour = (grey * rng.uniform(0.93, 1.0), grey, grey * rng.uniform(1.0, 1.06))
    warm = rng.uniform(-0.08, 0.08)
    green = rng.uniform(-0.02, 0.05)
    return Light(
        sun=sun,
        direct=direct,
        haze=float(rng.uniform(90, 180) if rng.random() < 0.2 else rng.uniform(250, 900)),
        haze_colour=haze_colour,
        gains=(1.0 + warm - green / 2, 1.0 + green, 1.0 - warm - green / 2),
        exposure=float(rng.uniform(0.68, 1.12)),
        gamma=float(rng.uniform(0.9, 1.2)),
        black=float(rng.uniform(0, 14)),
        vignette=float(rng.uniform(0.0, 0.25)),
        sensor_noise=float(rng.uniform(1.5, 5.0)),
        blur=float(rng.uniform(0.25, 0.6)),
    )


def finish(
    image: np.ndarray, owner: np.ndarray, painter: Painter, light: Light, depth_rows: np.ndarray, flat: int,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Grain of the surfaces and haze.

    Args:
        image: ``[H, W, 3]`` uint8, the painted colours at the final size.
        owner: ``[H, W]`` uint16, who is seen at each pixel; owners below ``flat`` are parts of the ground.
        painter: knows each owner's depth and grain.
        light: the scene's light.
        depth_rows: ``[H]`` float32, depth of the ground in each row.
        flat: number of the first owner that stands up.
        rng: for the place of the grain.

    Returns:
        ``[H, W, 3]`` float32 in 0..255.
    """
    height, width = owner.shape
    detail = noise(rng, LEAF, (height, width), (height / 2, width / 2)) * 0.6
    detail = detail + noise(rng, GRIT, (height, width), (height, width))
    grain = 1.0 + np.array(painter.grains, np.float32)[owner] * detail
    depth = np.array(painter.depths, np.float32)
    keep = np.exp(-np.where(owner < flat, depth_rows[:, None], depth[owner]) / light.haze)
    keep = keep.astype(np.float32)
    out = image * (grain * keep)[..., None]
    out += (1.0 - keep)[..., None] * np.array(light.haze_colour, np.float32)
    return out


def expose(image: np.ndarray, light: Light, rng: np.random.Generator) -> np.ndarray:
    """What the camera does to the light: lens, exposure, colour cast, sensor noise. ``[H, W, 3]`` uint8 RGB."""
    height, width = image.shape[:2]
    if light.blur * height / 128 > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), min(light.blur * max(1.0, height / 400), 1.4))
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    gain = light.exposure * (1.0 - light.vignette * 0.5 * (x * x + y * y))
    image = image * (gain[..., None] * np.array(light.gains, np.float32))
    image += light.sensor_noise * rng.standard_normal(image.shape, dtype=np.float32)
    curve = light.black + (255 - light.black) * (np.arange(256) / 255.0) ** light.gamma
    return cv2.LUT(np.clip(image, 0, 255).astype(np.uint8), curve.astype(np.uint8))
