"""What stands where: the cross-section of a street and the things placed on it, in metres and without pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .camera import Frame
from .classes import ALL_CLASSES, TrainId


@dataclass(frozen=True)
class Item:
    """One thing in the scene; ``kind`` names the function that draws it.

    ``s`` and ``z`` are its centre (for walls and buildings ``s`` is the side towards the street), ``length`` runs
    along its heading, ``width`` across. Pieces of one fence share ``run``, a seed for what they have in common.
    ``order`` is the depth by which it is sorted.
    """

    kind: str
    s: float
    z: float
    seed: int
    length: float = 0.3
    width: float = 0.3
    height: float = 1.0
    heading: float = 0.0
    variant: str = ""
    y: float = 0.0
    run: int = 0
    order: float = 0.0

    def footprint(self) -> np.ndarray:
        """Corners of the area it covers, ``[4, 2]`` (s, z)."""
        a, b = self.length / 2, self.width / 2
        corners = np.array([[-a, 0.0, -b], [-a, 0.0, b], [a, 0.0, b], [a, 0.0, -b]])
        return Frame(self.s, self.z, self.heading).to_street(corners)[:, [0, 2]]


@dataclass(frozen=True)
class Side:
    """One side of the street, from the kerb outwards; distances are positive, ``sign`` is -1 left or 1 right."""

    sign: int
    kerb: float
    verge: float
    path: float
    garden: float
    theme: str  # "shops", "houses" or "park"
    barrier: str  # "", "fence", "wall" or "hedge"

    @property
    def path_start(self) -> float:
        """Where the pavement begins, behind kerb stone and verge."""
        return self.kerb + 0.25 + self.verge

    @property
    def path_end(self) -> float:
        """Where the pavement ends and a fence may stand."""
        return self.path_start + self.path

    @property
    def front(self) -> float:
        """The building line."""
        return self.path_end + self.garden


@dataclass(frozen=True)
class Street:
    """The street as a whole; lanes are ``(centre s, heading)``, ``lines`` are ``(s, dash)`` with dash 0 for solid."""

    left: Side
    right: Side
    lanes: tuple[tuple[float, float], ...]
    lines: tuple[tuple[float, float], ...]
    parking: tuple[float, ...]  # centres of parking lanes
    median: tuple[float, float] | None
    track: float | None  # centre of the tram track
    junction: tuple[float, float] | None  # depths between which a street crosses
    zebra: float | None
    curvature: float
    horizon: float
    eye_height: float
    cobbles: bool


@dataclass(frozen=True)
class Demands:
    """Which rare things a scene must show."""

    big: str = ""  # "bus", "truck" or "train"
    barrier: str = ""  # "fence" or "wall"
    rider: str = ""  # "bicycle" or "motorcycle"
    parked: str = ""  # "bicycle" or "motorcycle"
    traffic_light: bool = False
    terrain: bool = False


def demands(index: int, classes: frozenset[TrainId] = ALL_CLASSES) -> Demands:
    """The schedule of the rare classes: any four scenes in a row show all of ``classes`` between them."""
    every = _schedule(index)
    return Demands(
        big=_instead(every.big, ("bus", "truck", "train"), classes, index),
        barrier=_instead(every.barrier, ("fence", "wall"), classes, index),
        rider=_instead(every.rider, ("bicycle", "motorcycle"), classes, index) if TrainId.RIDER in classes else "",
        parked=_instead(every.parked, ("bicycle", "motorcycle"), classes, index),
        traffic_light=every.traffic_light and TrainId.TRAFFIC_LIGHT in classes,
        terrain=every.terrain and TrainId.TERRAIN in classes,
    )


def _instead(name: str, kinds: tuple[str, ...], classes: frozenset[TrainId], index: int) -> str:
    """``name``, or another of ``kinds`` where ``classes`` lack it; nothing where they lack all."""
    known = [kind for kind in kinds if TrainId[kind.upper()] in classes]
    return name if name in known or not name else known[index % len(known)] if known else ""


def _schedule(index: int) -> Demands:
    """What scene ``index`` must show where all nineteen classes are drawn."""
    turn = index // 4
    if index % 4 == 0:
        return Demands(big="bus", barrier="fence", rider="bicycle", traffic_light=True)
    if index % 4 == 1:
        return Demands(big="truck", barrier="wall", rider="motorcycle")
    if index % 4 == 2:
        return Demands(big="train", terrain=True, parked="bicycle", traffic_light=True)
    return Demands(
        big=("bus", "truck", "train")[turn % 3],
        barrier=("fence", "wall")[turn % 2],
        parked="motorcycle",
        terrain=turn % 2 == 0,
    )


def sample_street(rng: np.random.Generator, wanted: Demands) -> Street:
    """Draw the cross-section, the bend and the camera's place."""
    lane = float(rng.uniform(2.9, 3.6))
    shift = float(rng.uniform(-0.35, 0.35))
    middle = shift - lane / 2
    right_lanes, left_lanes = 1 + int(rng.random() < 0.25), 1 + int(rng.random() < 0.25)
    median_width = float(rng.uniform(1.2, 3.0)) if rng.random() < 0.12 else 0.0
    left_start = middle - median_width
    lanes = [(middle + lane * (k + 0.5), 0.0) for k in range(right_lanes)]
    lanes += [(left_start - lane * (k + 0.5), float(np.pi)) for k in range(left_lanes)]
    right_end, left_end = middle + lane * right_lanes, left_start - lane * left_lanes
    lines = [(middle + lane * k, 6.0) for k in range(1, right_lanes)]
    lines += [(left_start - lane * k, 6.0) for k in range(1, left_lanes)]
    if not median_width and rng.random() < 0.85:
        lines.append((middle, float(rng.choice([0.0, 6.0, 9.0]))))
    parking = []
    if rng.random() < 0.5:
        parking.append(right_end + 1.05)
        lines.append((right_end, 0.0))
        right_end += 2.1
    if rng.random() < 0.5:
        parking.append(left_end - 1.05)
        left_end -= 2.1
    track = None
    if wanted.big == "train" or rng.random() < 0.08:
        track = left_start - lane / 2
    junction = None
    if wanted.traffic_light or rng.random() < 0.35:
        start = float(rng.uniform(17, 38))
        junction = (start, start + float(rng.uniform(7, 11)))
    zebra = junction[0] - 4.0 if junction and rng.random() < 0.6 else None
    if junction is None and rng.random() < 0.2:
        zebra = float(rng.uniform(9, 26))
    barrier_side = int(rng.integers(2))
    sides = [
        _sample_side(rng, sign, end, wanted, barrier_side == k, rng.random() < 0.5 or barrier_side != k)
        for k, (sign, end) in enumerate(((-1, -left_end), (1, right_end)))
    ]
    return Street(
        left=sides[0],
        right=sides[1],
        lanes=tuple(lanes),
        lines=tuple(lines),
        parking=tuple(parking),
        median=(left_start, middle) if median_width else None,
        track=track,
        junction=junction,
        zebra=zebra,
        curvature=0.0 if rng.random() < 0.5 else float(rng.uniform(-1, 1)) / 160,
        horizon=float(rng.uniform(0.40, 0.48)),
        eye_height=float(rng.uniform(1.25, 1.65)),
        cobbles=bool(rng.random() < 0.12),
    )


def _sample_side(rng: np.random.Generator, sign: int, kerb: float, wanted: Demands, chosen: bool, green: bool) -> Side:
    theme = ("shops", "shops", "shops", "houses", "houses", "park")[int(rng.integers(6))]
    barrier = ("", "fence", "wall", "hedge", "hedge")[int(rng.integers(5))] if theme != "shops" else ""
    if wanted.barrier and (chosen or rng.random() < 0.5):
        barrier = wanted.barrier
    verge = float(rng.uniform(1.0, 2.4)) if rng.random() < 0.25 or (wanted.terrain and green) else 0.0
    garden = {"shops": 0.0, "houses": float(rng.uniform(2.0, 6.0)), "park": 40.0}[theme]
    if barrier and theme == "shops":
        garden = float(rng.uniform(1.0, 3.0))
    return Side(sign, kerb, verge, float(rng.uniform(1.8, 4.5)), garden, theme, barrier)
