"""Everything flat: asphalt with its marks, kerb, pavement, grass and soil, and the shadows cast on them."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .classes import ALL_CLASSES, TrainId
from .colours import Colour, vary
from .layout import Item, Side, Street
from .light import Light
from .painter import Painter, to_fixed
from .textures import GRIT, PATCH, TILE, noise_tile

# material: class, colour, strength of coarse and of fine noise
MATERIALS: dict[str, tuple[TrainId, Colour, float, float]] = {
    "asphalt": (TrainId.ROAD, (92, 93, 95), 0.05, 0.05),
    "parking": (TrainId.ROAD, (100, 99, 97), 0.06, 0.06),
    "cobbles": (TrainId.ROAD, (104, 100, 96), 0.06, 0.12),
    "kerb": (TrainId.SIDEWALK, (152, 150, 144), 0.05, 0.05),
    "paving": (TrainId.SIDEWALK, (134, 128, 120), 0.06, 0.05),
    "grass": (TrainId.TERRAIN, (92, 108, 56), 0.14, 0.13),
    "soil": (TrainId.TERRAIN, (124, 104, 80), 0.14, 0.10),
}
NAMES = tuple(MATERIALS)
PAVINGS: tuple[Colour, ...] = ((134, 128, 120), (150, 146, 140), (146, 122, 108), (116, 114, 112), (158, 148, 128))


def draw_ground(
    painter: Painter,
    light: Light,
    street: Street,
    items: list[Item],
    rng: np.random.Generator,
    classes: frozenset[TrainId] = ALL_CLASSES,
) -> None:
    """Paint the plane below the horizon. It announces one owner for each of :data:`NAMES`, in that order.

    Without terrain the pavement takes its place, without pavement the terrain, without both the road.
    """
    first, z, s = painter.camera.ground()
    colours, owners = _materials(painter, rng)
    material = _stand_ins(classes)[_material_map(street, z, s, rng)]
    colour = colours[material]
    level = _texture(material, z, s, rng)
    _joints(level, material, street, z, s)
    _marks(colour, level, material, street, z, s, rng)
    shadow = _shadows(painter, light, items)[first:]
    dimmed = light.shade((0.0, 1.0, 0.0)) * (1.0 - light.shadow_strength / 255.0 * np.arange(256))
    level *= dimmed.astype(np.float32)[shadow]
    colour *= np.maximum(level, 0.0)[..., None]
    painter.rgb[first:] = np.minimum(colour, 255.0, out=colour).astype(np.uint8)
    painter.owner[first:] = owners[material]


def _materials(painter: Painter, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    colours, owners = [], []
    paving = PAVINGS[int(rng.integers(len(PAVINGS)))]
    tone = rng.uniform(0.78, 1.2)
    for name, (label, base, _, _) in MATERIALS.items():
        colour = vary(rng, paving if name == "paving" else base, 0.06, 0.14)
        if label == TrainId.ROAD:
            colour = tuple(c * tone for c in colour)
        colours.append(colour)
        owners.append(painter.begin(label, 0.0, 0.02))
    return np.array(colours, np.float32), np.array(owners, np.uint16)


def _stand_ins(classes: frozenset[TrainId]) -> np.ndarray:
    """For each of :data:`NAMES` the index of the material drawn in its place, ``[materials]`` uint8."""
    order = {TrainId.ROAD: ("asphalt",), TrainId.SIDEWALK: ("grass", "asphalt"), TrainId.TERRAIN: ("paving", "asphalt")}
    drawn = []
    for name, (label, *_) in MATERIALS.items():
        choices = (name, *order[label])
        drawn.append(next(NAMES.index(choice) for choice in choices if MATERIALS[choice][0] in classes))
    return np.array(drawn, np.uint8)


def _strips(side: Side, rng: np.random.Generator) -> list[tuple[float, str]]:
    """Outer distance and material of each strip, from the kerb outwards."""
    strips = [(side.kerb + 0.25, "kerb")]
    if side.verge:
        strips.append((side.path_start, "grass" if rng.random() < 0.75 else "soil"))
    strips.append((side.path_end, "paving"))
    if side.garden:
        strips.append((side.front + 4.0, "grass" if rng.random() < 0.8 else "soil"))
    strips.append((math.inf, "grass" if side.theme != "shops" else "paving"))
    return strips


def _material_map(street: Street, z: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Index into :data:`NAMES` for each pixel, ``[rows, W]`` uint8."""
    road = NAMES.index("cobbles" if street.cobbles else "asphalt")
    edges, kinds = [], []
    for edge, kind in reversed(_strips(street.left, rng)):
        edges.append(-edge)
        kinds.append(NAMES.index(kind))
    edges.append(-street.left.kerb)
    inner = [(-street.left.kerb, road)]
    for centre in sorted(street.parking):
        inner += [(centre - 1.05, NAMES.index("parking")), (centre + 1.05, road)]
    if street.median:
        inner += [(street.median[0], NAMES.index("kerb")), (street.median[0] + 0.2, NAMES.index("grass")),
                  (street.median[1] - 0.2, NAMES.index("kerb")), (street.median[1], road)]  # fmt: skip
    inner = [(max(edge, -street.left.kerb), kind) for edge, kind in sorted(inner, key=lambda pair: pair[0])]
    for position, (edge, kind) in enumerate(inner):
        if position:
            edges.append(edge)
        kinds.append(kind)
    edges.append(street.right.kerb)
    for edge, kind in _strips(street.right, rng):
        kinds.append(NAMES.index(kind))
        edges.append(edge)
    bounds = np.array(edges[1:-1], np.float32)
    material = np.array(kinds, np.uint8)[np.searchsorted(bounds, s.ravel(), side="right")].reshape(s.shape)
    if street.junction:
        rows = (z > street.junction[0]) & (z < street.junction[1])
        material[rows] = road
    return material


def _texture(material: np.ndarray, z: np.ndarray, s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness of each pixel's surface: coarse patches and, near by, grit."""
    shift = rng.integers(0, TILE, 4)
    level = np.ones_like(s)
    coarse = np.array([m[2] for m in MATERIALS.values()], np.float32)
    fine = np.array([m[3] for m in MATERIALS.values()], np.float32)
    for k, (slope, texels, amount) in enumerate(((PATCH, 9.0, coarse), (GRIT, 34.0, fine))):
        rows = ((z * texels * (0.5 if k == 0 else 1.0)).astype(np.int32) + shift[2 * k]) & (TILE - 1)
        columns = ((s * texels).astype(np.int32) + shift[2 * k + 1]) & (TILE - 1)
        fade = np.minimum(1.0, (26.0 if k == 0 else 9.0) / z)[:, None]
        level += noise_tile(slope)[rows[:, None], columns] * amount[material] * fade
    return level


def _joints(level: np.ndarray, material: np.ndarray, street: Street, z: np.ndarray, s: np.ndarray) -> None:
    """Joints between paving slabs, kerb stones and cobbles, in place; they fade before they would flicker."""
    near = z < 22
    if not near.any():
        return
    start = int(np.argmax(near))
    zn, sn, mn = z[start:, None], s[start:], material[start:]
    fade = np.clip((22 - zn) / 10, 0, 1)
    slab = ((np.mod(sn, 0.6) < 0.04) | (np.mod(zn + 0.3 * np.floor(sn / 0.6), 0.6) < 0.06)) & (
        mn == NAMES.index("paving")
    )
    stone = (np.mod(zn, 1.0) < 0.07) & (mn == NAMES.index("kerb"))
    dark = np.where(slab | stone, 0.22, 0.0)
    if street.cobbles:
        stones = ((np.mod(sn, 0.22) < 0.05) | (np.mod(zn, 0.22) < 0.06)) & (mn == NAMES.index("cobbles"))
        dark = np.maximum(dark, np.where(stones & (zn < 12), 0.3, 0.0))
    level[start:] *= (1.0 - dark * fade).astype(np.float32)


def _marks(
    colour: np.ndarray,
    level: np.ndarray,
    material: np.ndarray,
    street: Street,
    z: np.ndarray,
    s: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Paint on the road into ``colour``; rails, wheel tracks, manholes and patches into ``level``; both in place."""
    road = material <= NAMES.index("cobbles")
    depth = z[:, None]
    free = np.ones_like(depth, bool)
    if street.junction:
        free = (depth < street.junction[0] - 1) | (depth > street.junction[1] + 1)
    paint = np.zeros(s.shape, bool)
    for centre, dash in street.lines:
        line = (np.abs(s - centre) < 0.075) & free
        if dash:
            line &= np.mod(depth + centre * 3.1, dash * 1.6) < dash * 0.6
        paint |= line
    if street.zebra is not None:
        band = np.abs(depth - street.zebra) < 1.6
        paint = (paint & ~band) | (band & (np.mod(s, 1.0) < 0.5))
    if street.junction:
        middle = min(lane[0] for lane in street.lanes if lane[1] == 0.0) - 1.5
        stop = street.junction[0] - (6.6 if street.zebra is not None else 2.0)
        paint |= (np.abs(depth - stop) < 0.2) & (s > middle)
    wear = float(rng.uniform(0.45, 0.9))
    paint &= road
    colour[paint] = colour[paint] * (1 - wear) + wear * np.array((214, 213, 206), np.float32)
    dark = np.zeros(s.shape, np.float32)
    if street.track is not None:
        for offset in (-0.72, 0.72):
            dark += 0.55 * (np.abs(s - street.track - offset) < 0.06)
    for centre, _ in street.lanes:
        dark += 0.06 * np.maximum(0.0, 1.0 - np.abs(np.abs(s - centre) - 0.75) * 2.2)
    for _ in range(int(rng.integers(0, 4))):
        ms, mz, radius = rng.uniform(-3, 3), rng.uniform(5, 20), 0.35
        dark += 0.3 * ((s - ms) ** 2 + (depth - mz) ** 2 < radius**2)
    for _ in range(int(rng.integers(0, 3))):
        ps, pz, pw, pl = rng.uniform(-4, 3), rng.uniform(4, 22), rng.uniform(0.6, 2.5), rng.uniform(1, 6)
        dark += float(rng.uniform(-0.12, 0.2)) * ((np.abs(s - ps) < pw) & (np.abs(depth - pz) < pl))
    level *= 1.0 - np.where(road, dark, 0.0).astype(np.float32)


def _shadows(painter: Painter, light: Light, items: list[Item]) -> np.ndarray:
    """Where the ground lies in shadow, ``[H, W]`` uint8 0..255."""
    camera = painter.camera
    mask = np.zeros((camera.height, camera.width), np.uint8)
    ds, dz = light.shadow_step
    sunny = light.direct > 0.2
    hulls, levels = [], []
    for item in items:
        if item.z > 60 or item.kind == "tower":
            continue
        if item.kind == "tree" and item.variant != "bush":
            hull = _crown_shadow(item, ds, dz)
        else:
            foot = item.footprint()
            if item.kind in ("building", "wall", "hedge", "fence"):
                foot[:, 0] += math.copysign(item.width / 2, item.s)
            reach = item.height * 0.95 if sunny else 0.12
            hull = np.concatenate([foot, foot + np.array((ds * reach, dz * reach))])
        if not sunny and item.kind in ("tree", "lamp", "sign", "traffic light"):
            continue
        hulls.append(hull)
        levels.append(150 if item.kind in ("fence", "tree") else 255)
    if hulls:
        flat = np.concatenate(hulls)
        pixels = camera.project(np.column_stack([flat[:, 0], np.zeros(len(flat)), np.maximum(flat[:, 1], 1.3)]))
        starts = np.cumsum([len(hull) for hull in hulls])[:-1]
        for corners, level in zip(np.split(to_fixed(pixels), starts), levels):
            cv2.fillConvexPoly(mask, cv2.convexHull(corners), level, shift=4)
    width = max(1.0, camera.height / 256)
    return cv2.GaussianBlur(mask, (0, 0), width if sunny else 2.5 * width)


def _crown_shadow(item: Item, ds: float, dz: float) -> np.ndarray:
    angles = np.linspace(0, 2 * math.pi, 12, endpoint=False)
    low, high = 0.4 * item.height, 0.9 * item.height
    circle = np.column_stack([np.cos(angles), np.sin(angles)]) * item.width / 2 + (item.s, item.z)
    step = np.array((ds, dz))
    return np.concatenate([circle + low * step, circle + high * step])
