"""The one list of what need not be equal bit for bit in float32; ``docs/parity.md`` shows the same."""

from __future__ import annotations

from dataclasses import dataclass

MOST_EXCEPTIONS = 3  # a longer list would mean that the modes are not the same computation
FLOAT64_BOUND = 1e-9  # relative: what every exception keeps to in float64


@dataclass(frozen=True)
class ParityException:
    """A network that is compared in float64, within a bound, because one operator differs.

    Attributes:
        network: as the registry names it.
        operator: the operator that computes differently.
        cause: why.
        bound: largest relative difference in float64.
    """

    network: str
    operator: str
    cause: str
    bound: float = FLOAT64_BOUND


EXCEPTIONS: tuple[ParityException, ...] = ()
