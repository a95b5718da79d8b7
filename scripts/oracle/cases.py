"""The networks whose logits are recorded, named as both toolkits name them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NUM_CLASSES = 19


@dataclass(frozen=True)
class Case:
    """One network and the runs recorded of it.

    Attributes:
        model, backbone: ``{"type": ..., argument: value}`` without ``num_classes``.
        runs: (input shape, align_corners, training mode).
    """

    model: dict[str, Any]
    backbone: dict[str, Any]
    runs: tuple[tuple[tuple[int, int, int, int], bool, bool], ...] = field(default=())


ODD, SQUARE = (1, 3, 65, 97), (2, 3, 64, 64)
ALL_RUNS = ((ODD, False, False), (ODD, True, False), (SQUARE, False, False), (SQUARE, False, True), (ODD, True, True))
TWO_RUNS = ((ODD, False, False), (SQUARE, True, True))
RECIPE = {"aspp_ratios": [1, 12, 24, 36], "aspp_out_channels": 256}


def _resnet(layers: int, output_stride: int, **arguments: Any) -> dict[str, Any]:
    return {"type": f"ResNet{layers}_vd", "output_stride": output_stride, **arguments}


_PLUS = {"type": "DeepLabV3P", "backbone_indices": [0, 3]}
CASES = {
    "fcn_hrnet_w18": Case({"type": "FCN"}, {"type": "HRNet_W18"}, TWO_RUNS),
    "fcn_hrnet_w48": Case({"type": "FCN"}, {"type": "HRNet_W48"}, ((SQUARE, False, False),)),
    "fcn_hrnet_w18_small_v1": Case({"type": "FCN"}, {"type": "HRNet_W18_Small_V1"}, ALL_RUNS),
    "fcn_hrnet_w18_small_v1_se": Case(
        {"type": "FCN", "channels": 32, "bias": False},
        {"type": "HRNet_W18_Small_V1", "has_se": True, "padding_same": False},
        ALL_RUNS,
    ),
    "deeplabv3p_resnet50_os8": Case({**_PLUS, **RECIPE}, _resnet(50, 8, multi_grid=[1, 2, 4]), TWO_RUNS),
    "deeplabv3p_resnet50_os16": Case(_PLUS, _resnet(50, 16), TWO_RUNS),
    "deeplabv3p_resnet18_os8": Case(_PLUS, _resnet(18, 8, multi_grid=[1, 2]), ALL_RUNS),
    "deeplabv3_resnet50_os8": Case(
        {"type": "DeepLabV3", "backbone_indices": [3], **RECIPE}, _resnet(50, 8, multi_grid=[1, 2, 4]), TWO_RUNS
    ),
}
