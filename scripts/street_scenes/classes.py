"""The nineteen Cityscapes classes as train ids, and the choice of some of them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from shared.errors import UserError
from shared.registry import closest


class TrainId(IntEnum):
    """Train ids of Cityscapes, in the order of ``classes.txt``; ``IGNORE`` (255) belongs to no class."""

    ROAD = 0
    SIDEWALK = 1
    BUILDING = 2
    WALL = 3
    FENCE = 4
    POLE = 5
    TRAFFIC_LIGHT = 6
    TRAFFIC_SIGN = 7
    VEGETATION = 8
    TERRAIN = 9
    SKY = 10
    PERSON = 11
    RIDER = 12
    CAR = 13
    TRUCK = 14
    BUS = 15
    TRAIN = 16
    MOTORCYCLE = 17
    BICYCLE = 18
    IGNORE = 255


CLASS_NAMES: tuple[str, ...] = tuple(c.name.lower().replace("_", " ") for c in TrainId if c is not TrainId.IGNORE)
ALL_CLASSES = frozenset(TrainId) - {TrainId.IGNORE}
ALWAYS = frozenset({TrainId.ROAD, TrainId.BUILDING, TrainId.SKY})

#: Classes that are never seen alone, and those of which they need one.
_CARRIERS: dict[TrainId, tuple[TrainId, ...]] = {
    TrainId.RIDER: (TrainId.BICYCLE, TrainId.MOTORCYCLE),
    TrainId.TRAFFIC_LIGHT: (TrainId.POLE,),
    TrainId.TRAFFIC_SIGN: (TrainId.POLE,),
}


def choose_classes(names: Sequence[str] | None) -> frozenset[TrainId]:
    """The classes that scenes shall show.

    Args:
        names: some of :data:`CLASS_NAMES`, or None for all of them. Road, building and sky are added.

    Raises:
        UserError: a name is unknown, no name is given, or a class lacks what carries it (a rider its bicycle).
    """
    if names is None:
        return ALL_CLASSES
    if not names:
        raise UserError(f"--classes names no class; choose from {_listed(CLASS_NAMES)}")
    for name in names:
        if name not in CLASS_NAMES:
            near = closest(name, list(CLASS_NAMES))
            hint = f"did you mean {near!r}? " if near else ""
            raise UserError(f"--classes: there is no class {name!r}; {hint}known: {_listed(CLASS_NAMES)}")
    chosen = ALWAYS | {TrainId(CLASS_NAMES.index(name)) for name in names}
    for carried, carriers in _CARRIERS.items():
        if carried in chosen and not chosen.intersection(carriers):
            needed = " or ".join(CLASS_NAMES[c] for c in carriers)
            raise UserError(
                f"--classes has {CLASS_NAMES[carried]!r}, which is never seen without {needed}; add {needed}"
            )
    return chosen


def names_of(classes: frozenset[TrainId]) -> list[str]:
    """The names of ``classes`` in the order of their train ids."""
    return [CLASS_NAMES[class_id] for class_id in sorted(classes)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) if " " in name else name for name in names)
