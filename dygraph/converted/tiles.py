"""How an axis of a convolution of three taps is cut into tiles, whose outputs need fewer multiplications together.

A tile of ``m`` outputs needs ``m + 2`` multiplications instead of ``3 m``, between sums of its inputs and sums of the
taps; in two dimensions the savings multiply (Winograd 1980; Lavin and Gray, https://arxiv.org/abs/1509.09308). A tile
between zeros, as wide dilations have them, needs fewer still.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

TAPS = 3
#: Outputs of a tile along an axis -> the points its polynomials are taken at, beside infinity; what rounds least.
POINTS: dict[int, tuple[float, ...]] = {
    2: (0, 1, -1),
    3: (1 / 2, -1 / 2, 5 / 4, -5 / 4),
    4: (0, 5 / 8, -5 / 8, 3 / 2, -3 / 2),
}


@dataclass(frozen=True, eq=False)
class Scheme:
    """``after @ ((taps @ filter) * (inputs @ read))`` are the outputs of a tile; float64.

    Attributes:
        after: ``[outputs, products]``.
        taps: ``[products, 3]``.
        inputs: ``[products, reads]``.
        between_zeros: whether the inputs before the first output's own, and behind the last one's, have to be zeros;
            they are not read.
    """

    after: np.ndarray
    taps: np.ndarray
    inputs: np.ndarray
    between_zeros: bool = False


@cache
def interpolated(tile: int) -> Scheme:
    """Lagrange's interpolation at ``POINTS[tile]`` and infinity: ``tile + 2`` products."""
    points = np.array(POINTS[tile])
    count = len(points)
    after, taps, inputs = np.zeros((tile, count + 1)), np.zeros((count + 1, TAPS)), np.zeros((count + 1, count + 1))
    for row, point in enumerate(points):
        others = np.delete(points, row)
        after[:, row] = point ** np.arange(tile)
        taps[row] = point ** np.arange(TAPS) / np.prod(point - others)
        inputs[row, :count] = np.poly(others)[::-1]
    after[-1, -1] = taps[-1, -1] = 1  # the point at infinity
    inputs[-1] = np.poly(points)[::-1]
    return Scheme(after, taps, inputs)


def _triple() -> Scheme:
    """Three outputs between zeros, of four products.

    Outputs, taps and inputs meet where their places, those of outputs and taps counted from behind, are three together.
    That is the cubic form ``x1**3 + 6 x0 x1 x2``, and also this sum of four cubes.
    """
    root = np.sqrt(1 / 2)
    cubes = np.array([[1 / 2, 1, 1 / 2], [-1 / 2, 1, -1 / 2], [root, 1, -root], [-root, 1, root]])
    weights = np.array([1, 1, -1 / 2, -1 / 2])
    from_behind = cubes[:, ::-1]
    return Scheme(from_behind.T, weights[:, None] * from_behind, cubes, between_zeros=True)


#: One output between zeros: its middle tap alone.
SINGLE = Scheme(np.ones((1, 1)), np.array([[0.0, 1, 0]]), np.ones((1, 1)), between_zeros=True)
#: Two outputs between zeros: both are the middle tap times the sum of the inputs, and a rest of one product each.
PAIR = Scheme(
    np.array([[1.0, 1, 0], [1, 0, 1]]),
    np.array([[0.0, 1, 0], [0, -1, 1], [1, -1, 0]]),
    np.array([[1.0, 1], [0, 1], [1, 0]]),
    between_zeros=True,
)
TRIPLE = _triple()
SCHEMES = (*map(interpolated, POINTS), SINGLE, PAIR, TRIPLE)


@dataclass(frozen=True)
class Axis:
    """One axis of a convolution; each tile holds outputs that are ``dilation`` apart.

    Attributes:
        size: inputs.
        outputs: outputs.
        dilation: between the taps.
        padding: zeros before the first input.
    """

    size: int
    outputs: int
    dilation: int
    padding: int

    @cached_property
    def scheme(self) -> Scheme:
        """What needs the fewest multiplications."""
        return min(filter(self._suits, SCHEMES), key=self._multiplications)

    @property
    def tiles(self) -> int:
        """How many there are."""
        return len(self._first(self.scheme))

    @property
    def multiplications(self) -> int:
        """Of all tiles, for one channel."""
        return self._multiplications(self.scheme)

    def reads(self) -> np.ndarray:
        """``[reads of a tile, tiles]``: the input at every place of every tile; ``size`` or more where it is a zero."""
        skipped = 1 if self.scheme.between_zeros else 0
        places = (np.arange(self.scheme.inputs.shape[1]) + skipped)[:, None] * self.dilation - self.padding
        places = places + self._first(self.scheme)
        return np.where(places >= 0, places, self.size)

    def writes(self) -> tuple[np.ndarray, np.ndarray]:
        """``[outputs]`` each: the place in its tile, and the tile, of every output."""
        places = np.arange(len(self.scheme.after))[:, None] * self.dilation + self._first(self.scheme)
        place, tile = np.nonzero(places < self.outputs)
        order = np.argsort(places[place, tile])
        return place[order], tile[order]

    def _suits(self, scheme: Scheme) -> bool:
        """Whether a tile has the zeros around it that the scheme counts on."""
        whole = self.size == self.outputs <= len(scheme.after) * self.dilation and self.padding == self.dilation
        return whole or not scheme.between_zeros

    def _multiplications(self, scheme: Scheme) -> int:
        return len(scheme.inputs) * len(self._first(scheme))

    def _first(self, scheme: Scheme) -> np.ndarray:
        """The first output of every tile."""
        phases = range(min(self.dilation, self.outputs))
        step = len(scheme.after) * self.dilation
        return np.concatenate([np.arange(phase, self.outputs, step) for phase in phases])
