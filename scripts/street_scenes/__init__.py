"""Synthetic street scenes in the Cityscapes layout, drawn with NumPy and OpenCV."""

from __future__ import annotations

from .classes import CLASS_NAMES, TrainId
from .dataset import write_street_scenes
from .render import render_scene

__all__ = ["CLASS_NAMES", "TrainId", "render_scene", "write_street_scenes"]
