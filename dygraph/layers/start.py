"""Where a network's first weights come from, if not from its initialisers."""

from __future__ import annotations

from paddle import nn


def load_if_given(layer: nn.Layer, pretrained: str | None) -> None:
    """Load published weights into ``layer`` at the end of its constructor, if the config names any.

    The reading code is imported only then: a network built for a checkpoint needs none of it.
    """
    if pretrained:
        from dygraph.pretrained import load_pretrained

        load_pretrained(layer, pretrained)
