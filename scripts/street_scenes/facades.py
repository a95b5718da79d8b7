"""Facade textures: window grids, cornices, balconies, shop fronts, doors."""

from __future__ import annotations

import cv2
import numpy as np

from .colours import SHOP_SIGNS, Colour, mix, pick, tint, vary
from .textures import PATCH, add_courses, noise, to_bytes


class Facade:
    """The look of one facade; :meth:`paint` draws it at the resolution it will be seen at."""

    def __init__(
        self, rng: np.random.Generator, style: str, base: Colour, theme: str, sky: Colour, shade: float
    ) -> None:
        self.rng, self.style, self.theme, self.sky, self.shade = rng, style, theme, sky, shade
        self.wall = tint(base, shade)
        self.frame = tint(pick(rng, ((230, 228, 220), (196, 190, 178), (92, 70, 54), (60, 62, 66))), shade)
        self.trim = tint(mix(base, pick(rng, ((235, 232, 224), (110, 104, 96))), 0.5), shade)
        self.floor = float(rng.uniform(2.9, 3.6))
        self.ground_floor = float(rng.uniform(3.6, 4.4)) if theme == "shops" else self.floor
        self.pitch = float(rng.uniform(1.7, 3.0))
        self.window = (float(rng.uniform(0.42, 0.62)), float(rng.uniform(0.48, 0.66)))  # shares of pitch and floor
        self.balconies = theme == "houses" and rng.random() < 0.3
        self.cornice = rng.random() < 0.6

    def paint(self, length: float, height: float, size_hw: tuple[int, int]) -> np.ndarray:
        """The facade ``length`` x ``height`` metres large as ``[h, w, 3]`` uint8 RGB."""
        rows, columns = size_hw
        self.sx, self.sy, self.rows, self.top = columns / length, rows / height, rows, height
        small = (min(rows, 48), min(columns, 64))
        field = 1.0 + 0.06 * noise(self.rng, PATCH, small, small)
        wash = to_bytes(field[..., None] * np.array(self.wall, np.float32))
        self.texture = cv2.resize(wash, (columns, rows), interpolation=cv2.INTER_LINEAR)
        if self.style == "brick":
            add_courses(self.texture, 0.22 * self.sy, 0.5 * self.sx, tint(self.wall, 0.7), 0.45)
        elif self.style == "stone":
            add_courses(self.texture, 0.55 * self.sy, 1.1 * self.sx, tint(self.wall, 0.72), 0.55)
        if self.style == "glass":
            self._curtain_wall(length, height)
        else:
            self._floors(length, height)
        if self.theme == "shops":
            self._shops(length)
        else:
            self._door(length)
        self._box(0.0, length, height - 0.3, height, self.trim)
        return self.texture

    def _box(self, x0: float, x1: float, y0: float, y1: float, colour: Colour) -> None:
        """Fill a rectangle given in metres from the lower left corner."""
        first = (round(x0 * self.sx), round((self.top - y1) * self.sy))
        last = (round(x1 * self.sx) - 1, round((self.top - y0) * self.sy) - 1)
        if last[0] >= first[0] and last[1] >= first[1]:
            cv2.rectangle(self.texture, first, last, colour, -1)

    def _glass(self) -> Colour:
        """One pane: mostly dark, some with curtains, some reflecting the sky."""
        draw, depth, shine = self.rng.random(3).tolist()
        dark = tint((46, 54, 62), 0.6 + 0.8 * depth)
        if draw < 0.16:
            return tint(mix((206, 200, 186), dark, 0.35), self.shade)
        if draw < 0.22:
            return (214, 180, 116)
        return mix(dark, self.sky, 0.06 + 0.28 * shine**2)

    def _floors(self, length: float, height: float) -> None:
        wide, high = self.pitch * self.window[0], self.floor * self.window[1]
        fine = wide * self.sx >= 7 and high * self.sy >= 7
        columns = max(1, int(length / self.pitch))
        margin = (length - columns * self.pitch) / 2
        y = self.ground_floor if self.theme == "shops" else 0.0
        while y + self.floor < height + 0.3:
            if self.cornice and y > 0:
                self._box(0.0, length, y, y + 0.18, self.trim)
            sill = y + 0.28 * self.floor
            for k in range(columns):
                x = margin + k * self.pitch + (self.pitch - wide) / 2
                if fine:
                    self._box(x - 0.1, x + wide + 0.1, sill - 0.12, sill + high + 0.1, self.frame)
                self._box(x, x + wide, sill, sill + high, self._glass())
                if fine:
                    self._box(x + wide / 2 - 0.04, x + wide / 2 + 0.04, sill, sill + high, self.frame)
                    self._box(x, x + wide, sill + high - 0.14, sill + high, tint(self.wall, 0.4))
                if self.balconies and y > 0 and k % 2 == 0:
                    self._box(x - 0.4, x + wide + 0.4, y + 0.1, y + 0.95, tint(self.trim, 0.8))
                    self._box(x - 0.4, x + wide + 0.4, y - 0.05, y + 0.1, tint(self.wall, 0.5))
            y += self.floor

    def _curtain_wall(self, length: float, height: float) -> None:
        y = self.ground_floor
        panel = self.pitch * 0.6
        while y < height:
            self._box(0.0, length, y, y + self.floor * 0.3, self.trim)
            for x in np.arange(0.0, length, panel):
                share = 0.2 + 0.35 * float(self.rng.random())
                glass = mix(tint((60, 78, 92), 0.9), self.sky, share * self.shade)
                self._box(float(x) + 0.06, float(x) + panel - 0.06, y + self.floor * 0.3, y + self.floor, glass)
            y += self.floor

    def _shops(self, length: float) -> None:
        top, x = self.ground_floor, 0.2
        while x < length - 1.5:
            width = min(float(self.rng.uniform(3.0, 7.0)), length - x - 0.2)
            sign = tint(vary(self.rng, pick(self.rng, SHOP_SIGNS), 0.08, 0.15), self.shade)
            self._box(x, x + width, 0.0, top - 0.2, tint(self.wall, 0.55))
            self._box(x + 0.15, x + width - 0.15, 0.45, top - 1.05, mix((34, 38, 42), self.sky, 0.10))
            if self.sx * self.sy > 60:
                self._goods(x, width, top)
            door = x + width * float(self.rng.uniform(0.2, 0.7))
            self._box(door, door + 1.0, 0.05, top - 1.05, mix((26, 28, 30), self.sky, 0.05))
            self._box(x, x + width, top - 1.0, top - 0.25, sign)
            if self.sx * self.sy > 60:
                self._letters(x + 0.4, x + width - 0.4, top - 0.82, top - 0.42, sign)
            if self.rng.random() < 0.3:
                self._awning(x, x + width, top - 1.75, top - 1.0, sign)
            x += width + float(self.rng.uniform(0.1, 0.6))

    def _goods(self, x: float, width: float, top: float) -> None:
        """Things behind the shop window."""
        for across, up, level in self.rng.random((int(width * 1.5), 3)).tolist():
            goods = mix(tint(pick(self.rng, SHOP_SIGNS), 0.6 + 0.8 * level), (60, 56, 50), 0.45)
            gx, gy = x + 0.3 + across * (width - 1.0), 0.5 + up * (top - 2.4)
            self._box(gx, gx + 0.5, gy, gy + 0.6, goods)

    def _letters(self, x0: float, x1: float, y0: float, y1: float, back: Colour) -> None:
        ink = (236, 234, 226) if sum(back) < 380 else (36, 34, 36)
        x = x0
        while x < x1 - 0.3:
            wide = float(self.rng.uniform(0.12, 0.3))
            if self.rng.random() < 0.8:
                self._box(x, x + wide, y0, y1, ink)
            x += wide + 0.12

    def _awning(self, x0: float, x1: float, y0: float, y1: float, colour: Colour) -> None:
        light = tint((232, 228, 216), self.shade)
        for k, x in enumerate(np.arange(x0, x1, 0.5)):
            self._box(float(x), min(float(x) + 0.5, x1), y0, y1, light if k % 2 else colour)

    def _door(self, length: float) -> None:
        x = float(self.rng.uniform(0.2, 0.8)) * max(0.1, length - 1.4)
        colour = tint(
            vary(self.rng, pick(self.rng, ((92, 58, 40), (44, 62, 56), (60, 60, 66), (120, 40, 36)))), self.shade
        )
        self._box(x - 0.15, x + 1.25, 0.0, 2.45, self.trim)
        self._box(x, x + 1.1, 0.0, 2.3, colour)
        self._box(0.0, length, 0.0, 0.5, tint(self.wall, 0.62))
        self._box(x, x + 1.1, 0.0, 0.5, colour)
