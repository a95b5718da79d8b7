"""What every network has in common: images in, a list of maps of logits of the image's size out.

For example PSPNet of 19 classes on ``[2, 3, 513, 1025]``, with ``data_format="NHWC"``::

    x           [2, 3, 513, 1025]         NCHW, whatever the inner layout
    logit_maps  [[2, 65, 129, 19], ...]   in the inner layout, at any size; the auxiliary map after the main one
    forward     [[2, 19, 513, 1025], ...] NCHW again, resized to the image
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paddle import Tensor, nn

from dygraph.layers import check_data_format, from_nchw, resize, spatial_size, to_nchw
from dygraph.layers.layout import crop_to, pad_to_multiple


class SegmentationNetwork(nn.Layer):
    """A network whose subclass gives maps of logits at whatever size it computes them.

    Args:
        align_corners: of all resizes.
        data_format: ``"NCHW"`` or ``"NHWC"``: the layout inside; images and logits are NCHW outside.

    Attributes:
        size_multiple: height and width must be multiples of it inside; other images are padded on the right and at
            the bottom with zeros, and the logits cropped.
        half_pixels: of the last resize, see :func:`dygraph.layers.resize`; False where published weights want it so.
        full_size: whether ``logit_maps`` has the (padded) image's size already, so that nothing is resized.
    """

    size_multiple = 1
    half_pixels = True
    full_size = False

    def __init__(self, align_corners: bool = False, data_format: str = "NCHW") -> None:
        super().__init__()
        self.align_corners = align_corners
        self.data_format = check_data_format(data_format)

    def forward(self, x: Tensor) -> list[Any]:
        """``[N, 3, H, W]`` to a list of maps ``[N, K, H, W]``, the main logits first; see :meth:`logit_maps`."""
        size_hw = spatial_size(x)
        padded = pad_to_multiple(x, self.size_multiple)
        padded_hw = size_hw if self.size_multiple == 1 else spatial_size(padded)
        maps = self.logit_maps(from_nchw(padded, self.data_format))
        return [self._as_image(logits, padded_hw, size_hw) for logits in maps]

    def logit_maps(self, x: Tensor) -> list[Any]:
        """The maps for an image in ``data_format``, main logits first, auxiliary ones after them.

        A map is a tensor of K (or, for edges, 1) channels in ``data_format``, or a tuple of such for a loss that
        takes several. ``self.training`` decides which auxiliary maps there are.
        """
        raise NotImplementedError

    def _as_image(self, logits: Any, padded_hw: Sequence[Any], size_hw: Sequence[Any]) -> Any:
        if isinstance(logits, (list, tuple)):
            return tuple(self._as_image(one, padded_hw, size_hw) for one in logits)
        logits = to_nchw(logits, self.data_format)
        if not self.full_size:
            logits = resize(logits, padded_hw, self.align_corners, half_pixels=self.half_pixels)
        return logits if self.size_multiple == 1 else crop_to(logits, size_hw)


class BackboneNetwork(SegmentationNetwork):
    """A network that reads the features of a backbone.

    Args:
        backbone: a layer with ``feature_channels``, built with the same ``data_format``.
        backbone_indices: which of its features are read, finest first.
        count: how many indices the network needs.

    Raises:
        ValueError: there are not ``count`` indices, or the backbone has no such feature.
    """

    def __init__(
        self, backbone: nn.Layer, backbone_indices: Sequence[int], count: int, align_corners: bool, data_format: str
    ) -> None:
        super().__init__(align_corners, data_format)
        self.backbone = backbone
        self.backbone_indices = _checked_indices(backbone, backbone_indices, count)
        self.in_channels = [backbone.feature_channels[i] for i in self.backbone_indices]

    def features(self, x: Tensor) -> list[Tensor]:
        """The features named by ``backbone_indices``, in ``data_format``."""
        features = self.backbone(x)
        return [features[i] for i in self.backbone_indices]


def _checked_indices(backbone: nn.Layer, indices: Sequence[int], count: int) -> list[int]:
    """``indices`` as non-negative integers."""
    available = len(backbone.feature_channels)
    if len(indices) != count:
        raise ValueError(f"backbone_indices needs {count} number(s), got {list(indices)}")
    for index in indices:
        if not -available <= index < available:
            raise ValueError(
                f"backbone_indices {list(indices)}: {type(backbone).__name__} has {available} feature(s), "
                f"so each must lie in 0..{available - 1}"
            )
    return [index % available for index in indices]
