"""One scene from its seed: plan it, paint it from far to near, expose it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from . import barriers, buildings, cycles, furniture, large_vehicles, people, vegetation, vehicles
from .camera import Camera
from .classes import ALL_CLASSES, TrainId
from .ground import NAMES, draw_ground
from .layout import Demands, Item, demands, sample_street
from .light import Light, expose, finish, sample_light
from .painter import Painter
from .planner import Planner
from .sky import draw_sky

DRAW: dict[str, Callable[[Painter, Light, Item], None]] = {
    "bicycle": cycles.draw_bicycle,
    "bollard": furniture.draw_bollard,
    "building": buildings.draw_building,
    "bus": large_vehicles.draw_bus,
    "car": vehicles.draw_car,
    "clutter": furniture.draw_clutter,
    "fence": barriers.draw_fence,
    "hedge": barriers.draw_hedge,
    "lamp": furniture.draw_lamp,
    "motorcycle": cycles.draw_motorcycle,
    "person": people.draw_person,
    "sign": furniture.draw_sign,
    "tower": buildings.draw_tower,
    "traffic light": furniture.draw_traffic_light,
    "train": large_vehicles.draw_train,
    "tree": vegetation.draw_tree,
    "truck": large_vehicles.draw_truck,
    "wall": barriers.draw_wall,
}
#: Classes that a kind of item brings into the picture; a ridden machine also brings ``RIDER``, clutter has no class.
SHOWS: dict[str, frozenset[TrainId]] = {
    **{kind: frozenset({TrainId[kind.upper()]}) for kind in
       ("bicycle", "building", "bus", "car", "fence", "motorcycle", "person", "train", "truck", "wall")},
    **dict.fromkeys(("hedge", "tree"), frozenset({TrainId.VEGETATION})),
    **dict.fromkeys(("bollard", "lamp"), frozenset({TrainId.POLE})),
    "clutter": frozenset(),
    "sign": frozenset({TrainId.POLE, TrainId.TRAFFIC_SIGN}),
    "tower": frozenset({TrainId.BUILDING}),
    "traffic light": frozenset({TrainId.POLE, TrainId.TRAFFIC_LIGHT}),
}  # fmt: skip
ATTEMPTS = 12
_FINE_PIXELS = 512 * 256  # up to this size the canvas is twice as large as the image


def render_scene(
    seed: int, split: int, index: int, size_hw: tuple[int, int], classes: frozenset[TrainId] = ALL_CLASSES
) -> tuple[np.ndarray, np.ndarray]:
    """Draw scene ``index`` of a split with nothing but ``classes`` (and the few things that have no class).

    A plan whose promised rare classes end up hidden is drawn again from the next sub-seed.

    Returns:
        Image ``[H, W, 3]`` uint8 RGB and label ``[H, W]`` uint8 (train ids, 255 without class).
    """
    wanted = demands(index, classes)
    needed = [c for c in _needed(wanted) if c in classes]
    enough = max(2, round(size_hw[0] * size_hw[1] * 3e-4))
    best, fewest = None, len(needed) + 1
    for attempt in range(ATTEMPTS):
        image, label = _render(np.random.default_rng([seed, split, index, attempt]), wanted, size_hw, classes)
        counts = np.bincount(label.ravel(), minlength=256)
        missing = sum(counts[c] < enough for c in needed)
        if missing < fewest:
            best, fewest = (image, label), missing
        if missing == 0:
            break
    assert best is not None
    return best


def _needed(wanted: Demands) -> list[TrainId]:
    needed = [TrainId.CAR, TrainId.PERSON, TrainId.POLE, TrainId.TRAFFIC_SIGN, TrainId.BUILDING, TrainId.SKY]
    for name in (wanted.big, wanted.barrier, wanted.rider, wanted.parked):
        if name:
            needed.append(TrainId[name.upper()])
    if wanted.rider:
        needed.append(TrainId.RIDER)
    if wanted.traffic_light:
        needed.append(TrainId.TRAFFIC_LIGHT)
    if wanted.terrain:
        needed += [TrainId.TERRAIN, TrainId.VEGETATION]
    return needed


def _render(
    rng: np.random.Generator, wanted: Demands, size_hw: tuple[int, int], classes: frozenset[TrainId]
) -> tuple[np.ndarray, np.ndarray]:
    plan_rng, light_rng, paint_rng, noise_rng = _spawn(rng, 4)
    street = sample_street(plan_rng, wanted)
    items = [item for item in Planner(plan_rng, street, wanted).plan() if _shows(item) <= classes]
    light = sample_light(light_rng)
    fine = 2 if size_hw[0] * size_hw[1] <= _FINE_PIXELS else 1
    canvas_hw = (size_hw[0] * fine, size_hw[1] * fine)
    camera = Camera.for_canvas(canvas_hw, street.horizon, street.eye_height, street.curvature)
    painter = Painter(camera)
    draw_ground(painter, light, street, items, paint_rng, classes)
    draw_sky(painter, light, paint_rng)
    for item in items:
        if item.z > 2.5 and _may_be_seen(camera, item):
            DRAW[item.kind](painter, light, item)
    depth_rows = np.zeros(canvas_hw[0], np.float32)
    first, z, _ = camera.ground()
    depth_rows[first:] = z
    image, owner = painter.rgb, painter.owner
    if fine > 1:
        image = cv2.resize(image, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_AREA)
        owner = np.ascontiguousarray(owner[1::fine, 1::fine])
    label = np.array(painter.labels, np.uint8)[owner]
    image = finish(image, owner, painter, light, depth_rows[fine - 1 :: fine], len(NAMES), noise_rng)
    _bonnet(image, label, light, paint_rng)
    image = expose(image, light, noise_rng)
    _border(image, label, noise_rng)
    return image, label


def _shows(item: Item) -> frozenset[TrainId]:
    return SHOWS[item.kind] | {TrainId.RIDER} if item.variant == "ridden" else SHOWS[item.kind]


def _may_be_seen(camera: Camera, item: Item) -> bool:
    """False where an item surely lies beside the picture; long things along the street are not judged."""
    if item.kind in ("building", "fence", "hedge", "wall", "train", "bus", "truck"):
        return True
    reach = max(item.length, item.width) / 2 + (5.0 if item.kind in ("lamp", "traffic light") else 1.5)
    nearest = max(1.2, item.z - item.length / 2)
    return (abs(item.s + camera.bend(item.z)) - reach) * camera.focal < 0.5 * camera.width * (nearest + item.length)


def _spawn(rng: np.random.Generator, count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(int(seed)) for seed in rng.integers(2**62, size=count)]


def _bonnet(image: np.ndarray, label: np.ndarray, light: Light, rng: np.random.Generator) -> None:
    """The bonnet of the camera's own car: it mirrors the street, and has no class."""
    height, width = label.shape
    x = np.linspace(-1, 1, width, dtype=np.float32)
    top = height * (1.0 - rng.uniform(0.05, 0.09) + 0.05 * (x - rng.uniform(-0.1, 0.1)) ** 2)
    rows = np.arange(height, dtype=np.float32)[:, None]
    mask = rows > top[None, :]
    first = int(top.min())
    paint = np.array((26, 28, 30), np.float32) * rng.uniform(0.7, 2.2)
    mirror = cv2.GaussianBlur(image[:first][::-1][: height - first], (0, 0), max(0.8, height / 128))
    shade = 0.30 + 0.1 * light.direct
    bonnet = paint + shade * cv2.resize(mirror, (width, height - first))
    edge = np.exp(-np.maximum(rows[first:] - top[None, :], 0) / (0.012 * height))
    bonnet += (34 * edge)[..., None]
    part = mask[first:]
    image[first:][part] = bonnet[part]
    label[mask] = int(TrainId.IGNORE)


def _border(image: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> None:
    """The thin rim that rectification leaves without content."""
    width = label.shape[1]
    rim = max(1, round(0.004 * width))
    for part in (np.s_[:, :rim], np.s_[:, width - rim :], np.s_[:rim, :]):
        label[part] = int(TrainId.IGNORE)
        image[part] = (image[part] * rng.uniform(0.0, 0.7, image[part].shape[:2])[..., None]).astype(np.uint8)
