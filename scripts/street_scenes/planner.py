"""Puts buildings, green, street furniture, people and traffic onto a street."""

from __future__ import annotations

import math

import numpy as np

from .colours import pick
from .layout import Demands, Item, Side, Street
from .vehicles import SHAPES

FARTHEST = 100.0


class Planner:
    """Collects the items of one scene; every random number comes from ``rng``."""

    def __init__(self, rng: np.random.Generator, street: Street, wanted: Demands) -> None:
        self.rng, self.street, self.wanted = rng, street, wanted
        self.items: list[Item] = []
        self._taken: list[tuple[float, float, float]] = []  # (s, z0, z1) of vehicles

    def plan(self) -> list[Item]:
        """All items, from far to near."""
        self._backdrop()
        self._traffic()
        for side in (self.street.left, self.street.right):
            self._buildings(side)
            self._barrier(side)
            self._green(side)
            self._furniture(side)
            self._people(side)
        self._feature_parked()
        return sorted(self.items, key=lambda item: -item.order)

    def _add(self, kind: str, s: float, z: float, **more: object) -> None:
        more.setdefault("order", z)
        self.items.append(Item(kind, s, z, seed=int(self.rng.integers(2**31)), **more))  # type: ignore[arg-type]

    def _between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def _in_junction(self, z0: float, z1: float) -> bool:
        junction = self.street.junction
        return junction is not None and z0 < junction[1] and z1 > junction[0]

    # ---- far things -------------------------------------------------------------------------------------------------

    def _backdrop(self) -> None:
        x = -160.0
        while x < 160.0:
            width, z = self._between(10, 30), self._between(150, 230)
            s = x + width / 2 - 0.5 * self.street.curvature * z * z
            if self.rng.random() < 0.5:
                self._add("tower", s, z, width=width, height=self._between(8, 30))
            else:
                self._add("tree", s, z, width=width, height=self._between(7, 13), variant="bush")
            x += width * self._between(0.6, 1.1)

    # ---- the sides --------------------------------------------------------------------------------------------------

    def _buildings(self, side: Side) -> None:
        if side.theme == "park":
            return
        z, base = self._between(-6, 4), self._between(9, 19 if side.theme == "shops" else 13)
        while z < FARTHEST:
            length = self._between(9, 22)
            end = min(z + length, z + max(8.0, 0.7 * z))
            gap = 0.0 if self.rng.random() < (0.85 if side.theme == "shops" else 0.4) else self._between(2, 7)
            junction = self.street.junction
            if junction and end > junction[0] - 3.0 and z < junction[1] + 3.0:
                if z > junction[0] - 9.0:
                    z = junction[1] + 3.0
                    continue
                end = junction[0] - 3.0
            if end > 3.0:
                height = base * self._between(0.75, 1.35)
                setback = self._between(0, 0.6) if side.theme == "shops" else self._between(0, 2.0)
                self._add("building", side.sign * (side.front + setback), (z + end) / 2, length=end - z, width=10.0,
                          height=height, variant=side.theme, order=end)  # fmt: skip
            z = end + gap

    def _barrier(self, side: Side) -> None:
        if not side.barrier:
            return
        variants = {
            "fence": ("railing", "railing", "mesh", "plank", "barrier"),
            "wall": ("brick", "concrete", "stone"),
            "hedge": ("",),
        }[side.barrier]
        variant, run = pick(self.rng, variants), int(self.rng.integers(2**31))
        height = {"fence": self._between(1.1, 1.9), "wall": self._between(1.1, 2.8), "hedge": self._between(0.8, 1.8)}
        z, s = 4.0, side.sign * side.path_end
        while z < 80.0:
            end = z * 1.28
            if self.street.junction:
                first, last = self.street.junction[0] - 1.0, self.street.junction[1] + 1.0
                if first <= z < last:
                    z = last
                    continue
                end = min(end, first) if z < first else end
            if end - z > 0.2:
                thick = 1.2 if side.barrier == "hedge" else 0.3
                self._add(side.barrier, s, (z + end) / 2, length=end - z, width=thick, height=height[side.barrier],
                          variant=variant, run=run, order=end)  # fmt: skip
                if self.rng.random() < 0.12 and side.barrier != self.wanted.barrier:
                    end += 2.5
            z = end

    def _green(self, side: Side) -> None:
        kinds = ("round", "round", "round", "tall", "conifer")
        if side.verge or self.rng.random() < 0.35:
            kind, step, offset = pick(self.rng, kinds[:4]), self._between(8, 16), self._between(5, 14)
            s = side.sign * (side.kerb + 0.25 + max(side.verge / 2, 0.7))
            width, height = self._between(3.0, 5.5), self._between(5.5, 9.5)
            for z in np.arange(offset, 70.0, step):
                if not self._in_junction(z - 3, z + 3) and self.rng.random() < 0.85:
                    self._tree(s, z, width, height, kind)
        count = {"shops": 0, "houses": int(self.rng.integers(1, 6)), "park": int(self.rng.integers(12, 26))}[side.theme]
        for _ in range(count):
            z = self._between(9, 75) if side.theme == "park" else self._between(10, 60)
            depth = (
                self._between(1.5, 26.0) if side.theme == "park" else self._between(0.8, max(1.0, side.garden - 0.5))
            )
            if side.theme == "houses" and self.rng.random() < 0.6:
                self._tree(
                    side.sign * (side.path_end + depth), z, self._between(1.2, 2.6), self._between(0.9, 2.0), "bush"
                )
            else:
                self._tree(side.sign * (side.path_end + depth), z, self._between(3, 6.5), self._between(4.5, 10), pick(
                    self.rng, kinds))  # fmt: skip

    def _tree(self, s: float, z: float, width: float, height: float, kind: str) -> None:
        if self._in_junction(z - 1, z + 1):
            return
        width, height = width * self._between(0.8, 1.25), height * self._between(0.85, 1.2)
        if kind in ("tall", "conifer"):
            width *= 0.6
        self._add("tree", s, float(z), width=width, length=width, height=height, variant=kind)

    def _furniture(self, side: Side) -> None:
        near_kerb = side.sign * (side.kerb + 0.5)
        step, offset = self._between(20, 34), self._between(6, 24)
        height = self._between(5.5, 8.5)
        for z in np.arange(offset, 80.0, step):
            self._add("lamp", near_kerb, float(z), height=height, width=0.2)
        shapes = ("round", "round", "triangle", "square", "square", "diamond", "stop", "board")
        for _ in range(int(self.rng.integers(1, 4))):
            s = near_kerb + side.sign * self._between(0, 0.5)
            self._add("sign", s, max(8.5, 2.2 * abs(s)) + self._between(0, 18), height=2.8, width=0.5,
                      length=0.1, variant=pick(self.rng, shapes))  # fmt: skip
        if self.street.junction and (self.wanted.traffic_light or self.rng.random() < 0.6):
            for z in (self.street.junction[0] - 1.0, self.street.junction[1] + 1.5):
                variant = "arm" if self.rng.random() < 0.35 else "post"
                self._add("traffic light", near_kerb, z, height=3.35, variant=variant)
        if self.rng.random() < 0.3:
            banded, start, gap = self.rng.random() < 0.4, self._between(6, 16), self._between(1.2, 2.2)
            for k in range(int(self.rng.integers(3, 9))):
                self._add("bollard", near_kerb, start + k * gap, height=0.95, variant="banded" if banded else "")
        for _ in range(int(self.rng.integers(0, 3))):
            variant, width, high = pick(self.rng, (("bin", 0.5, 0.9), ("box", 0.8, 1.2), ("board", 1.3, 2.3)))
            s = side.sign * (side.path_start + self._between(0.3, side.path * 0.9))
            z = self._between(8, 40)
            self._add("clutter", s, z, height=high, width=width, length=width, variant=variant)

    def _people(self, side: Side) -> None:
        busy = int(self.rng.integers(2, 9 if side.theme == "shops" else 6))
        for _ in range(busy):
            s = side.sign * self._between(side.path_start + 0.2, side.path_end - 0.4)
            self._person(s, 2.1 * abs(s) * self._between(1.0, 2.6))
        if side.sign == 1 and self.rng.random() < (0.75 if self.street.zebra else 0.15):
            z = self.street.zebra or self._between(12, 30)
            for _ in range(int(self.rng.integers(1, 4))):
                s = self._between(-self.street.left.kerb + 0.5, self.street.right.kerb - 0.5)
                self._person(s, z + self._between(-0.8, 0.8), across=True)

    def _person(self, s: float, z: float, across: bool = False) -> None:
        heading = pick(self.rng, (0.0, math.pi)) + self._between(-0.4, 0.4) + (math.pi / 2 if across else 0.0)
        if self.rng.random() < 0.2:
            heading += math.pi / 2
        child = self.rng.random() < 0.12
        height = self._between(1.0, 1.4) if child else self._between(1.58, 1.92)
        variant = "standing" if self.rng.random() < 0.3 and not across else "walking"
        if all(abs(s - a) > 1.6 or not z0 - 0.6 < z < z1 + 0.6 for a, z0, z1 in self._taken):
            self._add("person", s, z, height=height, width=0.45, length=0.35, heading=heading, variant=variant)

    # ---- traffic ----------------------------------------------------------------------------------------------------

    def _vehicle(self, kind: str, s: float, z0: float, heading: float, **size: object) -> bool:
        """Put a vehicle's nearest end at ``z0`` unless something is there already."""
        length = float(size["length"])  # type: ignore[arg-type]
        if any(abs(s - a) < 1.9 and z0 < b1 + 1.5 and z0 + length > b0 - 1.5 for a, b0, b1 in self._taken):
            return False
        self._taken.append((s, z0, z0 + length))
        self._add(kind, s, z0 + length / 2, heading=heading, order=z0, **size)
        return True

    def _traffic(self) -> None:
        if self.wanted.big:
            self._big(self.wanted.big)
        if self.wanted.rider:
            self._rider(self.wanted.rider)
        if self.rng.random() < 0.25:
            self._big(pick(self.rng, ("bus", "truck")))
        if self.rng.random() < 0.35:
            self._rider(pick(self.rng, ("bicycle", "bicycle", "motorcycle")))
        for s in self.street.parking:
            z = self._between(5.0, 12.0)
            while z < 60.0:
                kind = self._car_size()
                if self.rng.random() < 0.72 and not self._in_junction(z - 2, z + 7) and not self._at_zebra(z):
                    turn = 0.0 if self.rng.random() < 0.7 else math.pi
                    self._vehicle("car", s, z, (0.0 if s > 0 else math.pi) + turn, **kind)
                z += float(kind["length"]) + self._between(0.7, 2.2)  # type: ignore[arg-type]
        for s, heading in self.street.lanes:
            for _ in range(int(self.rng.integers(0, 5))):
                self._vehicle("car", s + self._between(-0.25, 0.25), self._between(9, 60), heading, **self._car_size())
        if self.street.junction and self.rng.random() < 0.5:
            self._crossing("car", self._car_size())

    def _at_zebra(self, z: float) -> bool:
        return self.street.zebra is not None and abs(z + 2.2 - self.street.zebra) < 5.0

    def _car_size(self) -> dict[str, object]:
        variant = pick(self.rng, ("hatch", "hatch", "saloon", "estate", "estate", "suv", "van"))
        length, width, height, _ = SHAPES[variant]
        return {"length": length, "width": width, "height": height, "variant": variant}

    def _crossing(self, kind: str, size: dict[str, object]) -> None:
        start, end = self.street.junction or (20.0, 28.0)
        z = self._between(start + 1.6, end - 1.6)
        heading = pick(self.rng, (-1, 1)) * math.pi / 2
        s = self._between(-6, 6)
        if any(b0 < z + 2.0 and b1 > z - 2.0 and abs(a - s) < float(size["length"]) / 2 + 1.5
               for a, b0, b1 in self._taken):  # type: ignore[arg-type]  # fmt: skip
            return
        self._taken.append((s, z - 1.5, z + 1.5))
        self._add(kind, s, z, heading=heading, order=z - 1.2, **size)

    def _big(self, kind: str) -> None:
        size: dict[str, object] = {
            "bus": {"length": self._between(9, 12), "width": 2.5, "height": self._between(2.95, 3.2)},
            "train": {"length": self._between(18, 30), "width": 2.4, "height": 3.3},
            "truck": {"length": self._between(6, 10), "width": 2.4, "height": self._between(2.7, 3.7),
                      "variant": pick(self.rng, ("box", "box", "tarp", "tipper", "platform"))},
        }[kind]  # fmt: skip
        if kind != "train" and self.street.junction and self.rng.random() < 0.3:
            self._crossing(kind, size)
            return
        if kind == "train" and self.street.track is not None:
            self._vehicle(kind, self.street.track, self._between(9, 24), math.pi, **size)
            return
        for _ in range(4):
            s, heading = pick(self.rng, self.street.lanes)
            near = self._between(11, 28) if heading == 0.0 else self._between(8, 28)
            if self._vehicle(kind, s, near, heading, **size):
                return

    def _rider(self, kind: str) -> None:
        size: dict[str, object] = {"width": 0.6, "height": 1.75, "length": 1.8 if kind == "bicycle" else 2.1}
        lanes = [lane for lane in self.street.lanes if lane[1] == 0.0]
        for _ in range(6):
            if self.rng.random() < 0.35:
                heading, s = pick(self.rng, (-1, 1)) * self._between(1.1, 1.57), self._between(-3.5, 3.5)
            elif self.rng.random() < 0.65:
                heading, s = 0.0, lanes[-1][0] + self._between(0.5, 1.2)
            else:
                heading, s = math.pi, -self.street.left.kerb + self._between(0.6, 1.4)
            near = max(6.5, 2.3 * abs(s)) + self._between(0, 4)
            if self._vehicle(kind, s, near, heading + self._between(-0.2, 0.2), variant="ridden", **size):
                return

    def _feature_parked(self) -> None:
        for side in (self.street.left, self.street.right):
            for kind in ("bicycle", "motorcycle"):
                chosen = self.wanted.parked == kind and side.sign == 1
                if not chosen and self.rng.random() > 0.14:
                    continue
                lean = pick(self.rng, (0.0, 0.0, math.pi / 2, 0.9))
                s = side.sign * (side.path_start + (0.5 if lean == 0.0 else 1.0))
                start = max(8.0, 2.3 * abs(s)) + self._between(0, 4)
                for k in range(int(self.rng.integers(2, 6 if kind == "bicycle" else 5))):
                    gap = 2.0 if lean == 0.0 else 0.75
                    variant = "parked" if kind == "bicycle" else pick(self.rng, ("parked", "parked", "scooter"))
                    place, heading = s + self._between(-0.1, 0.1), lean + self._between(-0.12, 0.12)
                    self._add(kind, place, start + k * gap, heading=heading, length=1.8, width=0.5, height=1.0,
                              variant=variant)  # fmt: skip
