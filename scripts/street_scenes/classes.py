"""The nineteen Cityscapes classes as train ids."""

from __future__ import annotations

from enum import IntEnum


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
