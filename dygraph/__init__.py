"""The eager half of DualSeg, and the one definition of every network and loss.

``import dygraph`` does not import Paddle; the first use of a name below does.

>>> import dygraph
>>> network = dygraph.build_model({"type": "FCN", "num_classes": 19, "backbone": {"type": "HRNet_W18"}})
"""

from __future__ import annotations

from typing import Any

__all__ = ["build_losses", "build_model", "compute_losses"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from dygraph import build

        return getattr(build, name)
    raise AttributeError(f"module 'dygraph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
