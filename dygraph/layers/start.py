"""What a constructor does with weights beyond initialising them: load published ones, freeze those nothing trains."""

from __future__ import annotations

from typing import TypeVar

from paddle import nn

Layer = TypeVar("Layer", bound=nn.Layer)


def load_if_given(layer: nn.Layer, pretrained: str | None) -> None:
    """Load published weights into ``layer`` at the end of its constructor, if the config names any.

    The reading code is imported only then: a network built for a checkpoint needs none of it.
    """
    if pretrained:
        from dygraph.pretrained import load_pretrained

        load_pretrained(layer, pretrained)


def frozen(layer: Layer) -> Layer:
    """``layer`` without training: its parameters stand in ``state_dict()``, and no optimiser moves them."""
    for parameter in layer.parameters():
        parameter.stop_gradient = True
    return layer
