"""Segmentation networks, one architecture a file, registered in ``shared.registry.MODELS``.

A network maps ``[N, 3, H, W]`` to a list of logits ``[N, K, H, W]``, the main ones first, in NCHW whatever its inner
layout; H and W may be odd. The same layer serves both modes: called on tensors it computes, called on the variables
of a static program it adds its operators to that program.

``fcn``      FCN
``deeplab``  DeepLabV3P, DeepLabV3
"""

from dygraph.paddle_check import require_paddle

require_paddle()

from dygraph.models.deeplab import DeepLabV3, DeepLabV3P  # noqa: E402
from dygraph.models.fcn import FCN  # noqa: E402

__all__ = ["FCN", "DeepLabV3", "DeepLabV3P"]
