"""What "equal" means on the ladder: every bit; and how far apart two arrays are that are not equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True)
class Both(Generic[T]):
    """The same thing in either mode."""

    eager: T
    static: T

    def __iter__(self) -> Iterator[T]:
        yield from (self.eager, self.static)


@dataclass(frozen=True)
class Comparison:
    """One tensor of a rung in both modes.

    Attributes:
        name: structured name of the tensor.
        ulps: largest distance in units in the last place, which counts the floating point numbers between the two;
            of whole numbers the largest difference. -1 where the two cannot be compared: ``note`` says why.
        absolute, relative: largest difference, and that over the largest magnitude of the tensor in eager mode.
        differing, size: elements that are not equal, and all of them.
        note: what else there is to say.
    """

    name: str
    ulps: int = 0
    absolute: float = 0.0
    relative: float = 0.0
    differing: int = 0
    size: int = 0
    note: str = ""

    @property
    def equal(self) -> bool:
        """Whether every bit is the same."""
        return self.ulps == 0

    def __str__(self) -> str:
        if self.equal:
            return f"{self.name}: equal"
        if self.ulps < 0:
            return f"{self.name}: {self.note}"
        text = (
            f"{self.name}: {self.ulps} ulps (absolute {self.absolute:.3g}) in {self.differing} of {self.size} elements"
        )
        return f"{text}, {self.note}" if self.note else text


def incomparable(name: str, why: str) -> Comparison:
    """A tensor of which only one mode has something to compare."""
    return Comparison(name, ulps=-1, absolute=float("inf"), relative=float("inf"), note=why)


def compare(name: str, eager: np.ndarray, static: np.ndarray) -> Comparison:
    """Compare two arrays; NaN equals NaN, and 0 equals -0."""
    eager, static = np.asarray(eager), np.asarray(static)
    if eager.shape != static.shape or eager.dtype != static.dtype:
        return incomparable(
            name, f"{eager.dtype}{list(eager.shape)} in eager mode, {static.dtype}{list(static.shape)} in static mode"
        )
    floating = eager.dtype.kind == "f"
    if np.array_equal(eager, static) or (floating and np.array_equal(eager, static, equal_nan=True)):
        return Comparison(name, size=eager.size)
    different = (eager != static) & ~(np.isnan(eager) & np.isnan(static)) if floating else eager != static
    one, other = eager[different], static[different]
    steps = np.abs(_places(one) - _places(other))
    with np.errstate(invalid="ignore", over="ignore"):
        absolute = np.abs(one.astype(np.float64) - other.astype(np.float64))
    largest = float("inf") if np.isnan(absolute).any() else float(absolute.max())
    magnitude = float(np.max(np.abs(eager.astype(np.float64)), initial=0.0, where=np.isfinite(eager)))
    return Comparison(
        name,
        ulps=max(1, int(steps.max())),
        absolute=largest,
        relative=largest / magnitude if magnitude else float("inf"),
        differing=int(different.sum()),
        size=eager.size,
        note="NaN in one mode only" if np.isnan(absolute).any() else "",
    )


def compare_all(eager: Mapping[str, np.ndarray], static: Mapping[str, np.ndarray]) -> list[Comparison]:
    """Compare arrays by name, in the order of eager mode; names of one mode alone are differences too."""
    found = [
        compare(name, value, static[name]) if name in static else incomparable(name, "in eager mode only")
        for name, value in eager.items()
    ]
    return found + [incomparable(name, "in static mode only") for name in static if name not in eager]


def _places(values: np.ndarray) -> np.ndarray:
    """The number of each value in the row of all values of its type, int64; neighbours are one apart."""
    if values.dtype.kind != "f":
        return values.astype(np.int64)
    bits = values.view(f"i{values.dtype.itemsize}").astype(np.int64)
    lowest = np.iinfo(f"i{values.dtype.itemsize}").min
    return np.where(bits < 0, lowest - bits, bits)
